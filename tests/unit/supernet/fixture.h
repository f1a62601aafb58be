/* Small folders of data for the tests of this folder. */
#pragma once

#include "space/space.h"
#include "supernet/dataset.h"

/* A new empty folder, removed with all that is in it by fixture_remove_dir. The text is the
 * caller's.
 */
char *fixture_make_dir(void);
void fixture_remove_dir(char *dir); /* frees dir too */

struct fixture_idx {
    int n_train, n_test, side, n_classes;
};
/* idx files of images that a small network can learn: class c lights a patch whose place depends on
 * c, with noise. Plain (not gzipped). */
void fixture_write_idx(const char *dir, const struct fixture_idx *shape);
void fixture_write_file(const char *dir, const char *name, const void *data, size_t len);
void fixture_write_gz(const char *dir, const char *name, const void *data, size_t len);
/* RGB whose byte b of row y is value + 3 * y + b. */
void fixture_write_png(const char *dir, const char *name, int width, int height, uint8_t value);
void fixture_truncate(const char *dir, const char *name, size_t len);

/* Two stages on 1 x 12 x 12 images, resolutions 8 and 12, some 4,000 parameters; asserts. */
struct space *fixture_space(int n_classes);

/* fixture_write_idx and dataset_open in one; asserts. */
struct dataset *fixture_dataset(const char *dir, const struct fixture_idx *shape,
                                size_t validation);
