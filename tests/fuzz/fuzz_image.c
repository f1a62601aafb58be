/* A JPEG or PNG from hostile bytes: refused with an error, or decoded and scaled. The first byte
 * says how small; an odd one puts the right checksums over the chunks of a PNG, so that what stands
 * behind them is reached too. */
#include "supernet/image.h"
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { SIGNATURE = 8, PIXELS_MAX = 1 << 22, SIDE = 16 };

static void require(bool ok) {
    if (!ok)
        abort();
}

static uint32_t big_endian(const uint8_t *b) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void sign_chunks(uint8_t *data, size_t size) {
    for (size_t at = SIGNATURE; at + 12 <= size;) {
        size_t len = big_endian(data + at);
        if (len > size - at - 12)
            return;
        uint32_t crc = (uint32_t)crc32(0, data + at + 4, (uInt)len + 4);
        for (int i = 0; i < 4; i++)
            data[at + 8 + len + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += len + 12;
    }
}

static void decode(const uint8_t *data, size_t size, int shortest) {
    struct image image = {0};
    struct err err = {0};
    uint8_t planes[3 * SIDE * SIDE];
    int width = 0, height = 0;
    /* A few bytes can name a huge image within the limits; a fuzzer has no time for such. */
    int rc = image_size(data, size, &err, &width, &height);
    if (rc == 0 && (int64_t)width * height > PIXELS_MAX)
        return;
    require(rc == 0 || (err.code == rc && err.message[0]));
    rc = image_decode(data, size, shortest, &err, &image);
    require(rc == 0 || (err.code == rc && err.message[0] && !image.pixels));
    if (rc != 0)
        return;
    require(image.width > 0 && image.height > 0);
    require(image_fit(&image, SIDE, &err, planes) == 0);
    image_finish(&image);
}

int fuzz_one(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    uint8_t *copy = malloc(size);
    require(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 1)
        sign_chunks(copy, size - 1);
    decode(copy, size - 1, 1 + (data[0] >> 1));
    free(copy);
    return 0;
}
