#include "fixture.h"

#include "base/parallel.h"
#include "runtime/plan.h"
#include "supernet/evaluate_store.h"
#include "supernet/loader.h"
#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct fixture_idx shape = {.n_train = 260, .n_test = 90, .side = 12, .n_classes = 5};

struct bed {
    char *dir;
    struct dataset *dataset;
    struct space *space;
    struct supernet *supernet;
    struct evaluation_options options;
};

/* Running statistics that fit no subnet, as training leaves them for all but the largest. */
static void disturb(struct supernet *supernet) {
    for (int i = 0; i < supernet->n_tensors; i++) {
        struct tensor *tensor = &supernet->tensors[i];
        struct rng rng = rng_make(5, RNG_TEST, 0, (uint32_t)i);
        for (size_t j = 0; j < tensor->count; j++)
            if (tensor->kind == TENSOR_BN_MEAN)
                tensor->data[j] += (float)rng_normal(&rng);
            else if (tensor->kind == TENSOR_BN_VARIANCE)
                tensor->data[j] *= (float)(0.2 + 3 * rng_unit(&rng));
    }
}

static int setup(void **state) {
    struct bed *bed = calloc(1, sizeof *bed);
    struct err err = {0};
    bed->dir = fixture_make_dir();
    bed->dataset = fixture_dataset(bed->dir, &shape, 60);
    bed->space = fixture_space(5);
    assert_int_equal(supernet_create(bed->space, 3, &err, &bed->supernet), 0);
    disturb(bed->supernet);
    bed->options = (struct evaluation_options){
        .supernet = bed->supernet,
        .dataset = bed->dataset,
        .recalibration = {.images = 120, .batch = 50, .seed = 4, .augment = {.pad = 1}},
        .batch = 16};
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    struct bed *bed = *state;
    supernet_destroy(bed->supernet);
    space_destroy(bed->space);
    dataset_close(bed->dataset);
    fixture_remove_dir(bed->dir);
    free(bed);
    return 0;
}

static struct score score(const struct evaluation_options *options,
                          const struct score_request *request) {
    struct evaluation *evaluation = NULL;
    struct score score = {0};
    struct err err = {0};
    if (evaluation_create(options, &err, &evaluation) != 0 ||
        evaluation_score(evaluation, request, &err, &score) != 0)
        fail_msg("%s", err.message);
    evaluation_destroy(evaluation);
    return score;
}

/* The same by hand: the engine's own statistics and its forward pass, one batch. */
static struct score score_by_engine(struct bed *bed, const struct arch *arch, bool recalibrate) {
    struct engine *engine = NULL;
    struct err err = {0};
    struct engine_limits limits = {.batch = 60, .resolution = 12};
    struct bn_stats *stats = NULL;
    struct loader *loader = NULL;
    struct loader_batch batch;
    static float logits[60 * 5];
    struct loader_options read = {.split = SPLIT_TRAIN,
                                  .batch = 50,
                                  .shuffle = true,
                                  .limit = 120,
                                  .augment = &bed->options.recalibration.augment,
                                  .seed = 4,
                                  .resolutions = &bed->space->resolutions[arch->resolution],
                                  .n_resolutions = 1,
                                  .once = true};
    assert_int_equal(engine_create(bed->supernet, NULL, &limits, &err, &engine), 0);
    assert_int_equal(bn_stats_create(bed->space, arch, &err, &stats), 0);
    assert_int_equal(loader_create(bed->dataset, &read, &err, &loader), 0);
    while (recalibrate && loader_next(loader, &batch)) {
        struct engine_run run = {.arch = arch,
                                 .mode = ENGINE_RECALIBRATE,
                                 .images = batch.images,
                                 .n = batch.n,
                                 .bn_stats = stats};
        assert_int_equal(engine_forward(engine, &run, &err, logits), 0);
    }
    loader_destroy(loader);
    read = (struct loader_options){.split = SPLIT_VALIDATION,
                                   .batch = 60,
                                   .n_resolutions = 1,
                                   .resolutions = &bed->space->resolutions[arch->resolution],
                                   .once = true};
    assert_int_equal(loader_create(bed->dataset, &read, &err, &loader), 0);
    assert_true(loader_next(loader, &batch));
    struct engine_run run = {.arch = arch,
                             .mode = ENGINE_EVAL,
                             .images = batch.images,
                             .n = batch.n,
                             .bn_stats = recalibrate ? stats : NULL};
    assert_int_equal(engine_forward(engine, &run, &err, logits), 0);
    struct score score = {.images = batch.n};
    for (int i = 0; i < batch.n; i++) {
        double sum = 0;
        int best = 0;
        for (int c = 0; c < 5; c++) {
            sum += exp(logits[i * 5 + c]);
            best = logits[i * 5 + c] > logits[i * 5 + best] ? c : best;
        }
        score.top1 += (best == batch.labels[i]) / (double)batch.n;
        score.loss += (log(sum) - logits[i * 5 + batch.labels[i]]) / batch.n;
    }
    loader_destroy(loader);
    bn_stats_destroy(stats);
    engine_destroy(engine);
    return score;
}

