/* The idx format of MNIST and its relatives: big-endian header (two zero bytes, type, number of
 * dimensions, sizes), then bytes. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database". */
#include "supernet/dataset_format.h"

#include "base/memory.h"
#include <stdlib.h>

enum { IDX_UBYTE = 0x08, IDX_DIMS_MAX = 4 };

struct idx_header {
    int n_dims;
    size_t dims[IDX_DIMS_MAX];
};

static uint32_t big_endian(const uint8_t *b) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int read_header(struct dataset_file *file, struct err *err, struct idx_header *ret) {
    uint8_t magic[4], size[4];
    struct idx_header header = {0};
    int rc = dataset_file_read_exact(file, magic, sizeof magic, err);
    if (rc != 0)
        return rc;
    if (magic[0] != 0 || magic[1] != 0 || magic[3] == 0)
        return err_set(err, ESP_ECORRUPT, "/path", "%s is no idx file: it begins %02x%02x%02x%02x",
                       file->path, magic[0], magic[1], magic[2], magic[3]);
    if (magic[2] != IDX_UBYTE || magic[3] > IDX_DIMS_MAX)
        return err_set(err, ESP_EUNSUPPORTED, "/path",
                       "%s holds type 0x%02x in %d dimensions; bytes (0x08) in at most %d are read",
                       file->path, magic[2], magic[3], IDX_DIMS_MAX);
    header.n_dims = magic[3];
    for (int i = 0; i < header.n_dims; i++) {
        if ((rc = dataset_file_read_exact(file, size, sizeof size, err)) != 0)
            return rc;
        header.dims[i] = big_endian(size);
    }
    *ret = header;
    return 0;
}

/* Images [count, H, W], or [count, C, H, W]. */
static int check_images(const struct dataset_file *file, const struct idx_header *header,
                        struct err *err, struct dataset_images *ret_shape, size_t *ret_count) {
    int n = header->n_dims;
    if (n != 3 && n != 4)
        return err_set(err, ESP_EUNSUPPORTED, "/path",
                       "%s has %d dimensions; images have 3 (count, height, width) or 4",
                       file->path, n);
    size_t channels = n == 4 ? header->dims[1] : 1, count = header->dims[0];
    size_t height = header->dims[n - 2], width = header->dims[n - 1];
    if (count == 0 || channels == 0 || height == 0 || width == 0)
        return err_set(err, ESP_ECORRUPT, "/path", "%s holds no pixels", file->path);
    if (count > DATASET_IMAGES_MAX || channels > DATASET_CHANNELS_MAX ||
        height > DATASET_SIDE_MAX || width > DATASET_SIDE_MAX ||
        count > DATASET_BYTES_MAX / (channels * height * width))
        return err_set(err, ESP_ELIMIT, "/path",
                       "%s holds %zu images of %zux%zux%zu: at most %d images, %d channels, %d "
                       "pixels a side and %zu bytes are read",
                       file->path, count, channels, height, width, DATASET_IMAGES_MAX,
                       DATASET_CHANNELS_MAX, DATASET_SIDE_MAX, DATASET_BYTES_MAX);
    ret_shape->channels = (int)channels;
    ret_shape->height = (int)height;
    ret_shape->width = (int)width;
    *ret_count = count;
    return 0;
}

static size_t image_bytes(const struct dataset_images *shape) {
    return (size_t)shape->channels * (size_t)shape->height * (size_t)shape->width;
}

/* The header of an image file, left open at its first pixel. */
static int open_images(struct dataset_file *file, const char *folder, const char *name,
                       struct err *err, struct dataset_images *ret_shape, size_t *ret_count) {
    struct idx_header header;
    int rc = dataset_file_open(file, folder, name, err);
    if (rc == 0)
        rc = read_header(file, err, &header);
    if (rc == 0)
        rc = check_images(file, &header, err, ret_shape, ret_count);
    return rc;
}

