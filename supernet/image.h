/* Single images out of hostile bytes: JPEG (libjpeg-turbo) and PNG (libspng), made upright by their
 * EXIF orientation, as red, green and blue bytes. Grey becomes three equal channels, palettes are
 * looked up, 16 bits are cut to 8, transparency is laid over white, CMYK is turned into RGB; colour
 * profiles and gamma are left aside. To be called in job processes only. */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum {
    IMAGE_SIDE_MAX = 32768, /* pixels, of the file */
    IMAGE_FILE_BYTES_MAX = 64 << 20,
    IMAGE_DECODED_BYTES_MAX = 256 << 20, /* of the pixels, and again for the decoder's own */
};

struct image {
    int width, height;
    uint8_t *pixels; /* [height, width, 3], owned */
};

/* Width and height as shown (upright), from the header alone. Errors: as image_decode. */
int image_size(const uint8_t *data, size_t len, struct err *err, int *ret_width, int *ret_height);
/* A JPEG whose short side is more than shortest pixels is decoded at the smallest of eight DCT
 * scales that still leaves shortest of them. The caller frees with image_finish. Errors:
 * ESP_EUNSUPPORTED (neither JPEG nor PNG), ESP_ECORRUPT (damaged or truncated: nothing is filled
 * up), ESP_ELIMIT, ESP_ENOMEM. */
int image_decode(const uint8_t *data, size_t len, int shortest, struct err *err,
                 struct image *ret_image);
void image_finish(struct image *image); /* of a zeroed one: nothing */

/* The middle square, scaled to side x side: ret_planes is [3, side, side]. Bilinear, antialiased
 * when it shrinks; an image of that very size keeps its bytes. side in [1, DATASET_SIDE_MAX].
 * Errors: ESP_ENOMEM. */
int image_fit(const struct image *image, int side, struct err *err, uint8_t *ret_planes);
