/* Augmentation and batches. */
#include "fixture.h"

#include "supernet/augment_ops.h"
#include "supernet/loader.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct fixture_idx shape = {.n_train = 60, .n_test = 20, .side = 12, .n_classes = 5};

struct folder {
    char *dir;
    struct dataset *dataset;
};

static int setup(void **state) {
    struct folder *folder = calloc(1, sizeof *folder);
    folder->dir = fixture_make_dir();
    folder->dataset = fixture_dataset(folder->dir, &shape, 10);
    *state = folder;
    return 0;
}

static int teardown(void **state) {
    struct folder *folder = *state;
    dataset_close(folder->dataset);
    fixture_remove_dir(folder->dir);
    free(folder);
    return 0;
}

static float normalised(const struct dataset *dataset, int value) {
    return ((float)value / 255.0f - dataset->mean[0]) / dataset->deviation[0];
}

/* Image `image` at side r into ret, by an augment of its own. */
static void render(const struct dataset *dataset, const struct augment_draw *draw, uint32_t image,
                   int r, float *ret) {
    struct augment *augment = NULL;
    struct err err = {0};
    assert_int_equal(augment_create(dataset, &r, 1, &err, &augment), 0);
    struct augment_scratch *scratch = NULL;
    assert_int_equal(augment_scratch_create(augment, &scratch), 0);
    augment_image(augment, draw, image, 0, scratch, ret);
    augment_scratch_destroy(scratch);
    augment_destroy(augment);
}

static void without_augmentation_pixels_are_normalised(void **state) {
    const struct dataset *dataset = ((struct folder *)*state)->dataset;
    float out[144];
    render(dataset, &(struct augment_draw){0}, 3, 12, out);
    for (int i = 0; i < 144; i++)
        assert_true(out[i] == normalised(dataset, dataset->images[3 * 144 + i]));
}

/* The drawn image must be a crop, mirrored or not, of the image with a black border. */
static bool is_crop(const struct dataset *dataset, const float *out, int pad, bool flip) {
    for (int dy = -pad; dy <= pad; dy++)
        for (int dx = -pad; dx <= pad; dx++) {
            bool same = true;
            for (int y = 0; same && y < 12; y++)
                for (int x = 0; same && x < 12; x++) {
                    int sy = y + dy, sx = (flip ? 11 - x : x) + dx;
                    bool inside = sy >= 0 && sy < 12 && sx >= 0 && sx < 12;
                    int value = inside ? dataset->images[5 * 144 + sy * 12 + sx] : 0;
                    same = out[y * 12 + x] == normalised(dataset, value);
                }
            if (same)
                return true;
        }
    return false;
}

static void crops_and_flips(void **state) {
    const struct dataset *dataset = ((struct folder *)*state)->dataset;
    struct augment_options options = {.pad = 2, .flip = true};
    struct augment_draw draw = {&options, 42, 0};
    int plain = 0, flipped = 0, distinct = 0;
    float out[144], before[144] = {0};
    for (draw.epoch = 0; draw.epoch < 60; draw.epoch++) {
        render(dataset, &draw, 5, 12, out);
        bool is_plain = is_crop(dataset, out, 2, false);
        bool is_flipped = is_crop(dataset, out, 2, true);
        assert_true(is_plain || is_flipped);
        plain += is_plain;
        flipped += is_flipped;
        distinct += memcmp(out, before, sizeof out) != 0;
        memcpy(before, out, sizeof out);
    }
    assert_true(plain > 15 && flipped > 15);
    assert_true(distinct > 50);
}

static void shift_beyond_the_image_is_black(void **state) {
    const struct dataset *dataset = ((struct folder *)*state)->dataset;
    struct augment_options options = {.pad = AUGMENT_PAD_MAX, .flip = true};
    struct augment_draw draw = {&options, 1, 0};
    float out[144];
    int black = 0;
    for (draw.epoch = 0; draw.epoch < 40; draw.epoch++) {
        render(dataset, &draw, 5, 12, out);
        int n = 0;
        for (int i = 0; i < 144; i++)
            n += out[i] == normalised(dataset, 0);
        black += n == 144;
    }
    assert_true(black > 20);
}

