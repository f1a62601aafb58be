#include "supernet/regime.h"
#include "supernet/train_state.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct space *builtin(const char *name) {
    struct space *space = NULL;
    struct err err = {0};
    if (space_builtin(name, &err, &space) != 0)
        fail_msg("%s", err.message);
    return space;
}

enum { SAMPLES = 600 };

/* What SAMPLES subnets of a phase choose, as bits of values. */
struct seen {
    unsigned kernels, depths, expands, channels;
};

static struct seen sample(const struct space *space, const struct regime_phase *phase) {
    struct seen seen = {0};
    for (uint64_t i = 0; i < SAMPLES; i++) {
        struct rng rng = rng_make(5, RNG_TEST, i, 0);
        struct arch arch;
        regime_sample(space, phase, &rng, 0, &arch);
        assert_true(arch_valid(space, &arch));
        for (int s = 0; s < space->n_stages; s++) {
            const struct space_stage *stage = &space->stages[s];
            int depth = stage->depths.value[arch.depth[s]];
            seen.depths |= 1u << arch.depth[s];
            seen.channels |= 1u << arch.channels[s];
            for (int b = stage->first_block; b < stage->first_block + depth; b++) {
                seen.kernels |= 1u << arch.kernel[b];
                seen.expands |= 1u << arch.expand[b];
            }
        }
    }
    return seen;
}

static void phases_open_one_dimension_after_the_other(void **state) {
    /* peer_32 has three kernel sizes, depths and expand ratios everywhere: bits 0 to 2 */
    static const struct {
        const char *name;
        int subnets;
        struct seen seen;
    } rows[] = {{"full", 0, {4, 4, 4, 1}},     {"kernel", 1, {7, 4, 4, 1}},
                {"depth_1", 2, {7, 6, 4, 1}},  {"depth_2", 2, {7, 7, 4, 1}},
                {"expand_1", 4, {7, 7, 6, 1}}, {"expand_2", 4, {7, 7, 7, 1}}};
    struct space *space = builtin("peer_32");
    (void)state;
    for (int i = 0; i < 6; i++) {
        const struct regime_phase *phase = regime_phase(REGIME_PROGRESSIVE, i);
        struct seen seen = sample(space, phase);
        struct arch smallest;
        assert_string_equal(phase->name, rows[i].name);
        assert_int_equal(phase->subnets, rows[i].subnets);
        assert_memory_equal(&seen, &rows[i].seen, sizeof seen);
        assert_true(regime_phase_applies(space, REGIME_PROGRESSIVE, i));
        regime_smallest(space, phase, 0, &smallest);
        assert_int_equal(smallest.kernel[0], seen.kernels == 7 ? 0 : 2);
        assert_int_equal(smallest.depth[0], seen.depths == 7 ? 0 : seen.depths == 6 ? 1 : 2);
    }
    assert_null(regime_phase(REGIME_PROGRESSIVE, 6));
    space_destroy(space);
}

static void coupled_depth_and_width_go_together(void **state) {
    struct space *space = builtin("fashion_small");
    const struct regime_phase *phase = regime_phase(REGIME_COUPLED, 0);
    struct seen seen = sample(space, phase);
    struct arch smallest, least;
    (void)state;
    assert_int_equal(seen.kernels, 3); /* kernels and channels are free */
    assert_int_equal(seen.channels, 3);
    for (uint64_t i = 0; i < SAMPLES; i++) {
        struct rng rng = rng_make(5, RNG_TEST, i, 0);
        struct arch arch;
        regime_sample(space, phase, &rng, 1, &arch);
        for (int s = 0; s < space->n_stages; s++) {
            const struct space_stage *stage = &space->stages[s];
            /* depths 1, 2, 3 take ratios 2, 3, 4; of two depths the ends */
            int expected = stage->depths.n == 3 ? arch.depth[s] : 2 * arch.depth[s];
            for (int b = 0; b < stage->depths.value[arch.depth[s]]; b++)
                assert_int_equal(arch.expand[stage->first_block + b], expected);
        }
    }
    regime_smallest(space, phase, 0, &smallest);
    arch_min(space, &least);
    assert_true(arch_equal(&smallest, &least));
    space_destroy(space);
}

