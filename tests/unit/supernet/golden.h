/* A golden sandwich step of tests/golden/: its space, its inputs, computed from names as
 * generate.py computes them, and its recorded numbers. */
#pragma once

#include "supernet/supernet.h"

enum { GOLDEN_IMAGES = 20, GOLDEN_SUBNETS = 4, GOLDEN_CLASSES = 5, GOLDEN_SIDE = 12 };

/* Recorded numbers: lines "what number name first count" and the floats that they count. */
struct golden_file {
    char *text;
    float *data;
};
/* Reads NAME.txt and NAME.bin of the folder named by the environment variable GOLDEN_DIR; asserts.
 */
void golden_file_open(const char *name, struct golden_file *file);
void golden_file_close(struct golden_file *file);
/* A recorded tensor, or NULL. */
const float *golden_file_find(const struct golden_file *file, const char *what, int number,
                              const char *name, size_t *ret_count);
/* The rest of the line "what number ..."; false if there is none. */
bool golden_file_line(const struct golden_file *file, const char *what, int number,
                      const char **ret_text, size_t *ret_len);
/* Bytes of another file of the folder; the caller frees. */
char *golden_read(const char *name, size_t *ret_len);

struct golden {
    struct space *space;
    float *images; /* [GOLDEN_IMAGES, 3, GOLDEN_SIDE, GOLDEN_SIDE] */
    uint16_t labels[GOLDEN_IMAGES];
    struct arch archs[GOLDEN_SUBNETS];
    struct golden_file file;
};
/* Reads NAME.* ("step", "mixed") in the folder named by the environment variable GOLDEN_DIR;
 * asserts. */
void golden_open(struct golden *golden, const char *name);
void golden_close(struct golden *golden);
/* A recorded tensor, or NULL. */
const float *golden_find(const struct golden *golden, const char *what, int subnet,
                         const char *name, size_t *ret_count);
/* Fills data and statistics of every tensor as generate.py does. */
void golden_fill(struct supernet *net);
/* A word that depends on a name and an index, by the hash of the name. */
uint32_t golden_hash(const char *name);
uint32_t golden_word(uint32_t hash, size_t index);
/* count numbers in [-1, 1) that depend on the name. */
void golden_noise(const char *name, size_t count, float *ret_values);