static void cutout_is_a_square_of_the_mean(void **state) {
    const struct dataset *dataset = ((struct folder *)*state)->dataset;
    struct augment_options options = {.cutout = 4};
    struct augment_draw draw = {&options, 3, 0};
    int largest = 0;
    float out[144];
    for (draw.epoch = 0; draw.epoch < 30; draw.epoch++) {
        int n = 0;
        render(dataset, &draw, 5, 12, out);
        for (int i = 0; i < 144; i++) {
            n += out[i] == 0;
            assert_true(out[i] == 0 || out[i] == normalised(dataset, dataset->images[5 * 144 + i]));
        }
        assert_in_range(n, 4, 16);
        largest = n > largest ? n : largest;
    }
    assert_int_equal(largest, 16);
}

/* A constant stays constant at any size, and shrinking by a half is the triangle filter's mean. */
static void resampling_keeps_constants_and_means(void **state) {
    struct dataset small = *((struct folder *)*state)->dataset;
    uint8_t pixels[144];
    float out[40 * 40];
    small.images = pixels;
    memset(pixels, 77, sizeof pixels);
    for (int r = 1; r <= 40; r++) {
        render(&small, &(struct augment_draw){0}, 0, r, out);
        for (int i = 0; i < r * r; i++)
            assert_true(fabsf(out[i] - normalised(&small, 77)) < 1e-5f);
    }
    for (int i = 0; i < 144; i++)
        pixels[i] = (uint8_t)(20 * (i % 12)); /* a ramp in x */
    render(&small, &(struct augment_draw){0}, 0, 6, out);
    for (int x = 1; x < 5; x++) /* away from the border the mean of a ramp is its middle */
        assert_true(fabsf(out[6 + x] - ((float)(40 * x + 10) / 255.0f - small.mean[0]) /
                                           small.deviation[0]) < 1e-4f);
    render(&small, &(struct augment_draw){0}, 0, 24, out);
    assert_true(fabsf(out[24 * 5 + 11] - ((105.0f / 255.0f) - small.mean[0]) / small.deviation[0]) <
                1e-4f);
}

static const int resolutions[] = {12, 8};

static struct loader_options training_options(const struct augment_options *augment) {
    return (struct loader_options){.split = SPLIT_TRAIN,
                                   .batch = 8,
                                   .shuffle = true,
                                   .drop_last = true,
                                   .augment = augment,
                                   .resolutions = resolutions,
                                   .n_resolutions = 2,
                                   .seed = 5,
                                   .end = 20,
                                   .queue = 3};
}

static struct loader *make(const struct dataset *dataset, const struct loader_options *options) {
    struct loader *loader = NULL;
    struct err err = {0};
    if (loader_create(dataset, options, &err, &loader) != 0)
        fail_msg("%s", err.message);
    return loader;
}

static void assert_same_batch(const struct loader_batch *a, const struct loader_batch *b) {
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->resolution, b->resolution);
    size_t side = (size_t)resolutions[a->resolution];
    assert_memory_equal(a->labels, b->labels, (size_t)a->n * sizeof *a->labels);
    assert_memory_equal(a->images, b->images, (size_t)a->n * side * side * sizeof(float));
}

static void batches_do_not_depend_on_threads(void **state) {
    const struct dataset *dataset = ((struct folder *)*state)->dataset;
    struct augment_options augment = {.pad = 2, .flip = true};
    for (int threads = 1; threads <= 4; threads++) {
        struct loader_options options = training_options(&augment);
        struct loader *plain = make(dataset, &options), *threaded;
        struct loader_batch a, b;
        int n = 0;
        options.threads = threads;
        threaded = make(dataset, &options);
        for (; loader_next(plain, &a); n++) {
            assert_true(loader_next(threaded, &b));
            assert_same_batch(&a, &b);
        }
        assert_int_equal(n, 20);
        assert_false(loader_next(threaded, &b));
        assert_false(loader_next(threaded, &b));
        loader_destroy(plain);
        loader_destroy(threaded);
    }
}

