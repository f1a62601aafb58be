#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "search/feasibility.h"
#include "search/loop.h"
#include "search/sampling.h"
#include "tests/unit/search/toy.h"

enum { BATCH = 20, BUDGET = 215 };

/* Predicts top1 with an error that a calibration can take away; some archs fail or wait. */
struct toy {
    struct space *space;
    struct goals goals;
    struct evaluator evaluators[3]; /* the last for many objectives only */
    double factor;
    int fail_every, pend_every, calls, cancel_at;
};

static int submit_top1(void *context, struct evaluation *evaluations, int n, struct err *err) {
    struct toy *toy = context;
    if (++toy->calls == toy->cancel_at)
        return err_set(err, ESP_ECANCELED, NULL, "canceled");
    for (int i = 0; i < n; i++) {
        uint64_t hash = map_hash(evaluations[i].arch, sizeof(struct arch));
        double top1 = toy->factor * toy_top1(toy->space, evaluations[i].arch);
        evaluations[i].values[0] = (struct metric){
            top1, top1 - 0.01, top1 + 0.01, hash % 2 ? METRIC_PREDICTED : METRIC_INTERPOLATED};
        evaluations[i].state = EVALUATION_DONE;
        if (toy->fail_every && hash % (uint64_t)toy->fail_every == 0)
            evaluations[i].state = EVALUATION_FAILED;
        if (toy->pend_every && hash % (uint64_t)toy->pend_every == 1)
            evaluations[i].state = EVALUATION_PENDING;
    }
    return 0;
}

static void toy_init(struct toy *toy) {
    static const char *const keys[] = {"top1"};
    *toy = (struct toy){.factor = 0.9,
                        .goals = {.n_metrics = 3,
                                  .keys = {"top1", "macs", "params"},
                                  .n_objectives = 2,
                                  .objectives = {{0, true}, {1, false}},
                                  .n_constraints = 1,
                                  .constraints = {{1, true, 1.2e6}}}};
    toy->space = toy_space();
    assert_int_equal(cost_evaluator_create(toy->space, NULL, &toy->evaluators[0]), 0);
    toy->evaluators[1] =
        (struct evaluator){.n_metrics = 1, .keys = keys, .context = toy, .submit = submit_top1};
}

static void toy_finish(struct toy *toy) {
    cost_evaluator_destroy(&toy->evaluators[0]);
    space_destroy(toy->space);
}

static struct search_loop_config config_of(struct toy *toy, const char *strategy) {
    struct search_loop_config config = {
        .space = toy->space,
        .goals = &toy->goals,
        .evaluators = toy->evaluators,
        .n_evaluators = 2,
        .strategy = strategy,
        .strategy_config = strategy_config_default(toy->space, toy->goals.n_objectives, 5),
        .budget = BUDGET,
        .batch = BATCH,
        .reference = {0, 1.2e6}};
    config.strategy_config.population = BATCH;
    return config;
}

static struct search_loop *create(struct toy *toy, const char *strategy) {
    struct search_loop_config config = config_of(toy, strategy);
    struct search_loop *loop;
    assert_int_equal(search_loop_create(&config, NULL, &loop), 0);
    return loop;
}

static void four_objectives_have_a_hypervolume_that_grows(void **state) {
    struct toy toy;
    toy_init(&toy);
    toy.goals = (struct goals){.n_metrics = 4,
                               .keys = {"top1", "macs", "params", "traffic_bytes"},
                               .n_objectives = 4,
                               .objectives = {{0, true}, {1, false}, {2, false}, {3, false}}};
    struct search_loop_config config = config_of(&toy, "nsga3");
    config.strategy_config.n_objectives = 4;
    memcpy(config.reference, (double[]){0, 1e8, 1e8, 1e8}, 4 * sizeof(double));
    struct search_loop *loop;
    struct generation g;
    double before = 0, first = 0;
    assert_int_equal(search_loop_create(&config, NULL, &loop), 0);
    for (int code = 1; code > 0;) {
        code = search_loop_step(loop, NULL, &g);
        assert_true(code >= 0 && g.hypervolume >= before);
        before = g.hypervolume;
        first = first > 0 ? first : before;
    }
    assert_true(before > first && first > 0);
    search_loop_destroy(loop);
    toy_finish(&toy);
}

