/* Channel sorting: what trained subnets compute stays, what untrained ones use gets important. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "supernet/channel_sort.h"
#include "supernet/engine.h"
#include "supernet/supernet_map.h"

enum { IMAGES = 3, SIDE = 16, CLASSES = 5, LOGITS = IMAGES * CLASSES };

static const char space_text[] =
    "{\"name\": \"sorted\", \"description\": \"\", \"input_channels\": 3, \"n_classes\": 5,"
    "\"resolutions\": [16],"
    "\"stem\": {\"channels\": 16, \"kernel_size\": 3, \"stride\": 1, \"act\": \"h_swish\"},"
    "\"stages\": ["
    "{\"depths\": [1, 2], \"channels\": [16, 24], \"kernel_sizes\": [3, 5], \"expand_ratios\": [1, "
    "2, 3], \"stride\": 2, \"act\": \"relu\", \"se\": false},"
    "{\"depths\": [2], \"channels\": [24], \"kernel_sizes\": [3, 5], \"expand_ratios\": [3, 4, 6], "
    "\"stride\": 1, \"act\": \"h_swish\", \"se\": true}],"
    "\"head\": {\"expand_channels\": 32, \"mix_channels\": 0, \"act\": \"h_swish\"}}";

struct fixture {
    struct space *space;
    struct supernet *net;
    float images[IMAGES * 3 * SIDE * SIDE];
};

static void fill_momentum(struct supernet *net) {
    for (int i = 0; i < net->n_tensors; i++)
        for (size_t j = 0; net->tensors[i].momentum && j < net->tensors[i].count; j++)
            net->tensors[i].momentum[j] = 2 * net->tensors[i].data[j];
}

static void open_net_of(struct fixture *f, const char *text) {
    struct err err = {0};
    if (space_parse(text, strlen(text), &err, &f->space) != 0)
        fail_msg("%s: %s", err.pointer, err.message);
    assert_int_equal(supernet_create(f->space, 1, &err, &f->net), 0);
    golden_fill(f->net);
    fill_momentum(f->net);
    golden_noise("images", sizeof f->images / sizeof *f->images, f->images);
}

static void open_net(struct fixture *f) {
    open_net_of(f, space_text);
}

static void close_net(struct fixture *f) {
    supernet_destroy(f->net);
    space_destroy(f->space);
}

static void logits_of(struct fixture *f, const char *text, float ret_logits[LOGITS]) {
    struct err err = {0};
    struct engine *engine = NULL;
    struct arch arch;
    struct engine_limits limits = {IMAGES, SIDE, false};
    if (arch_parse(f->space, text, strlen(text), &err, &arch) != 0)
        fail_msg("%s", err.message);
    struct engine_run run = {.arch = &arch, .mode = ENGINE_EVAL, .images = f->images, .n = IMAGES};
    assert_int_equal(engine_create(f->net, NULL, &limits, &err, &engine), 0);
    assert_int_equal(engine_forward(engine, &run, &err, ret_logits), 0);
    engine_destroy(engine);
}

static double distance(const float *a, const float *b) {
    double most = 0, size = 0;
    for (int i = 0; i < LOGITS; i++) {
        most = fmax(most, fabs((double)a[i] - b[i]));
        size = fmax(size, fabs((double)b[i]));
    }
    return most / size;
}

static void sort_net(struct fixture *f, int trained, bool se_as_a_whole) {
    struct channel_sort_options options = {trained, se_as_a_whole};
    struct err err = {0};
    assert_int_equal(channel_sort(f->net, &options, &err), 0);
}

/* relative change of a subnet's logits by sorting */
static double change_in(const char *text, const char *arch, int trained, bool se_as_a_whole) {
    struct fixture f;
    float before[LOGITS], after[LOGITS];
    open_net_of(&f, text);
    logits_of(&f, arch, before);
    sort_net(&f, trained, se_as_a_whole);
    logits_of(&f, arch, after);
    close_net(&f);
    return distance(after, before);
}

static double change(const char *arch, int trained, bool se_as_a_whole) {
    return change_in(space_text, arch, trained, se_as_a_whole);
}

#define LARGEST "r16 | d2 c24 k5e3 k5e3 | d2 c24 k5e6 k5e6"
#define NARROW_INPUT "r16 | d2 c16 k5e3 k5e3 | d2 c24 k5e6 k5e6"
#define MIDDLE "r16 | d2 c24 k5e2 k3e3 | d2 c24 k3e4 k5e6"
#define SMALLEST "r16 | d1 c16 k3e1 | d2 c24 k3e3 k3e3"

static void test_trained_subnets_stay(void **state) {
    assert_true(change(LARGEST, 1, false) < 1e-5);
    assert_true(change(LARGEST, 1, true) < 1e-5);
    assert_true(change(NARROW_INPUT, 1, false) < 1e-5);
    assert_true(change(MIDDLE, 1, false) > 1e-3);
    assert_true(change(MIDDLE, 2, false) < 1e-5);
    assert_true(change(LARGEST, 2, false) < 1e-5);
    assert_true(change(SMALLEST, 2, false) > 1e-3);
    assert_true(change(SMALLEST, 3, false) < 1e-5);
    assert_true(change(SMALLEST, 100, false) < 1e-5);
}