static void without_a_choice_of_depth_ratios_are_free(void **state) {
    static const char text[] =
        "{\"name\": \"fixed\", \"description\": \"\", \"input_channels\": 1, \"n_classes\": 5,"
        "\"resolutions\": [8], \"stem\": {\"channels\": 8, \"kernel_size\": 3, \"stride\": 1, "
        "\"act\": \"relu\"}, \"stages\": [{\"depths\": [2], \"channels\": [8], "
        "\"kernel_sizes\": [3], \"expand_ratios\": [1, 2, 3], \"stride\": 2, \"act\": \"relu\", "
        "\"se\": false}], \"head\": {\"expand_channels\": 32, \"mix_channels\": 0, "
        "\"act\": \"relu\"}}";
    const struct regime_phase *phase = regime_phase(REGIME_COUPLED, 0);
    struct space *space = NULL;
    struct err err = {0};
    struct arch smallest, least;
    (void)state;
    if (space_parse(text, strlen(text), &err, &space) != 0)
        fail_msg("%s: %s", err.pointer, err.message);
    assert_int_equal(sample(space, phase).expands, 7);
    regime_smallest(space, phase, 0, &smallest);
    arch_min(space, &least);
    assert_true(arch_equal(&smallest, &least));
    /* Nothing is elastic but the ratio: two phases follow the full one, none else. */
    for (int i = 0; i < 6; i++)
        assert_int_equal(regime_phase_applies(space, REGIME_PROGRESSIVE, i), i == 0 || i >= 4);
    space_destroy(space);
}

static void all_is_open_in_a_sandwich(void **state) {
    struct space *space = builtin("fashion_small");
    struct rng a = rng_make(1, RNG_TEST, 0, 0), b = a;
    struct arch sampled, random;
    (void)state;
    for (int i = 0; i < 20; i++) {
        regime_sample(space, regime_phase(REGIME_SANDWICH, 0), &a, -1, &sampled);
        arch_random(space, &b, &random);
        assert_true(arch_equal(&sampled, &random));
    }
    space_destroy(space);
}