static void reading_can_start_anywhere(void **state) {
    const struct dataset *dataset = ((struct folder *)*state)->dataset;
    struct augment_options augment = {.pad = 1};
    struct loader_options options = training_options(&augment);
    struct loader *whole = make(dataset, &options), *late;
    struct loader_batch a = {0}, b;
    options.first = 13;
    options.threads = 2;
    late = make(dataset, &options);
    do
        assert_true(loader_next(whole, &a));
    while (a.number < 13);
    for (bool more = true; more; more = loader_next(whole, &a)) {
        assert_true(loader_next(late, &b));
        assert_same_batch(&a, &b);
    }
    assert_false(loader_next(late, &b));
    loader_destroy(whole);
    loader_destroy(late);
}

static void an_epoch_holds_every_image_once(void **state) {
    const struct dataset *dataset = ((struct folder *)*state)->dataset;
    struct loader_options options = training_options(NULL);
    options.batch = 7;
    options.drop_last = false;
    options.end = 0;
    options.threads = 2;
    struct loader *loader = make(dataset, &options);
    struct loader_batch batch;
    assert_int_equal(loader_batches_per_epoch(loader), 8); /* 50 = 7 * 7 + 1 */
    uint32_t first_of_epoch[2] = {0};
    for (int epoch = 0; epoch < 2; epoch++) {
        int seen[60] = {0}, n = 0;
        for (int i = 0; i < 8; i++) {
            assert_true(loader_next(loader, &batch));
            assert_int_equal(batch.epoch, epoch);
            assert_int_equal(batch.n, i < 7 ? 7 : 1);
            if (i == 0)
                first_of_epoch[epoch] = batch.indices[0] * 60 + batch.indices[1];
            for (int j = 0; j < batch.n; j++) {
                assert_int_equal(batch.labels[j], dataset->labels[batch.indices[j]]);
                seen[batch.indices[j]]++;
                n++;
            }
        }
        assert_int_equal(n, 50);
        for (int i = 0; i < 60; i++)
            assert_true(seen[i] <= 1);
    }
    assert_int_not_equal(first_of_epoch[0], first_of_epoch[1]);
    loader_destroy(loader);
}

static void a_limit_takes_the_first_images(void **state) {
    const struct dataset *dataset = ((struct folder *)*state)->dataset;
    struct loader_options options = {.split = SPLIT_TEST,
                                     .batch = 8,
                                     .limit = 11,
                                     .resolutions = resolutions,
                                     .n_resolutions = 1,
                                     .once = true};
    struct loader *loader = make(dataset, &options);
    struct loader_batch batch;
    assert_true(loader_next(loader, &batch));
    assert_int_equal(batch.indices[0], 60);
    assert_true(loader_next(loader, &batch));
    assert_int_equal(batch.n, 3);
    assert_int_equal(batch.indices[2], 70);
    assert_false(loader_next(loader, &batch));
    loader_destroy(loader);
}

