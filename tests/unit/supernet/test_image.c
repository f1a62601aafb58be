/* Decoding and scaling of single images, against the files of tests/golden/images. */
#include "fixture.h"

#include "base/file.h"
#include "supernet/image_codec.h"
#include "supernet/resample.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct bytes {
    char *data;
    size_t len;
};

static struct bytes golden(const char *name) {
    struct bytes bytes;
    struct err err = {0};
    char path[1024];
    snprintf(path, sizeof path, "%s/images/%s", getenv("GOLDEN_DIR"), name);
    if (file_read(path, 1 << 24, &err, &bytes.data, &bytes.len) != 0)
        fail_msg("%s", err.message);
    return bytes;
}

static int decode(const struct bytes *file, int shortest, struct err *err, struct image *ret) {
    return image_decode((const uint8_t *)file->data, file->len, shortest, err, ret);
}

static int check_one(const char *line, const struct bytes *expected) {
    char name[64];
    int width, height, shown_width = 0, shown_height = 0;
    size_t at;
    struct image image = {0};
    struct err err = {0};
    if (sscanf(line, "%63s %d %d %zu", name, &width, &height, &at) != 4)
        return 0;
    struct bytes file = golden(name);
    if (decode(&file, 4096, &err, &image) != 0)
        fail_msg("%s: %s", name, err.message);
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    size_t len = (size_t)width * (size_t)height * 3;
    assert_true(at + len <= expected->len);
    /* Pillow's libjpeg may be of another version than ours: a level of difference is no error. */
    int allowed = strstr(name, ".jpg") ? 1 : 0;
    for (size_t i = 0; i < len; i++)
        if (abs(image.pixels[i] - (uint8_t)expected->data[at + i]) > allowed)
            fail_msg("%s: byte %zu is %d, not %d", name, i, image.pixels[i],
                     (uint8_t)expected->data[at + i]);
    assert_int_equal(image_size((uint8_t *)file.data, file.len, &err, &shown_width, &shown_height),
                     0);
    if (strcmp(name, "turned.png") != 0) { /* its eXIf stands behind the pixels */
        assert_int_equal(shown_width, width);
        assert_int_equal(shown_height, height);
    }
    image_finish(&image);
    free(file.data);
    return 1;
}