static void phases_share_the_steps(void **state) {
    struct train_config config = train_config_default;
    struct train_plan plan = {.first = 1000, .steps = 1000 + 6050};
    struct err err = {0};
    struct space *space = builtin("peer_32"), *narrow = builtin("fashion_small");
    (void)state;
    config.regime = REGIME_PROGRESSIVE;
    assert_int_equal(train_plan_phases(space, &config, &err, &plan), 0);
    /* epochs 180, 125, 25, 125, 25, 125 of 605 */
    static const uint64_t firsts[] = {0, 1800, 3050, 3300, 4550, 4800};
    assert_int_equal(plan.n_phases, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(plan.phases[i].first, 1000 + firsts[i]);
    assert_int_equal(train_phase_at(&plan, 2799), 0);
    assert_int_equal(train_phase_at(&plan, 2800), 1);
    assert_true(train_is_validation(&(struct train_plan){.first = plan.first,
                                                         .steps = plan.steps,
                                                         .n_phases = 2,
                                                         .phases = {{0, 1000}, {1, 2800}},
                                                         .validate_steps = 999,
                                                         .checkpoint_steps = 999},
                                    2800));
    /* learning rates: 2.6 : 0.96 : 0.08 : 0.24 */
    config.learning_rate = 2.6;
    config.warmup = 0;
    assert_true(fabs(train_learning_rate(&config, &plan, 1000) - 2.6) < 1e-9);
    assert_true(fabs(train_learning_rate(&config, &plan, 2800 + 50) - 0.96) < 1e-9);
    assert_true(fabs(train_learning_rate(&config, &plan, 4050) - 0.08) < 1e-9);
    assert_true(fabs(train_learning_rate(&config, &plan, 5800 + 50) - 0.24) < 1e-9);
    assert_true(train_learning_rate(&config, &plan, 2799) < 1e-5);
    /* Three depths and ratios, two kernel sizes: nothing is left out. */
    assert_int_equal(train_plan_phases(narrow, &config, &err, &plan), 0);
    assert_int_equal(plan.n_phases, 6);
    plan.steps = 1005;
    assert_int_equal(train_plan_phases(space, &config, &err, &plan), ESP_EINVAL);
    assert_string_equal(err.pointer, "/train/regime");
    plan.steps = 1006; /* one each */
    assert_int_equal(train_plan_phases(space, &config, &err, &plan), 0);
    for (int i = 0; i < 6; i++)
        assert_int_equal(plan.phases[i].first, 1000 + i);
    space_destroy(space);
    space_destroy(narrow);
}

/* A checkpoint of before there were phases is one of a sandwich in its only phase. */
static void states_are_read_back(void **state) {
    struct train_config config = train_config_default, again;
    struct train_plan plan = {.first = 0,
                              .steps = 600,
                              .steps_per_epoch = 9,
                              .validate_steps = 4,
                              .checkpoint_steps = 2,
                              .label_share = 0.25,
                              .inherited = "0123456789abcdef0123456789abcdef"},
                      plan_again;
    struct train_state now = {.step = 300,
                              .phase = 1,
                              .rate_scale = 0.5,
                              .distill_sum = 1.25,
                              .gap_sum = -0.5,
                              .part_squares = {1, 2, 3},
                              .best = 0.5},
                       now_again;
    struct space *space = builtin("peer_32");
    struct err err = {0};
    (void)state;
    config.epochs = 1;
    config.regime = REGIME_PROGRESSIVE;
    assert_int_equal(train_plan_phases(space, &config, &err, &plan), 0);
    cJSON *doc = train_state_print(&config, &plan, &now);
    assert_int_equal(train_state_parse(doc, &err, &again, &plan_again, &now_again), 0);
    assert_int_equal(plan_again.n_phases, 6);
    assert_memory_equal(plan_again.phases, plan.phases, 6 * sizeof *plan.phases);
    assert_string_equal(plan_again.inherited, plan.inherited);
    assert_true(plan_again.label_share == 0.25);
    assert_memory_equal(&now_again, &now, sizeof now);
    cJSON *phases = cJSON_GetObjectItem(cJSON_GetObjectItem(doc, "plan"), "phases");
    cJSON_SetValuestring(cJSON_GetObjectItem(cJSON_GetArrayItem(phases, 2), "name"), "other");
    assert_int_equal(train_state_parse(doc, &err, &again, &plan_again, &now_again), ESP_EINVAL);
    assert_string_equal(err.pointer, "/plan/phases/2");
    cJSON_Delete(doc);

    config.regime = REGIME_SANDWICH;
    assert_int_equal(train_plan_phases(space, &config, &err, &plan), 0);
    now.phase = 0;
    doc = train_state_print(&config, &plan, &now);
    cJSON_DeleteItemFromObject(cJSON_GetObjectItem(doc, "plan"), "phases");
    cJSON_DeleteItemFromObject(cJSON_GetObjectItem(doc, "plan"), "label_share");
    static const char *const newer[] = {"phase", "distill_sum", "gap_sum", "part_squares"};
    for (int i = 0; i < 4; i++)
        cJSON_DeleteItemFromObject(cJSON_GetObjectItem(doc, "state"), newer[i]);
    static const char *const settings[] = {"regime", "distillation", "temperature", "ema_decay"};
    for (int i = 0; i < 4; i++)
        cJSON_DeleteItemFromObject(cJSON_GetObjectItem(doc, "config"), settings[i]);
    assert_int_equal(train_state_parse(doc, &err, &again, &plan_again, &now_again), 0);
    assert_int_equal(plan_again.n_phases, 1);
    assert_int_equal(plan_again.phases[0].first, plan.first);
    assert_int_equal(now_again.phase, 0);
    assert_int_equal(again.regime, REGIME_SANDWICH);
    assert_true(plan_again.label_share == 0); /* as was done then */
    cJSON_Delete(doc);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_open_one_dimension_after_the_other),
        cmocka_unit_test(coupled_depth_and_width_go_together),
        cmocka_unit_test(without_a_choice_of_depth_ratios_are_free),
        cmocka_unit_test(all_is_open_in_a_sandwich),
        cmocka_unit_test(phases_share_the_steps),
        cmocka_unit_test(states_are_read_back),
    };
    return cmocka_run_group_tests_name("supernet-regime", tests, NULL, NULL);
}