static void refuses_what_gives_no_batch(void **state) {
    const struct dataset *dataset = ((struct folder *)*state)->dataset;
    struct loader_options options = training_options(NULL);
    struct loader *loader = NULL;
    struct err err = {0};
    options.batch = 51;
    assert_int_equal(loader_create(dataset, &options, &err, &loader), ESP_EINVAL);
    assert_string_equal(err.pointer, "/batch");
    options.batch = 0;
    assert_int_equal(loader_create(dataset, &options, &err, &loader), ESP_EINVAL);
    options = training_options(NULL);
    options.n_resolutions = 0;
    assert_int_equal(loader_create(dataset, &options, &err, &loader), ESP_EINVAL);
    assert_null(loader);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

enum { GRADIENT = 64 };

/* Three channels: 3 * x, 3 * y and 100; mean 0 and deviation 1 / 255, so that bytes come out. */
static struct dataset gradient_dataset(uint8_t pixels[3 * GRADIENT * GRADIENT]) {
    struct dataset dataset = {.channels = 3, .height = GRADIENT, .width = GRADIENT};
    for (int i = 0; i < GRADIENT * GRADIENT; i++) {
        pixels[i] = (uint8_t)(3 * (i % GRADIENT));
        pixels[GRADIENT * GRADIENT + i] = (uint8_t)(3 * (i / GRADIENT));
        pixels[2 * GRADIENT * GRADIENT + i] = 100;
    }
    dataset.images = pixels;
    for (int c = 0; c < 3; c++)
        dataset.deviation[c] = 1 / 255.0f;
    return dataset;
}

/* In a gradient that is enlarged, the slope tells the box's side and the level its place. */
static void crops_lie_inside_and_have_the_wanted_shapes(void **state) {
    static uint8_t pixels[3 * GRADIENT * GRADIENT];
    struct dataset dataset = gradient_dataset(pixels);
    struct augment_options options = {
        .crop = true, .scale = {0.2, 0.6}, .ratio = {0.5, 2}, .flip = true};
    struct augment_draw draw = {&options, 5, 0};
    enum { R = 96, MIDDLE = R * R / 2 + R / 2 };
    static float out[3 * R * R];
    int flipped = 0, wide = 0, high = 0, lefts[GRADIENT] = {0};
    for (draw.epoch = 0; draw.epoch < 200; draw.epoch++) {
        render(&dataset, &draw, 0, R, out);
        const float *xs = out + MIDDLE, *ys = out + R * R + MIDDLE;
        double dx = (xs[10] - xs[0]) / 30.0, dy = (ys[10 * R] - ys[0]) / 30.0;
        bool flip = dx < 0;
        double width = fabs(dx) * R, height = dy * R;
        double left = xs[0] / 3.0 + 0.5 - ((flip ? R - 1 - R / 2 : R / 2) + 0.5) * fabs(dx);
        double top = ys[0] / 3.0 + 0.5 - (R / 2 + 0.5) * dy;
        assert_true(fabs(width - round(width)) < 0.01 && fabs(height - round(height)) < 0.01);
        assert_true(fabs(left - round(left)) < 0.02 && fabs(top - round(top)) < 0.02);
        assert_true(left > -0.02 && left + width < GRADIENT + 0.02);
        assert_true(top > -0.02 && top + height < GRADIENT + 0.02);
        double area = width * height / (GRADIENT * GRADIENT), ratio = width / height;
        assert_true(area > 0.19 && area < 0.62 && ratio > 0.48 && ratio < 2.1);
        flipped += flip;
        wide += ratio > 1.1;
        high += ratio < 0.9;
        lefts[(int)lround(left)]++;
        for (int i = 0; i < R * R; i++)
            assert_true(fabsf(out[2 * R * R + i] - 100) < 0.01f);
    }
    int places = 0;
    for (int i = 0; i < GRADIENT; i++)
        places += lefts[i] > 0;
    assert_in_range(flipped, 70, 130);
    assert_true(wide > 50 && high > 50 && places > 15);
}

static void a_crop_of_all_is_a_resize(void **state) {
    const struct dataset *dataset = ((struct folder *)*state)->dataset;
    struct augment_options options = {.crop = true, .scale = {1, 1}, .ratio = {1, 1}};
    struct augment_draw draw = {&options, 5, 3};
    static const int sides[] = {5, 8, 12, 19};
    for (int i = 0; i < 4; i++) {
        float cropped[19 * 19], resized[19 * 19];
        render(dataset, &draw, 7, sides[i], cropped);
        render(dataset, &(struct augment_draw){0}, 7, sides[i], resized);
        for (int j = 0; j < sides[i] * sides[i]; j++)
            assert_true(fabsf(cropped[j] - resized[j]) < 1e-4f);
    }
}

/* A ratio that no box of the wanted area has: the middle box, as high as the ratio lets it be. */
static void an_impossible_crop_is_the_middle_box(void **state) {
    struct augment_options options = {.crop = true, .scale = {1, 1}, .ratio = {4, 4}};
    struct rng rng = rng_make(1, RNG_TEST, 0, 0);
    struct crop_box box = crop_box_draw(&rng, &options, 40, 60);
    assert_int_equal(box.width, 60);
    assert_int_equal(box.height, 15);
    assert_int_equal(box.top, 12);
    options.ratio[0] = options.ratio[1] = 0.25;
    box = crop_box_draw(&rng, &options, 40, 60);
    assert_int_equal(box.height, 40);
    assert_int_equal(box.width, 10);
    assert_int_equal(box.left, 25);
}

static void assert_near(const float *planes, const float *expected, int n) {
    for (int i = 0; i < n; i++)
        if (fabsf(planes[i] - expected[i]) > 1e-6f)
            fail_msg("value %d is %g, not %g", i, (double)planes[i], (double)expected[i]);
}

/* Two pixels, (0.2, 0.4, 0.6) and (1, 0, 0.5), by hand. Greys: 0.3630 and 0.3560. */
static void jitter_is_what_was_worked_out_by_hand(void **state) {
    const float given[6] = {0.2f, 1, 0.4f, 0, 0.6f, 0.5f};
    float planes[6];
    memcpy(planes, given, sizeof given);
    jitter_apply(&(struct jitter){1, 1, 1}, 3, 2, planes);
    assert_memory_equal(planes, given, sizeof given);
    jitter_apply(&(struct jitter){1.5f, 1, 1}, 3, 2, planes);
    assert_near(planes, (float[6]){0.3f, 1, 0.6f, 0, 0.9f, 0.75f}, 6);
    memcpy(planes, given, sizeof given);
    jitter_apply(&(struct jitter){1, 0.5f, 1}, 3, 2, planes); /* mean grey 0.3595 */
    assert_near(planes, (float[6]){0.27975f, 0.67975f, 0.37975f, 0.17975f, 0.47975f, 0.42975f}, 6);
    memcpy(planes, given, sizeof given);
    jitter_apply(&(struct jitter){1, 1, 2}, 3, 2, planes);
    assert_near(planes, (float[6]){0.037f, 1, 0.437f, 0, 0.837f, 0.644f}, 6);
    memcpy(planes, given, sizeof given);
    jitter_apply(&(struct jitter){1, 1, 0}, 3, 2, planes);
    assert_near(planes, (float[6]){0.363f, 0.356f, 0.363f, 0.356f, 0.363f, 0.356f}, 6);
    memcpy(planes, given, sizeof given);
    jitter_apply(&(struct jitter){0.5f, 2, 5}, 1, 2, planes); /* 0.1, 0.5: mean 0.3 */
    assert_near(planes, (float[2]){0, 0.7f}, 2);
}

/* Through augment_image: one grey level stays one, and the levels spread over the range. */
static void jitter_changes_levels_and_follows_the_draw(void **state) {
    struct dataset small = *((struct folder *)*state)->dataset;
    struct augment_options options = {.brightness = 0.5};
    struct augment_draw draw = {&options, 11, 0};
    uint8_t pixels[144];
    float out[144], again[144];
    double low = 1e9, high = 0;
    memset(pixels, 100, sizeof pixels);
    small.images = pixels;
    for (draw.epoch = 0; draw.epoch < 100; draw.epoch++) {
        render(&small, &draw, 0, 12, out);
        render(&small, &draw, 0, 12, again);
        assert_memory_equal(out, again, sizeof out);
        double value = 255 * ((double)out[0] * small.deviation[0] + small.mean[0]);
        low = fmin(low, value);
        high = fmax(high, value);
    }
    assert_true(low > 49.9 && low < 56 && high > 144 && high < 150.1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_augmentation_pixels_are_normalised),
        TEST(crops_and_flips),
        TEST(shift_beyond_the_image_is_black),
        TEST(cutout_is_a_square_of_the_mean),
        TEST(resampling_keeps_constants_and_means),
        TEST(batches_do_not_depend_on_threads),
        TEST(reading_can_start_anywhere),
        TEST(an_epoch_holds_every_image_once),
        TEST(a_limit_takes_the_first_images),
        TEST(refuses_what_gives_no_batch),
        cmocka_unit_test_setup_teardown(a_crop_of_all_is_a_resize, setup, teardown),
        cmocka_unit_test_setup_teardown(jitter_changes_levels_and_follows_the_draw, setup,
                                        teardown),
        cmocka_unit_test(crops_lie_inside_and_have_the_wanted_shapes),
        cmocka_unit_test(an_impossible_crop_is_the_middle_box),
        cmocka_unit_test(jitter_is_what_was_worked_out_by_hand),
    };
    return cmocka_run_group_tests_name("supernet-loader", tests, NULL, NULL);
}