/* As once-for-all does it, SE of narrower trained subnets changes. */
static void test_se_as_a_whole_changes_narrower_ones(void **state) {
    assert_true(change(LARGEST, 2, true) < 1e-5);
    assert_true(change(MIDDLE, 2, true) > 1e-3);
}

/* Bottlenecks have two layers of inside channels to sort; plain convolutions none. */
static void test_bottlenecks(void **state) {
    static const char text[] =
        "{\"name\": \"sorted\", \"description\": \"\", \"input_channels\": 3, \"n_classes\": 5,"
        "\"resolutions\": [16],"
        "\"stem\": {\"channels\": 16, \"kernel_size\": 3, \"stride\": 1, \"act\": \"relu\"},"
        "\"stages\": ["
        "{\"block\": \"conv\", \"depths\": [1], \"channels\": [16], \"kernel_sizes\": [3, 5],"
        "\"stride\": 2, \"act\": \"relu\"},"
        "{\"block\": \"bottleneck\", \"depths\": [2], \"channels\": [32, 48], \"kernel_sizes\": "
        "[3, 5], \"expand_ratios\": [0.25, 0.5, 1], \"stride\": 1, \"act\": \"h_swish\"}],"
        "\"head\": {\"expand_channels\": 0, \"mix_channels\": 0, \"act\": \"relu\"}}";
#define WIDE "r16 | d1 c16 k5 | d2 c48 k5e1 k5e1"
#define NARROW_OUTPUT "r16 | d1 c16 k5 | d2 c32 k3e1 k5e1"
#define HALF "r16 | d1 c16 k5 | d2 c48 k5e0.5 k5e0.5"
    assert_true(change_in(text, WIDE, 1, false) < 1e-5);
    assert_true(change_in(text, NARROW_OUTPUT, 1, false) < 1e-5);
    assert_true(change_in(text, HALF, 1, false) > 1e-3);
    assert_true(change_in(text, HALF, 2, false) < 1e-5);
    assert_true(change_in(text, WIDE, 2, false) < 1e-5);
}

static double importance(const struct tensor *weight, int channel) {
    double sum = 0;
    for (int o = 0; o < weight->dims[0]; o++)
        sum += fabs((double)weight->data[o * weight->dims[1] + channel]);
    return sum;
}

static bool descending(const struct tensor *weight, int from, int to) {
    for (int c = from + 1; c < to; c++)
        if (importance(weight, c - 1) < importance(weight, c))
            return false;
    return true;
}

static void test_prefixes_hold_the_most_important(void **state) {
    struct fixture f;
    open_net(&f);
    /* stage 0 has inputs of 16; stage 1 reads 16 or 24 channels, its first block's groups end at
     * 6 x 16 = 96 and 6 x 24 = 144; its second block reads 24 only */
    const struct block_tensors *first = &f.net->map->blocks[0], *wide = &f.net->map->blocks[2],
                               *last = &f.net->map->blocks[3];
    assert_false(descending(first->project, 0, 48));
    sort_net(&f, 1, false);
    assert_true(descending(first->project, 0, 48));
    assert_true(descending(wide->project, 0, 96));
    assert_true(descending(wide->project, 96, 144));
    assert_true(descending(last->project, 0, 144));
    assert_true(descending(last->se_expand, 0, 40));
    close_net(&f);
    open_net(&f);
    sort_net(&f, 2, false);
    last = &f.net->map->blocks[3];
    assert_true(descending(last->project, 0, 96));
    assert_true(descending(last->project, 96, 144));
    assert_true(descending(last->se_expand, 0, 24));
    assert_true(descending(last->se_expand, 24, 40));
    close_net(&f);
}

/* Momentum was twice the weights, so it must be afterwards. */
static void test_momentum_moves_along(void **state) {
    struct fixture f;
    open_net(&f);
    sort_net(&f, 1, false);
    for (int i = 0; i < f.net->n_tensors; i++)
        for (size_t j = 0; f.net->tensors[i].momentum && j < f.net->tensors[i].count; j++)
            assert_true(f.net->tensors[i].momentum[j] == 2 * f.net->tensors[i].data[j]);
    close_net(&f);
}

static void test_sorting_twice_changes_nothing(void **state) {
    struct fixture f;
    open_net(&f);
    sort_net(&f, 1, false);
    size_t count = f.net->map->blocks[3].expand->count;
    float *once = malloc(count * sizeof *once);
    assert_non_null(once);
    memcpy(once, f.net->map->blocks[3].expand->data, count * sizeof *once);
    sort_net(&f, 1, false);
    assert_memory_equal(once, f.net->map->blocks[3].expand->data, count * sizeof *once);
    free(once);
    close_net(&f);
}

static void test_nothing_trained_is_refused(void **state) {
    struct fixture f;
    struct err err = {0};
    open_net(&f);
    assert_int_equal(channel_sort(f.net, &(struct channel_sort_options){0}, &err), ESP_EINVAL);
    close_net(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trained_subnets_stay),
        cmocka_unit_test(test_bottlenecks),
        cmocka_unit_test(test_se_as_a_whole_changes_narrower_ones),
        cmocka_unit_test(test_prefixes_hold_the_most_important),
        cmocka_unit_test(test_momentum_moves_along),
        cmocka_unit_test(test_sorting_twice_changes_nothing),
        cmocka_unit_test(test_nothing_trained_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