static int read_labels(const char *folder, const char *name, size_t count, struct err *err,
                       uint16_t *ret_labels) {
    struct dataset_file file = {0};
    struct idx_header header;
    uint8_t *bytes = NULL;
    int rc = dataset_file_open(&file, folder, name, err);
    if (rc == 0)
        rc = read_header(&file, err, &header);
    if (rc != 0)
        goto out;
    if (header.n_dims != 1 || header.dims[0] != count) {
        rc = err_set(err, ESP_ECORRUPT, "/path",
                     "%s holds %zu labels in %d dimensions for %zu images", file.path,
                     header.dims[0], header.n_dims, count);
        goto out;
    }
    if (!(bytes = mem_array(count, 1))) {
        rc = err_set(err, ESP_ENOMEM, NULL, "no memory for %zu labels", count);
        goto out;
    }
    if ((rc = dataset_file_read_exact(&file, bytes, count, err)) != 0 ||
        (rc = dataset_file_expect_end(&file, err)) != 0)
        goto out;
    for (size_t i = 0; i < count; i++)
        ret_labels[i] = bytes[i];
out:
    free(bytes);
    dataset_file_close(&file);
    return rc;
}

static const char *test_name(const char *folder, const char *tail) {
    static const char *const names[2][2] = {{"t10k-images-idx3-ubyte", "test-images-idx3-ubyte"},
                                            {"t10k-labels-idx1-ubyte", "test-labels-idx1-ubyte"}};
    int row = tail[0] == 'l';
    return dataset_file_exists(folder, names[row][0]) || !dataset_file_exists(folder, names[row][1])
               ? names[row][0]
               : names[row][1];
}

/* Both image files are open behind their headers. */
static int read_all(const char *folder, struct dataset_file *train, struct dataset_file *test,
                    struct err *err, struct dataset_images *images) {
    size_t bytes = image_bytes(images), count = images->n_train + images->n_test;
    images->images = mem_array(count, bytes);
    images->labels = mem_array(count, sizeof *images->labels);
    if (!images->images || !images->labels)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for %zu images of %zu bytes", count,
                       bytes);
    int rc = dataset_file_read_exact(train, images->images, images->n_train * bytes, err);
    if (rc == 0)
        rc = dataset_file_expect_end(train, err);
    if (rc == 0)
        rc = dataset_file_read_exact(test, images->images + images->n_train * bytes,
                                     images->n_test * bytes, err);
    if (rc == 0)
        rc = dataset_file_expect_end(test, err);
    if (rc == 0)
        rc = read_labels(folder, "train-labels-idx1-ubyte", images->n_train, err, images->labels);
    if (rc == 0)
        rc = read_labels(folder, test_name(folder, "labels"), images->n_test, err,
                         images->labels + images->n_train);
    return rc;
}

static int idx_load(const struct dataset_options *options, struct err *err,
                    struct dataset_images *ret_images) {
    const char *folder = options->path;
    struct dataset_file train = {0}, test = {0};
    struct dataset_images test_shape = {0};
    int rc = open_images(&train, folder, "train-images-idx3-ubyte", err, ret_images,
                         &ret_images->n_train);
    if (rc == 0)
        rc = open_images(&test, folder, test_name(folder, "images"), err, &test_shape,
                         &ret_images->n_test);
    if (rc == 0 &&
        (test_shape.channels != ret_images->channels || test_shape.height != ret_images->height ||
         test_shape.width != ret_images->width))
        rc = err_set(err, ESP_ECORRUPT, "/path", "%s holds images of %dx%d, %s of %dx%d",
                     train.path, ret_images->height, ret_images->width, test.path,
                     test_shape.height, test_shape.width);
    if (rc == 0)
        rc = read_all(folder, &train, &test, err, ret_images);
    dataset_file_close(&train);
    dataset_file_close(&test);
    return rc;
}

static bool idx_probe(const char *folder) {
    return dataset_file_exists(folder, "train-images-idx3-ubyte");
}

extern const struct dataset_format dataset_format_idx;
const struct dataset_format dataset_format_idx = {
    .name = "idx",
    .help =
        "MNIST, Fashion-MNIST and relatives: train-images-idx3-ubyte(.gz), "
        "train-labels-idx1-ubyte(.gz), t10k-images-idx3-ubyte(.gz), t10k-labels-idx1-ubyte(.gz)",
    .probe = idx_probe,
    .load = idx_load,
};
