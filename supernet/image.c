#include "supernet/image_codec.h"

#include "base/memory.h"
#include "supernet/resample.h"
#include <stdlib.h>
#include <string.h>

void image_finish(struct image *image) {
    free(image->pixels);
    *image = (struct image){0};
}

int image_check_size(size_t width, size_t height, struct err *err) {
    if (width == 0 || height == 0)
        return err_set(err, ESP_ECORRUPT, NULL, "it has no pixels");
    if (width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "it has %zux%zu pixels, more than %d a side", width,
                       height, IMAGE_SIDE_MAX);
    return 0;
}

static int refuse_unknown(struct err *err) {
    return err_set(err, ESP_EUNSUPPORTED, NULL, "it is neither JPEG nor PNG");
}

int image_size(const uint8_t *data, size_t len, struct err *err, int *ret_width, int *ret_height) {
    struct image_header header = {0};
    int rc = jpeg_is(data, len)  ? jpeg_header(data, len, err, &header)
             : png_is(data, len) ? png_header(data, len, err, &header)
                                 : refuse_unknown(err);
    if (rc != 0)
        return rc;
    bool lying = header.orientation > 4;
    *ret_width = lying ? header.height : header.width;
    *ret_height = lying ? header.width : header.height;
    return 0;
}

/* Where pixel (x, y) of the upright image stands in the stored one of width x height.
 * EXIF: 1 as it is, 2 mirrored, 3 turned by 180 degrees, 4 upside down mirrored, 5 to 8 the same
 * with rows and columns exchanged. */
static size_t stored_at(const struct image *stored, int orientation, int x, int y) {
    int row = orientation > 4 ? x : y, column = orientation > 4 ? y : x;
    bool flip_column = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool flip_row = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    column = flip_column ? stored->width - 1 - column : column;
    row = flip_row ? stored->height - 1 - row : row;
    return ((size_t)row * (size_t)stored->width + (size_t)column) * 3;
}

static int make_upright(struct image *image, int orientation, struct err *err) {
    if (orientation == 1)
        return 0;
    struct image upright = {.width = orientation > 4 ? image->height : image->width,
                            .height = orientation > 4 ? image->width : image->height};
    upright.pixels = mem_array((size_t)upright.width * (size_t)upright.height, 3);
    if (!upright.pixels)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for its pixels");
    uint8_t *out = upright.pixels;
    for (int y = 0; y < upright.height; y++)
        for (int x = 0; x < upright.width; x++, out += 3)
            memcpy(out, image->pixels + stored_at(image, orientation, x, y), 3);
    image_finish(image);
    *image = upright;
    return 0;
}

int image_decode(const uint8_t *data, size_t len, int shortest, struct err *err,
                 struct image *ret_image) {
    struct image image = {0};
    int orientation = 1, rc;
    if (len > IMAGE_FILE_BYTES_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "it has more than %d bytes", IMAGE_FILE_BYTES_MAX);
    rc = jpeg_is(data, len)  ? jpeg_decode(data, len, shortest, err, &image, &orientation)
         : png_is(data, len) ? png_decode(data, len, err, &image, &orientation)
                             : refuse_unknown(err);
    if (rc == 0)
        rc = make_upright(&image, orientation, err);
    if (rc == 0)
        *ret_image = image;
    else
        image_finish(&image);
    return rc;
}

static void copy_square(const struct image *image, int left, int top, int side, uint8_t *ret) {
    size_t plane = (size_t)side * (size_t)side;
    for (int y = 0; y < side; y++) {
        const uint8_t *in =
            image->pixels + ((size_t)(top + y) * (size_t)image->width + (size_t)left) * 3;
        for (int x = 0; x < side; x++)
            for (size_t c = 0; c < 3; c++)
                ret[c * plane + (size_t)y * (size_t)side + (size_t)x] = in[3 * x + (int)c];
    }
}

/* One output row's weighted sum of input rows: [square, 3]. */
static void sum_rows(const struct resample *taps, int y, const uint8_t *top_left, size_t pitch,
                     size_t count, float *ret) {
    const float *weights = taps->weights + (size_t)y * (size_t)taps->taps;
    memset(ret, 0, count * sizeof *ret);
    for (int t = 0; t < taps->taps; t++) {
        const uint8_t *in = top_left + (size_t)(taps->first[y] + t) * pitch;
        for (size_t i = 0; i < count; i++)
            ret[i] += weights[t] * (float)in[i];
    }
}

static void sum_columns(const struct resample *taps, const float *row, size_t plane, uint8_t *ret) {
    for (int x = 0; x < taps->size; x++) {
        const float *weights = taps->weights + (size_t)x * (size_t)taps->taps;
        const float *in = row + (size_t)taps->first[x] * 3;
        for (size_t c = 0; c < 3; c++) {
            float sum = 0.5f;
            for (int t = 0; t < taps->taps; t++)
                sum += weights[t] * in[3 * t + (int)c];
            ret[c * plane + (size_t)x] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
        }
    }
}

int image_fit(const struct image *image, int side, struct err *err, uint8_t *ret_planes) {
    int square = image->width < image->height ? image->width : image->height;
    int left = (image->width - square) / 2, top = (image->height - square) / 2;
    struct resample taps = {0};
    float *row = NULL;
    int rc = 0;
    if (square == side) {
        copy_square(image, left, top, side, ret_planes);
        return 0;
    }
    size_t count = (size_t)square * 3, pitch = (size_t)image->width * 3;
    size_t plane = (size_t)side * (size_t)side;
    const uint8_t *top_left = image->pixels + (size_t)top * pitch + (size_t)left * 3;
    if (resample_set(&taps, square, side) != 0 || !(row = mem_array(count, sizeof *row))) {
        rc = err_set(err, ESP_ENOMEM, NULL, "no memory to scale an image");
        goto out;
    }
    for (int y = 0; y < side; y++) {
        sum_rows(&taps, y, top_left, pitch, count, row);
        sum_columns(&taps, row, plane, ret_planes + (size_t)y * (size_t)side);
    }
out:
    resample_finish(&taps);
    free(row);
    return rc;
}