static void spends_its_budget_and_reports(void **state) {
    struct toy toy;
    toy_init(&toy);
    toy.fail_every = 7;
    struct search_loop *loop = create(&toy, "nsga2");
    struct generation g;
    double before = 0;
    int code, steps = 0, seen = 0;
    do {
        code = search_loop_step(loop, NULL, &g);
        assert_true(code >= 0);
        assert_int_equal(g.number, ++steps);
        assert_true(g.hypervolume >= before);
        assert_int_equal(g.n_candidates, steps <= 10 ? BATCH : BUDGET % BATCH);
        for (int i = 0; i < g.n_candidates; i++)
            assert_int_equal(search_loop_archive(loop)->candidates[g.candidates[i]].generation,
                             steps);
        before = g.hypervolume;
        seen += g.n_candidates;
    } while (code > 0);
    assert_int_equal(seen, BUDGET);
    assert_int_equal(g.evaluations, BUDGET);
    assert_int_equal(search_loop_archive(loop)->n, BUDGET);
    assert_true(g.front_size > 5 && g.feasible > g.front_size && before > 0);
    assert_int_equal(search_loop_step(loop, NULL, &g), 0);
    assert_int_equal(g.n_candidates, 0);
    int failed = 0;
    for (int i = 0; i < BUDGET; i++)
        failed += search_loop_archive(loop)->candidates[i].failed;
    assert_in_range(failed, 10, 60);
    search_loop_destroy(loop);
    toy_finish(&toy);
}

static struct search_loop *load_again(struct search_loop *loop, struct search_loop *copy) {
    struct json_limits limits = {1u << 26, 16, 1000000};
    cJSON *doc = search_loop_save(loop), *read;
    char *text = json_print(doc);
    assert_int_equal(json_parse(text, strlen(text), &limits, NULL, &read), 0);
    assert_int_equal(search_loop_load(copy, read, "", NULL), 0);
    cJSON_Delete(doc);
    cJSON_Delete(read);
    cJSON_free(text);
    search_loop_destroy(loop);
    return copy;
}

static struct search_loop *reload(struct search_loop *loop, struct toy *toy, const char *strategy) {
    return load_again(loop, create(toy, strategy));
}

static void assert_same_archives(struct search_loop *a, struct search_loop *b) {
    struct archive *x = search_loop_archive(a), *y = search_loop_archive(b);
    assert_int_equal(x->n, y->n);
    for (int i = 0; i < x->n; i++) {
        assert_string_equal(x->candidates[i].id, y->candidates[i].id);
        assert_int_equal(x->candidates[i].generation, y->candidates[i].generation);
        assert_int_equal(x->candidates[i].failed, y->candidates[i].failed);
        assert_int_equal(x->candidates[i].origin, y->candidates[i].origin);
        assert_memory_equal(x->candidates[i].parents, y->candidates[i].parents,
                            sizeof x->candidates[i].parents);
        for (int k = 0; k < 3; k++) {
            const struct metric *p = &archive_metrics(x, i)[k], *q = &archive_metrics(y, i)[k];
            assert_true((isnan(p->value) && isnan(q->value)) ||
                        (p->value == q->value && p->low == q->low && p->source == q->source));
        }
    }
}

/* The same results from outside after the same generations. */
static void interfere(struct search_loop *loop, struct toy *toy) {
    struct archive *archive = search_loop_archive(loop);
    if (search_loop_generation(loop) == 4) {
        toy->factor = 1;
        assert_int_equal(search_loop_rescore(loop, 1, "calibration 2", NULL), 0);
    }
    for (int i = search_loop_generation(loop); i < archive->n; i += 17) {
        struct arch arch = archive->candidates[i].arch;
        double top1 = 0.99 * toy_top1(toy->space, &arch);
        struct metric metric = {top1, top1, top1, METRIC_EVALUATED};
        assert_int_equal(search_loop_enter(loop, &arch, "top1", &metric, NULL), 0);
    }
}

