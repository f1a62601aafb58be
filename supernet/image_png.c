/* PNG by libspng. */
#include "supernet/image_codec.h"

#include <spng.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES_MAX = 4 << 20, CHUNKS_BYTES_MAX = 16 << 20, SIGNATURE = 8, WHITE = 255 };

bool png_is(const uint8_t *data, size_t len) {
    return len >= SIGNATURE && memcmp(data, "\x89PNG\r\n\x1a\n", SIGNATURE) == 0;
}

static int fail(int code, struct err *err) {
    if (code == SPNG_EMEM)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for its pixels");
    if (code == SPNG_EUSER_WIDTH || code == SPNG_EUSER_HEIGHT || code == SPNG_ECHUNK_LIMITS)
        return err_set(err, ESP_ELIMIT, NULL, "it is larger than an image may be");
    /* The bytes lie in memory, so the only failed read is one behind their end. */
    return err_set(err, ESP_ECORRUPT, NULL, "%s",
                   code == SPNG_IO_EOF || code == SPNG_IO_ERROR ? "it ends early"
                                                                : spng_strerror(code));
}

static int open_png(const uint8_t *data, size_t len, struct err *err, spng_ctx **ret_ctx,
                    struct spng_ihdr *ret_ihdr) {
    spng_ctx *ctx = spng_ctx_new(0);
    if (!ctx)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a decoder");
    int code = spng_set_image_limits(ctx, IMAGE_SIDE_MAX, IMAGE_SIDE_MAX), rc = 0;
    if (code == 0)
        code = spng_set_chunk_limits(ctx, CHUNK_BYTES_MAX, CHUNKS_BYTES_MAX);
    if (code == 0)
        code = spng_set_crc_action(ctx, SPNG_CRC_ERROR, SPNG_CRC_DISCARD);
    if (code == 0)
        code = spng_set_png_buffer(ctx, data, len);
    if (code == 0)
        code = spng_get_ihdr(ctx, ret_ihdr);
    if (code != 0)
        rc = fail(code, err);
    else
        rc = image_check_size(ret_ihdr->width, ret_ihdr->height, err);
    if (rc != 0) {
        spng_ctx_free(ctx);
        return rc;
    }
    *ret_ctx = ctx;
    return 0;
}

static int find_orientation(spng_ctx *ctx) {
    struct spng_exif exif;
    return spng_get_exif(ctx, &exif) == 0
               ? exif_orientation((const uint8_t *)exif.data, exif.length)
               : 1;
}

int png_header(const uint8_t *data, size_t len, struct err *err, struct image_header *ret_header) {
    spng_ctx *ctx = NULL;
    struct spng_ihdr ihdr;
    int rc = open_png(data, len, err, &ctx, &ihdr);
    if (rc != 0)
        return rc;
    /* Only an eXIf chunk before the pixels is seen here: enough to guess a size by. */
    *ret_header = (struct image_header){(int)ihdr.width, (int)ihdr.height, find_orientation(ctx)};
    spng_ctx_free(ctx);
    return 0;
}

/* Over white, in place: [n, 4] -> [n, 3]. */
static void drop_alpha(uint8_t *pixels, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int alpha = pixels[4 * i + 3];
        for (size_t c = 0; c < 3; c++)
            pixels[3 * i + c] =
                (uint8_t)((pixels[4 * i + c] * alpha + WHITE * (255 - alpha) + 127) / 255);
    }
}

int png_decode(const uint8_t *data, size_t len, struct err *err, struct image *ret_image,
               int *ret_orientation) {
    spng_ctx *ctx = NULL;
    struct spng_ihdr ihdr;
    uint8_t *pixels = NULL;
    size_t bytes = 0;
    int rc = open_png(data, len, err, &ctx, &ihdr);
    if (rc != 0)
        return rc;
    int code = spng_decoded_image_size(ctx, SPNG_FMT_RGBA8, &bytes);
    if (code == 0 && bytes > IMAGE_DECODED_BYTES_MAX) {
        rc = err_set(err, ESP_ELIMIT, NULL, "it has more pixels than are read");
        goto out;
    }
    if (code == 0 && !(pixels = malloc(bytes))) {
        rc = err_set(err, ESP_ENOMEM, NULL, "no memory for its pixels");
        goto out;
    }
    if (code == 0)
        code = spng_decode_image(ctx, pixels, bytes, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS);
    if (code == 0)
        code = spng_decode_chunks(ctx); /* to the end, so that a missing one is noticed */
    if (code != 0) {
        rc = fail(code, err);
        goto out;
    }
    drop_alpha(pixels, bytes / 4);
    *ret_image = (struct image){(int)ihdr.width, (int)ihdr.height, pixels};
    *ret_orientation = find_orientation(ctx);
    pixels = NULL;
out:
    free(pixels);
    spng_ctx_free(ctx);
    return rc;
}
