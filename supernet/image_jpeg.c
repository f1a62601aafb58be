/* JPEG by libjpeg-turbo. What a decoder would paper over (a file that ends early, codes that do not
 * exist) is an error here: a grey lower half is no training image. */
#include "supernet/image_codec.h"

#include "base/memory.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum { MARKER_BYTES_MAX = 65535, SCANS_MAX = 500, DCT_SCALES = 8, EXIF_PREFIX = 6 };

struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    struct err *err;
    int code;
    int orientation;
    uint8_t *pixels, *row; /* row: of CMYK */
};

bool jpeg_is(const uint8_t *data, size_t len) {
    return len >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0;
}

static void fail(struct decoder *decoder, int code, const char *text) {
    decoder->code = err_set(decoder->err, code, NULL, "%s", text);
    longjmp(decoder->jump, 1);
}

static void on_error(j_common_ptr common) {
    char text[JMSG_LENGTH_MAX];
    int message = common->err->msg_code;
    common->err->format_message(common, text);
    if (message == JERR_OUT_OF_MEMORY || message == JERR_NO_BACKING_STORE)
        fail(common->client_data, ESP_ELIMIT, "it takes more memory than an image may");
    fail(common->client_data, message == JERR_IMAGE_TOO_BIG ? ESP_ELIMIT : ESP_ECORRUPT, text);
}

/* Harmless: the pixels are all there. */
static bool tolerated(int message) {
    return message == JWRN_EXTRANEOUS_DATA || message == JWRN_ADOBE_XFORM ||
           message == JWRN_JFIF_MAJOR || message == JWRN_BOGUS_PROGRESSION ||
           message == JWRN_TOO_MUCH_DATA;
}

static void on_message(j_common_ptr common, int level) {
    if (level < 0 && !tolerated(common->err->msg_code))
        on_error(common);
}

static void on_output(j_common_ptr common) {
}

/* A small progressive file can ask for thousands of passes over the whole image. */
static void on_progress(j_common_ptr common) {
    struct decoder *decoder = common->client_data;
    if (decoder->jpeg.input_scan_number > SCANS_MAX)
        fail(decoder, ESP_ELIMIT, "it has more scans than are read");
}

static int find_orientation(const struct jpeg_decompress_struct *jpeg) {
    for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker; marker = marker->next)
        if (marker->data_length > EXIF_PREFIX && memcmp(marker->data, "Exif\0\0", EXIF_PREFIX) == 0)
            return exif_orientation(marker->data + EXIF_PREFIX, marker->data_length - EXIF_PREFIX);
    return 1;
}

static void begin(struct decoder *decoder, const uint8_t *data, size_t len) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->client_data = decoder;
    jpeg->progress = &decoder->progress;
    jpeg->mem->max_memory_to_use = IMAGE_DECODED_BYTES_MAX;
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, MARKER_BYTES_MAX);
    jpeg_mem_src(jpeg, data, len);
    jpeg_read_header(jpeg, TRUE);
    decoder->code = image_check_size(jpeg->image_width, jpeg->image_height, decoder->err);
    if (decoder->code != 0)
        longjmp(decoder->jump, 1);
    decoder->orientation = find_orientation(jpeg); /* the markers are gone with the last row */
}

static void choose_scale(struct jpeg_decompress_struct *jpeg, int shortest) {
    jpeg->scale_denom = DCT_SCALES;
    for (jpeg->scale_num = 1; jpeg->scale_num < DCT_SCALES; jpeg->scale_num++) {
        jpeg_calc_output_dimensions(jpeg);
        if (jpeg->output_width >= (unsigned)shortest && jpeg->output_height >= (unsigned)shortest)
            break;
    }
    jpeg_calc_output_dimensions(jpeg);
}

/* Adobe's files hold CMYK inverted: then a channel is what is left of the light times black's. */
static void convert_cmyk(const uint8_t *cmyk, unsigned width, bool inverted, uint8_t *ret_rgb) {
    for (unsigned x = 0; x < width; x++)
        for (int c = 0; c < 3; c++) {
            int ink = cmyk[4 * x + (unsigned)c], black = cmyk[4 * x + 3];
            int light = inverted ? ink * black : (255 - ink) * (255 - black);
            ret_rgb[3 * x + (unsigned)c] = (uint8_t)((light + 127) / 255);
        }
}

static void read_rows(struct decoder *decoder) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    size_t width = jpeg->output_width;
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *out = decoder->pixels + jpeg->output_scanline * width * 3;
        JSAMPROW row = decoder->row ? decoder->row : out;
        if (jpeg_read_scanlines(jpeg, &row, 1) != 1)
            fail(decoder, ESP_ECORRUPT, "its rows end early");
        if (decoder->row)
            convert_cmyk(decoder->row, (unsigned)width, jpeg->saw_Adobe_marker, out);
    }
}

static void decode(struct decoder *decoder, int shortest) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    bool four = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = four ? JCS_CMYK : JCS_RGB;
    choose_scale(jpeg, shortest);
    if ((size_t)jpeg->output_width * jpeg->output_height > IMAGE_DECODED_BYTES_MAX / 3)
        fail(decoder, ESP_ELIMIT, "it has more pixels than are read");
    decoder->pixels = mem_array((size_t)jpeg->output_width * jpeg->output_height, 3);
    decoder->row = four ? mem_array(jpeg->output_width, 4) : NULL;
    if (!decoder->pixels || (four && !decoder->row))
        fail(decoder, ESP_ENOMEM, "no memory for its pixels");
    jpeg_start_decompress(jpeg);
    read_rows(decoder);
    jpeg_finish_decompress(jpeg);
}

/* Either the header alone (shortest 0) or all of it. What is needed behind the jump lies in
 * *decoder, so nothing is lost with the registers. */
static int run(struct decoder *decoder, const uint8_t *data, size_t len, int shortest) {
    decoder->jpeg.err = jpeg_std_error(&decoder->errors);
    decoder->jpeg.client_data = decoder;
    decoder->errors.error_exit = on_error;
    decoder->errors.emit_message = on_message;
    decoder->errors.output_message = on_output;
    decoder->progress.progress_monitor = on_progress;
    if (setjmp(decoder->jump) == 0) {
        begin(decoder, data, len);
        if (shortest > 0)
            decode(decoder, shortest);
    }
    return decoder->code;
}

static void finish(struct decoder *decoder) {
    jpeg_destroy_decompress(&decoder->jpeg);
    free(decoder->row);
    free(decoder->pixels);
    free(decoder);
}

int jpeg_header(const uint8_t *data, size_t len, struct err *err, struct image_header *ret_header) {
    struct decoder *decoder = mem_array(1, sizeof *decoder);
    if (!decoder)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a decoder");
    decoder->err = err;
    int rc = run(decoder, data, len, 0);
    if (rc == 0)
        *ret_header = (struct image_header){(int)decoder->jpeg.image_width,
                                            (int)decoder->jpeg.image_height, decoder->orientation};
    finish(decoder);
    return rc;
}

int jpeg_decode(const uint8_t *data, size_t len, int shortest, struct err *err,
                struct image *ret_image, int *ret_orientation) {
    struct decoder *decoder = mem_array(1, sizeof *decoder);
    if (!decoder)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a decoder");
    decoder->err = err;
    int rc = run(decoder, data, len, shortest < 1 ? 1 : shortest);
    if (rc == 0) {
        *ret_image = (struct image){(int)decoder->jpeg.output_width,
                                    (int)decoder->jpeg.output_height, decoder->pixels};
        *ret_orientation = decoder->orientation;
        decoder->pixels = NULL;
    }
    finish(decoder);
    return rc;
}