static void agrees_with_the_engine(void **state) {
    struct bed *bed = *state;
    for (uint32_t i = 0; i < 10; i++) {
        struct arch arch;
        struct rng rng = rng_make(8, RNG_TEST, 0, i);
        arch_random(bed->space, &rng, &arch);
        for (int recalibrate = 0; recalibrate < 2; recalibrate++) {
            struct score_request request = {&arch, SPLIT_VALIDATION, 0, recalibrate};
            struct score a = score(&bed->options, &request);
            struct score b = score_by_engine(bed, &arch, recalibrate);
            assert_int_equal(a.images, 60);
            assert_int_equal(b.images, 60);
            assert_true(fabs(a.loss - b.loss) <= 1e-4 * fabs(b.loss));
            assert_true(fabs(a.top1 - b.top1) < 1.5 / 60); /* one tie may fall either way */
        }
    }
}

static void recalibration_matters_and_repeats(void **state) {
    struct bed *bed = *state;
    struct arch arch;
    arch_min(bed->space, &arch);
    struct score_request request = {&arch, SPLIT_VALIDATION, 0, true};
    struct score a = score(&bed->options, &request), b = score(&bed->options, &request), raw;
    assert_true(a.loss == b.loss && a.top1 == b.top1);
    request.recalibrate = false;
    raw = score(&bed->options, &request);
    assert_true(fabs(raw.loss - a.loss) > 0.01 * a.loss);
}

static void threads_and_batches_do_not_matter(void **state) {
    struct bed *bed = *state;
    struct arch arch;
    struct parallel *pool = NULL;
    arch_max(bed->space, &arch);
    struct score_request request = {&arch, SPLIT_TEST, 0, true};
    struct score a = score(&bed->options, &request), b;
    assert_int_equal(parallel_create(3, &pool), 0);
    bed->options.pool = pool;
    bed->options.batch = 90;
    b = score(&bed->options, &request);
    assert_true(a.top1 == b.top1);
    assert_true(fabs(a.loss - b.loss) < 1e-12); /* the batches' means are added in another order */
    assert_int_equal(b.images, 90);
    request.limit = 33;
    assert_int_equal(score(&bed->options, &request).images, 33);
    parallel_destroy(pool);
}

static void refuses_what_does_not_fit(void **state) {
    struct bed *bed = *state;
    struct evaluation *evaluation = NULL;
    struct err err = {0};
    struct space *other = fixture_space(6);
    struct supernet *supernet = NULL;
    assert_int_equal(supernet_create(other, 0, &err, &supernet), 0);
    struct evaluation_options options = bed->options;
    options.supernet = supernet;
    assert_int_equal(evaluation_create(&options, &err, &evaluation), ESP_EMISMATCH);
    assert_string_equal(err.message, "the space has 6 classes, the data set 5");
    supernet_destroy(supernet);
    space_destroy(other);
    options = bed->options;
    options.recalibration.batch = 1;
    assert_int_equal(evaluation_create(&options, &err, &evaluation), ESP_EINVAL);
    assert_null(evaluation);
    assert_int_equal(evaluation_create(&bed->options, &err, &evaluation), 0);
    struct arch arch;
    struct score score;
    arch_max(bed->space, &arch);
    arch.kernel[0] = 7;
    struct score_request request = {&arch, SPLIT_TEST, 0, true};
    assert_int_equal(evaluation_score(evaluation, &request, &err, &score), ESP_EINVAL);
    evaluation_destroy(evaluation);
}

static void the_cache_keeps_apart_what_differs(void **state) {
    struct bed *bed = *state;
    struct evaluation_cache *cache = NULL;
    struct arch arch, smallest;
    arch_max(bed->space, &arch);
    arch_min(bed->space, &smallest);
    assert_int_equal(evaluation_cache_create(100, &cache), 0);
    struct evaluation_options others[4] = {bed->options, bed->options, bed->options, bed->options};
    others[1].recalibration.images++;
    others[2].recalibration.seed++;
    others[3].recalibration.augment.flip = true;
    struct score_request requests[] = {{&arch, SPLIT_VALIDATION, 0, true},
                                       {&arch, SPLIT_TEST, 0, true},
                                       {&arch, SPLIT_VALIDATION, 10, true},
                                       {&arch, SPLIT_VALIDATION, 0, false},
                                       {&smallest, SPLIT_VALIDATION, 0, true}};
    struct evaluation_key keys[9];
    int n = 0;
    for (int i = 0; i < 5; i++)
        evaluation_key_make("c1", &bed->options, &requests[i], &keys[n++]);
    for (int i = 1; i < 4; i++)
        evaluation_key_make("c1", &others[i], &requests[0], &keys[n++]);
    evaluation_key_make("c2", &bed->options, &requests[0], &keys[n++]);
    for (int i = 0; i < n; i++) {
        struct score score = {.top1 = i, .images = 1}, found;
        assert_false(evaluation_cache_find(cache, &keys[i], &found));
        assert_int_equal(evaluation_cache_put(cache, &keys[i], &score), 0);
    }
    for (int i = 0; i < n; i++) {
        struct score found;
        assert_true(evaluation_cache_find(cache, &keys[i], &found));
        assert_true(found.top1 == i);
    }
    struct evaluation_key raw;
    evaluation_key_make("c1", &others[2], &requests[3], &raw); /* raw: recalibration is no matter */
    struct score found;
    assert_true(evaluation_cache_find(cache, &raw, &found) && found.top1 == 3);
    evaluation_cache_destroy(cache);
}