static void goes_on_from_a_saved_state_as_if_never_interrupted(void **state) {
    for (int t = 0; strategy_types[t]; t++) {
        const char *name = strategy_types[t]->name;
        struct toy toy, other;
        struct generation g;
        toy_init(&toy);
        toy_init(&other);
        toy.fail_every = other.fail_every = 9;
        toy.pend_every = other.pend_every = 5;
        struct search_loop *whole = create(&toy, name), *parts = create(&other, name);
        int more = 1;
        while (more) {
            more = search_loop_step(whole, NULL, &g);
            interfere(whole, &toy);
            assert_int_equal(search_loop_step(parts, NULL, &g), more);
            parts = reload(parts, &other, name);
            interfere(parts, &other);
            parts = reload(parts, &other, name);
        }
        assert_same_archives(whole, parts);
        search_loop_destroy(whole);
        search_loop_destroy(parts);
        toy_finish(&toy);
        toy_finish(&other);
    }
}

/* Beside the predicted accuracy, MACs and parameters as they are: latencies and energies of boards,
 * each a number made of the arch and the accuracy in other proportions. */
enum { BOARDS = OBJECTIVES_MAX - 3 };
static const char *const board_keys[BOARDS] = {
    "latency_us:0", "latency_us:1", "latency_us:2", "latency_us:3", "latency_us:4",
    "latency_us:5", "latency_us:6", "latency_us:7", "energy_uj:0",  "energy_uj:1",
    "energy_uj:2",  "energy_uj:3",  "energy_uj:4"};