static void every_kind_gives_its_pixels(void **state) {
    struct bytes list = golden("expected.txt"), expected = golden("expected.bin");
    int n = 0;
    char *rest = NULL;
    for (char *line = strtok_r(list.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        n += check_one(line, &expected);
    assert_int_equal(n, 22);
    free(list.data);
    free(expected.data);
}

/* Every file cut off anywhere is refused (the last four bytes of a PNG are the checksum of
 * nothing), and what was allocated freed (the sanitizers look). */
static void truncated_files_are_refused(void **state) {
    static const char *const names[] = {"rgb.png",  "palette4.png",    "interlaced.png", "rgb.jpg",
                                        "cmyk.jpg", "progressive.jpg", "turned6.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct bytes file = golden(names[i]);
        size_t end = file.len - (strstr(names[i], ".png") ? 4 : 0);
        for (size_t len = 0; len < end; len++) {
            struct image image = {0};
            struct err err = {0};
            uint8_t *copy = malloc(len ? len : 1);
            memcpy(copy, file.data, len);
            int rc = image_decode(copy, len, 8, &err, &image);
            if (rc == 0 || !err.message[0] || image.pixels)
                fail_msg("%s of %zu bytes is not refused", names[i], len);
            free(copy);
        }
        free(file.data);
    }
}

static void what_is_no_image_is_named(void **state) {
    struct image image = {0};
    struct err err = {0};
    struct bytes text = {(char *)"GIF89a and so on", 16};
    assert_int_equal(decode(&text, 8, &err, &image), ESP_EUNSUPPORTED);
    struct bytes file = golden("rgb.png");
    file.data[16] = 0x40; /* 2^30 pixels wide: before its checksum is looked at, or because of it */
    assert_true(decode(&file, 8, &err, &image) < 0);
    free(file.data);
    file = golden("rgb.jpg");
    for (size_t i = 0; i + 9 < file.len; i++)
        if ((uint8_t)file.data[i] == 0xff && (uint8_t)file.data[i + 1] == 0xc0)
            memset(file.data + i + 5, 0xff, 4); /* 65,535 x 65,535 */
    assert_int_equal(decode(&file, 8, &err, &image), ESP_ELIMIT);
    free(file.data);
}

/* DCT scaling leaves the short side at shortest or just above it. */
static void jpegs_are_decoded_small(void **state) {
    struct bytes file = golden("rgb.jpg"); /* 26 x 17 */
    static const int rows[][3] = {{17, 26, 17}, {16, 26, 17}, {15, 23, 15}, {10, 17, 11},
                                  {9, 13, 9},   {5, 7, 5},    {3, 4, 3},    {1, 4, 3}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct image image = {0};
        struct err err = {0};
        assert_int_equal(decode(&file, rows[i][0], &err, &image), 0);
        assert_in_range(image.height, rows[i][0], rows[i][0] + 3);
        assert_int_equal(image.width, rows[i][1]);
        assert_int_equal(image.height, rows[i][2]);
        /* Red still grows from left to right. */
        assert_true(image.pixels[0] < 60);
        assert_true(image.pixels[3 * (image.width - 1)] > 195);
        image_finish(&image);
    }
    free(file.data);
}

static uint8_t texture(int y, int x) {
    return (uint8_t)(x * 7 + y * 13 + x * y * 3 + x * x % 11 * 5);
}

static double apply(const struct resample *taps, int given, int y, int x) {
    double sum = 0;
    for (int i = 0; i < taps->taps; i++)
        for (int j = 0; j < taps->taps; j++) {
            assert_true(taps->first[y] >= 0 && taps->first[y] + i < given);
            sum += (double)taps->weights[y * taps->taps + i] *
                   (double)taps->weights[x * taps->taps + j] *
                   texture(taps->first[y] + i, taps->first[x] + j);
        }
    return sum;
}

static void resampling_agrees_with_torch_and_opencv(void **state) {
    struct bytes list = golden("resample.txt"), values = golden("resample.bin");
    struct resample taps = {0};
    char *rest = NULL;
    int n = 0;
    for (char *line = strtok_r(list.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        int given, wanted;
        size_t at;
        char oracle[16];
        assert_int_equal(sscanf(line, "%d %d %15s %zu", &given, &wanted, oracle, &at), 4);
        assert_int_equal(resample_set(&taps, given, wanted), 0);
        for (int i = 0; i < wanted * wanted; i++, n++) {
            float value;
            memcpy(&value, values.data + 4 * (at + (size_t)i), 4);
            double ours = apply(&taps, given, i / wanted, i % wanted);
            if (fabs(ours - value) > 1e-3)
                fail_msg("%s: value %d is %g, not %g", line, i, ours, (double)value);
        }
    }
    assert_int_equal(n, 2298);
    resample_finish(&taps);
    free(list.data);
    free(values.data);
}

/* The middle square, by the same taps, rounded: [40, 46] -> [16, 16]. */
static void fitting_takes_the_middle_square(void **state) {
    uint8_t pixels[40 * 46 * 3], out[3 * 256], same[3 * 40 * 40];
    struct image image = {46, 40, pixels};
    struct bytes values = golden("resample.bin");
    struct err err = {0};
    for (int y = 0; y < 40; y++)
        for (int x = 0; x < 46; x++)
            for (int c = 0; c < 3; c++)
                pixels[(y * 46 + x) * 3 + c] =
                    x < 3 || x >= 43 ? (uint8_t)(c * 100) : (uint8_t)(texture(y, x - 3) ^ c);
    assert_int_equal(image_fit(&image, 16, &err, out), 0);
    for (int i = 0; i < 256; i++) {
        float value;
        memcpy(&value, values.data + 4 * (601 + i), 4); /* the case "40 16" */
        assert_int_equal(out[i], (int)(value + 0.5f));
    }
    assert_int_equal(image_fit(&image, 40, &err, same), 0);
    for (int i = 0; i < 1600; i++)
        assert_int_equal(same[2 * 1600 + i], texture(i / 40, i % 40) ^ 2);
    free(values.data);
}

static void odd_exif_is_upright(void **state) {
    uint8_t little[] = "II*\0\10\0\0\0\2\0\0\1\3\0\1\0\0\0\20\0\0\0\22\1\3\0\1\0\0\0\10\0\0\0";
    assert_int_equal(exif_orientation(little, sizeof little - 1), 8);
    for (size_t len = 0; len < 34; len++)
        assert_int_equal(exif_orientation(little, len), 1);
    little[30] = 9; /* no orientation */
    assert_int_equal(exif_orientation(little, sizeof little - 1), 1);
    little[30] = 8;
    little[24] = 4; /* not a SHORT */
    assert_int_equal(exif_orientation(little, sizeof little - 1), 1);
    memset(little + 4, 0xff, 4); /* a directory far outside */
    assert_int_equal(exif_orientation(little, sizeof little - 1), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_gives_its_pixels),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(what_is_no_image_is_named),
        cmocka_unit_test(jpegs_are_decoded_small),
        cmocka_unit_test(resampling_agrees_with_torch_and_opencv),
        cmocka_unit_test(fitting_takes_the_middle_square),
        cmocka_unit_test(odd_exif_is_upright),
    };
    return cmocka_run_group_tests_name("supernet-image", tests, NULL, NULL);
}