static void the_cache_is_bounded(void **state) {
    struct bed *bed = *state;
    struct evaluation_cache *cache = NULL;
    struct score score = {.top1 = 0.5};
    int known = 0;
    assert_int_equal(evaluation_cache_create(200, &cache), 0);
    for (int i = 0; i < 1000; i++) {
        struct arch arch;
        arch_max(bed->space, &arch);
        struct score_request request = {&arch, SPLIT_TEST, (size_t)i + 1, true};
        struct evaluation_key key;
        evaluation_key_make("c", &bed->options, &request, &key);
        assert_int_equal(evaluation_cache_put(cache, &key, &score), 0);
        assert_true(evaluation_cache_find(cache, &key, &score));
    }
    for (int i = 0; i < 1000; i++) {
        struct arch arch;
        arch_max(bed->space, &arch);
        struct score_request request = {&arch, SPLIT_TEST, (size_t)i + 1, true};
        struct evaluation_key key;
        evaluation_key_make("c", &bed->options, &request, &key);
        known += evaluation_cache_find(cache, &key, &score);
    }
    assert_in_range(known, 1, 200);
    evaluation_cache_destroy(cache);
}

/* Scores of both kinds, and how often statistics were worked out for them. */
static int64_t score_twice(const struct evaluation_options *options, const struct arch *arch,
                           struct score ret_scores[2]) {
    struct evaluation *evaluation = NULL;
    struct err err = {0};
    struct score_request request = {arch, SPLIT_VALIDATION, 0, true};
    assert_int_equal(evaluation_create(options, &err, &evaluation), 0);
    assert_int_equal(evaluation_score(evaluation, &request, &err, &ret_scores[0]), 0);
    request.split = SPLIT_TEST;
    assert_int_equal(evaluation_score(evaluation, &request, &err, &ret_scores[1]), 0);
    int64_t n = evaluation_recalibrations(evaluation);
    evaluation_destroy(evaluation);
    return n;
}

static void damage_stats(const char *dir) {
    char pattern[500];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*/*", dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        FILE *file = fopen(found.gl_pathv[i], "r+");
        assert_non_null(file);
        assert_int_equal(fseek(file, -20, SEEK_END), 0);
        assert_int_equal(fwrite("damage", 1, 6, file), 6);
        fclose(file);
    }
    globfree(&found);
}

/* Once for each checkpoint and arch, whatever asks; the scores are those without a store. */
static void statistics_are_recalibrated_once(void **state) {
    struct bed *bed = *state;
    struct evaluation_options options = bed->options;
    struct score plain[2], kept[2];
    struct arch arch;
    char dir[400];
    arch_min(bed->space, &arch);
    snprintf(dir, sizeof dir, "%s/evaluations", bed->dir);
    assert_int_equal(evaluation_store_open(dir, 1 << 26, NULL, &options.store), 0);
    options.checkpoint = "c1";
    assert_int_equal(score_twice(&bed->options, &arch, plain), 2);
    assert_int_equal(score_twice(&options, &arch, kept), 1);
    assert_memory_equal(plain, kept, sizeof plain);
    assert_int_equal(score_twice(&options, &arch, kept), 0);
    assert_memory_equal(plain, kept, sizeof plain);
    damage_stats(dir);
    assert_int_equal(score_twice(&options, &arch, kept), 1);
    assert_memory_equal(plain, kept, sizeof plain);
    assert_int_equal(score_twice(&options, &arch, kept), 0);
    options.checkpoint = "c2"; /* trained on */
    assert_int_equal(score_twice(&options, &arch, kept), 1);
    options.recalibration.seed++;
    assert_int_equal(score_twice(&options, &arch, kept), 1);
    assert_int_equal(evaluation_store_failure(options.store)->code, 0);
    evaluation_store_close(options.store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(agrees_with_the_engine),
        TEST(recalibration_matters_and_repeats),
        TEST(threads_and_batches_do_not_matter),
        TEST(refuses_what_does_not_fit),
        TEST(the_cache_keeps_apart_what_differs),
        TEST(the_cache_is_bounded),
        TEST(statistics_are_recalibrated_once),
    };
    return cmocka_run_group_tests_name("supernet-evaluate", tests, NULL, NULL);
}