static int submit_boards(void *context, struct evaluation *evaluations, int n, struct err *err) {
    struct toy *toy = context;
    for (int i = 0; i < n; i++) {
        for (int b = 0; b < BOARDS; b++) {
            struct arch arch = *evaluations[i].arch;
            double value = 1 + map_hash(&arch, sizeof arch) % 1000 * 1e-3 * b +
                           (BOARDS - b) * toy_top1(toy->space, &arch);
            evaluations[i].values[b] = (struct metric){value, value, value, METRIC_PREDICTED};
        }
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

static struct search_loop *create_of_many(struct toy *toy, const char *strategy) {
    struct search_loop_config config = config_of(toy, strategy);
    struct search_loop *loop;
    config.n_evaluators = 3;
    config.budget = 5 * BATCH;
    for (int k = 0; k < OBJECTIVES_MAX; k++)
        config.reference[k] = k == 0 ? 0 : 1e8;
    assert_int_equal(search_loop_create(&config, NULL, &loop), 0);
    return loop;
}

static void toy_init_of_many(struct toy *toy) {
    toy_init(toy);
    for (int b = 0; b < BOARDS; b++)
        assert_int_equal(goals_add_metric(&toy->goals, board_keys[b], NULL), 3 + b);
    for (int k = 0; k < OBJECTIVES_MAX; k++)
        toy->goals.objectives[k] = (struct objective){k, k == 0};
    toy->goals.n_objectives = OBJECTIVES_MAX;
    toy->evaluators[2] = (struct evaluator){
        .n_metrics = BOARDS, .keys = board_keys, .context = toy, .submit = submit_boards};
}

static void searches_with_all_objectives_that_there_can_be_and_goes_on(void **state) {
    for (int t = 0; strategy_types[t]; t++) {
        const char *name = strategy_types[t]->name;
        struct toy toy;
        struct generation g;
        toy_init_of_many(&toy);
        struct search_loop *whole = create_of_many(&toy, name), *parts = create_of_many(&toy, name);
        for (int more = 1; more;) {
            more = search_loop_step(whole, NULL, &g);
            assert_true(more >= 0 && isnan(g.hypervolume)); /* of so many there is none */
            assert_int_equal(search_loop_step(parts, NULL, &g), more);
            parts = load_again(parts, create_of_many(&toy, name));
        }
        assert_true(g.front_size > 5);
        assert_same_archives(whole, parts);
        search_loop_destroy(whole);
        search_loop_destroy(parts);
        toy_finish(&toy);
    }
}

static void results_from_outside_change_the_front(void **state) {
    struct toy toy;
    struct generation g;
    toy_init(&toy);
    struct search_loop *loop = create(&toy, "random");
    assert_int_equal(search_loop_step(loop, NULL, &g), 1);
    struct archive *archive = search_loop_archive(loop);
    const int *front;
    int n;
    assert_int_equal(archive_front(archive, &front, &n), 0);
    int best = front[0];
    struct arch arch = archive->candidates[best].arch;
    struct metric poor = {0.01, 0.01, 0.01, METRIC_EVALUATED};
    assert_int_equal(search_loop_enter(loop, &arch, "top1", &poor, NULL), 0);
    assert_int_equal(archive_front(archive, &front, &n), 0);
    for (int i = 0; i < n; i++)
        assert_true(archive_costs(archive, front[i])[0] < -0.01 || front[i] == best);
    /* A better value is not overwritten by a new prediction. */
    toy.factor = 1;
    assert_int_equal(search_loop_rescore(loop, 1, "calibration 2", NULL), 0);
    assert_true(archive_metrics(archive, best)[0].value == 0.01);
    int other = best ? 0 : 1;
    double expected = toy_top1(toy.space, &archive->candidates[other].arch);
    assert_true(archive_metrics(archive, other)[0].value == expected);
    struct err err = {0};
    assert_int_equal(search_loop_enter(loop, &arch, "joy", &poor, &err), ESP_ENOTFOUND);
    arch_max(toy.space, &arch);
    if (archive_find(archive, &arch) < 0)
        assert_int_equal(search_loop_enter(loop, &arch, "top1", &poor, &err), ESP_ENOTFOUND);
    search_loop_destroy(loop);
    toy_finish(&toy);
}

static void seeds_are_known_beforehand(void **state) {
    struct toy toy;
    struct generation g;
    struct arch seeds[30];
    toy_init(&toy);
    assert_int_equal(sample_spread(toy.space, 1, 30, NULL, seeds), 30);
    for (int t = 0; strategy_types[t]; t++) {
        struct search_loop *loop = create(&toy, strategy_types[t]->name);
        assert_int_equal(search_loop_seed(loop, seeds, 30, NULL), 0);
        assert_int_equal(search_loop_evaluations(loop), 0);
        int more = 1;
        while (more) {
            more = search_loop_step(loop, NULL, &g);
            assert_true(more >= 0);
            for (int i = 0; i < g.n_candidates; i++)
                assert_true(g.candidates[i] >= 30);
        }
        assert_int_equal(search_loop_archive(loop)->n, BUDGET + 30);
        assert_int_equal(search_loop_seed(loop, seeds, 30, NULL), ESP_ECONFLICT);
        search_loop_destroy(loop);
    }
    toy_finish(&toy);
}

static void ends_when_the_space_is_exhausted(void **state) {
    struct toy toy;
    struct generation g;
    toy_init(&toy);
    toy.goals.n_constraints = 0;
    struct search_loop_config config = config_of(&toy, "nsga2");
    config.budget = 100000;
    config.batch = 500;
    struct search_loop *loop;
    assert_int_equal(search_loop_create(&config, NULL, &loop), 0);
    int code = 1, steps = 0;
    while (code > 0 && steps++ < 1000)
        code = search_loop_step(loop, NULL, &g);
    assert_int_equal(code, 0);
    assert_true(g.evaluations > 0.7 * space_cardinality(toy.space));
    search_loop_destroy(loop);
    toy_finish(&toy);
}

static void refuses_bad_configs(void **state) {
    struct toy toy;
    toy_init(&toy);
    struct search_loop *loop = NULL;
    struct err err = {0};
    struct search_loop_config config = config_of(&toy, "nsga2");
    config.budget = 0;
    assert_int_equal(search_loop_create(&config, &err, &loop), ESP_EINVAL);
    assert_string_equal(err.pointer, "/evaluations");
    config = config_of(&toy, "nsga2");
    config.batch = 0;
    assert_int_equal(search_loop_create(&config, &err, &loop), ESP_EINVAL);
    assert_string_equal(err.pointer, "/population");
    config = config_of(&toy, "nsga2");
    config.n_evaluators = 1;
    assert_int_equal(search_loop_create(&config, &err, &loop), ESP_EINVAL);
    assert_non_null(strstr(err.message, "top1"));
    config = config_of(&toy, "magic");
    assert_int_equal(search_loop_create(&config, &err, &loop), ESP_EINVAL);
    assert_null(loop);
    toy_finish(&toy);
}

/* As many as the counts, the accuracy, and the latency and energy of eight profiles each. */
static void takes_all_evaluators_of_a_search(void **state) {
    static const char *const others[] = {"another"};
    struct toy toy;
    toy_init(&toy);
    struct evaluator many[19];
    struct search_loop *loop = NULL;
    struct search_loop_config config = config_of(&toy, "random");
    for (int i = 0; i < 19; i++) {
        many[i] = config.evaluators[i < 2 ? i : 1];
        if (i >= 2)
            many[i].keys = others;
    }
    config.evaluators = many;
    config.n_evaluators = 19;
    assert_int_equal(search_loop_create(&config, NULL, &loop), ESP_EINVAL);
    config.n_evaluators = 18;
    assert_int_equal(search_loop_create(&config, NULL, &loop), 0);
    search_loop_destroy(loop);
    toy_finish(&toy);
}

static void cancel_comes_through(void **state) {
    struct toy toy;
    struct generation g;
    struct err err = {0};
    toy_init(&toy);
    toy.cancel_at = 3;
    struct search_loop *loop = create(&toy, "nsga2");
    assert_int_equal(search_loop_step(loop, NULL, &g), 1);
    assert_int_equal(search_loop_step(loop, NULL, &g), 1);
    assert_int_equal(search_loop_step(loop, &err, &g), ESP_ECANCELED);
    search_loop_destroy(loop);
    toy_finish(&toy);
}

static void refuses_states_of_others(void **state) {
    struct toy toy;
    struct generation g;
    struct err err = {0};
    toy_init(&toy);
    struct search_loop *loop = create(&toy, "nsga2"), *other = create(&toy, "random");
    assert_int_equal(search_loop_step(loop, NULL, &g), 1);
    cJSON *doc = search_loop_save(loop);
    assert_int_equal(search_loop_load(other, doc, "", &err), ESP_EMISMATCH);
    search_loop_destroy(other);
    other = create(&toy, "nsga2");
    cJSON *candidates = cJSON_GetObjectItem(doc, "candidates");
    cJSON_ReplaceItemInObject(cJSON_GetArrayItem(candidates, 2), "arch",
                              cJSON_CreateString("r1 | nonsense"));
    assert_true(search_loop_load(other, doc, "/state", &err) < 0);
    search_loop_destroy(other);
    other = create(&toy, "nsga2");
    cJSON_ReplaceItemInObject(doc, "version", cJSON_CreateNumber(99));
    assert_int_equal(search_loop_load(other, doc, "", &err), ESP_EVERSION);
    cJSON_Delete(doc);
    search_loop_destroy(other);
    search_loop_destroy(loop);
    toy_finish(&toy);
}

/* A limit that few subnets keep costs no evaluations for its sake: what strategies begin with, and
 * all of random search, lies within it. */
static void what_is_drawn_keeps_the_limits(void **state) {
    static const char *const strategies[] = {"random", "nsga2", "evolution", "aging", "linas"};
    struct toy toy;
    int n, within = 0;
    toy_init(&toy);
    toy.goals.constraints[0].bound = 3e5;
    struct arch *all = toy_enumerate(toy.space, &n);
    for (int i = 0; i < n; i++)
        within += toy_macs(toy.space, &all[i]) <= 3e5;
    free(all);
    print_message("%d of %d\n", within, n);
    assert_true(within > 30 && within < n / 20);
    for (size_t s = 0; s < sizeof strategies / sizeof *strategies; s++) {
        struct generation g;
        struct search_loop_config config = config_of(&toy, strategies[s]);
        struct search_loop *loop;
        config.batch = config.strategy_config.population = 16;
        config.budget = 16;
        assert_int_equal(search_loop_create(&config, NULL, &loop), 0);
        assert_int_equal(search_loop_step(loop, NULL, &g), 0);
        assert_int_equal(g.evaluations, 16);
        assert_int_equal(g.feasible, 16);
        search_loop_destroy(loop);
    }
    /* Random search ends when nothing is left within it. */
    struct generation g;
    struct search_loop_config config = config_of(&toy, "random");
    struct search_loop *loop;
    config.budget = 100000;
    assert_int_equal(search_loop_create(&config, NULL, &loop), 0);
    while (search_loop_step(loop, NULL, &g) > 0)
        ;
    assert_true(g.evaluations == g.feasible && g.feasible <= within && g.feasible > 0.8 * within);
    search_loop_destroy(loop);
    toy_finish(&toy);
}

/* A limit on what is counted costs strategies that ask beforehand next to no evaluations. */
static void what_is_counted_is_known_beforehand(void **state) {
    static const char *const strategies[] = {"linas", "evolution"};
    for (int s = 0; s < 2; s++) {
        struct toy toy;
        struct generation g = {0};
        toy_init(&toy);
        toy.goals.constraints[0].bound = 7e5;
        struct search_loop *loop = create(&toy, strategies[s]);
        while (search_loop_step(loop, NULL, &g) > 0)
            ;
        assert_true(g.feasible > 0.9 * (double)g.evaluations);
        search_loop_destroy(loop);
        loop = create(&toy, "nsga2");
        while (search_loop_step(loop, NULL, &g) > 0)
            ;
        assert_true(g.feasible < g.evaluations);
        search_loop_destroy(loop);
        toy_finish(&toy);
    }
}

/* --- a metric whose sum means something else after a calibration --- */

static double unit_macs(void *context, const struct graph *graph, int unit) {
    struct cost cost;
    unit_cost(graph, unit, &cost);
    return (double)cost.macs;
}

static double slowed(void *context, double sum) {
    return ((const struct toy *)context)->factor * sum;
}

static bool slowed_macs(void *context, int metric, struct additive_metric *ret_metric) {
    *ret_metric =
        (struct additive_metric){.cost = {.unit = unit_macs, .context = context}, .value = slowed};
    return true;
}

static int submit_slowed(void *context, struct evaluation *evaluations, int n, struct err *err) {
    const struct toy *toy = context;
    for (int i = 0; i < n; i++) {
        double us = slowed(context, toy_macs(toy->space, evaluations[i].arch));
        evaluations[i].values[0] = (struct metric){us, us, us, METRIC_PREDICTED};
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

/* The largest MACs of what one more generation of random search draws. */
static double draw_largest(struct toy *toy, struct search_loop *loop) {
    const struct archive *archive = search_loop_archive(loop);
    int before = archive->n;
    struct generation g;
    double largest = 0;
    assert_true(search_loop_step(loop, NULL, &g) >= 0);
    for (int i = before; i < archive->n; i++)
        largest = fmax(largest, toy_macs(toy->space, &archive->candidates[i].arch));
    assert_true(archive->n > before);
    return largest;
}

static void limits_follow_a_calibration(void **state) {
    static const char *const keys[] = {"latency_us:x"};
    struct toy toy;
    toy_init(&toy);
    toy.factor = 1.5;
    toy.goals = (struct goals){.n_metrics = 2,
                               .keys = {"latency_us:x", "params"},
                               .n_objectives = 2,
                               .objectives = {{0, false}, {1, false}},
                               .n_constraints = 1,
                               .constraints = {{0, true, 1.2e6}}};
    toy.evaluators[1] = (struct evaluator){.n_metrics = 1,
                                           .keys = keys,
                                           .cheap = true,
                                           .context = &toy,
                                           .submit = submit_slowed,
                                           .additive = slowed_macs};
    struct search_loop *loop = create(&toy, "random");
    assert_true(draw_largest(&toy, loop) <= 0.8e6);
    toy.factor = 1;
    assert_int_equal(search_loop_rescore(loop, 1, "calibration 2", NULL), 0);
    double largest = draw_largest(&toy, loop);
    assert_true(largest > 0.8e6 && largest <= 1.2e6);
    toy.factor = 2;
    assert_int_equal(search_loop_rescore(loop, 1, "calibration 3", NULL), 0);
    assert_true(draw_largest(&toy, loop) <= 0.6e6);
    search_loop_destroy(loop);
    toy_finish(&toy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spends_its_budget_and_reports),
        cmocka_unit_test(four_objectives_have_a_hypervolume_that_grows),
        cmocka_unit_test(goes_on_from_a_saved_state_as_if_never_interrupted),
        cmocka_unit_test(searches_with_all_objectives_that_there_can_be_and_goes_on),
        cmocka_unit_test(results_from_outside_change_the_front),
        cmocka_unit_test(limits_follow_a_calibration),
        cmocka_unit_test(seeds_are_known_beforehand),
        cmocka_unit_test(ends_when_the_space_is_exhausted),
        cmocka_unit_test(refuses_bad_configs),
        cmocka_unit_test(takes_all_evaluators_of_a_search),
        cmocka_unit_test(cancel_comes_through),
        cmocka_unit_test(what_is_drawn_keeps_the_limits),
        cmocka_unit_test(what_is_counted_is_known_beforehand),
        cmocka_unit_test(refuses_states_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
