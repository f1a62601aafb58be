/* The two decoders behind image.h. orientation: 1 to 8, as EXIF counts. */
#pragma once

#include "supernet/image.h"
#include <stdbool.h>

struct image_header {
    int width, height; /* as stored */
    int orientation;
};

bool jpeg_is(const uint8_t *data, size_t len);
int jpeg_header(const uint8_t *data, size_t len, struct err *err, struct image_header *ret_header);
int jpeg_decode(const uint8_t *data, size_t len, int shortest, struct err *err,
                struct image *ret_image, int *ret_orientation);

bool png_is(const uint8_t *data, size_t len);
int png_header(const uint8_t *data, size_t len, struct err *err, struct image_header *ret_header);
int png_decode(const uint8_t *data, size_t len, struct err *err, struct image *ret_image,
               int *ret_orientation);

/* Checks a size from a file against the limits of image.h. ESP_ECORRUPT, ESP_ELIMIT. */
int image_check_size(size_t width, size_t height, struct err *err);

/* The orientation in a TIFF structure (what follows "Exif\0\0" in a JPEG, the eXIf chunk of a PNG);
 * 1 when there is none or anything about it is odd. Reads tag 0x0112 of the first directory and
 * nothing else. Source: CIPA DC-008-2019 (Exif 2.32), 4.5 and 4.6.4. */
int exif_orientation(const uint8_t *data, size_t len);
