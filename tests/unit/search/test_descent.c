/* Derivatives of predictors over the relaxed space, against finite differences and values at its
 * vertices; a search that goes down along them. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "search/arch_model.h"
#include "search/loop.h"
#include "search/ofa_predictor.h"
#include "search/sampling.h"
#include "tests/unit/search/toy.h"
#include "tests/unit/space/random_point.h"

/* --- own models --- */

/* Perceptrons win where there are many samples of something that is no line. */
static struct arch_model *fit(const struct space *space, bool perceptrons) {
    enum { MANY = 600, FEW = 60 };
    int n = perceptrons ? MANY : FEW;
    struct arch_sample *samples = calloc((size_t)n, sizeof *samples);
    struct arch_model *model;
    for (int i = 0; i < n; i++) {
        struct rng rng = rng_make(3, RNG_SAMPLE, 0, (uint32_t)i);
        arch_random(space, &rng, &samples[i].arch);
        double top1 = toy_top1(space, &samples[i].arch);
        samples[i].value = perceptrons ? fabs(top1 - 0.8) : top1;
    }
    struct arch_model_options options = {.perceptrons = perceptrons, .seed = 2};
    assert_int_equal(arch_model_fit(space, samples, n, options, NULL, &model), 0);
    assert_int_equal(arch_model_quality(model)->kind,
                     perceptrons ? ARCH_MODEL_MLP : ARCH_MODEL_RIDGE);
    free(samples);
    return model;
}

static double value_at(struct arch_model *model, const struct relaxed_shape *shape,
                       const double *point) {
    double value, unused[RELAXED_MAX];
    assert_int_equal(arch_model_gradient(model, shape, point, NULL, &value, unused), 0);
    return value;
}

static void check_vertices(const struct space *space, struct arch_model *model) {
    struct relaxed_shape shape;
    double point[RELAXED_MAX];
    relaxed_shape_init(space, &shape);
    for (uint32_t i = 0; i < 20; i++) {
        struct rng rng = rng_make(9, RNG_SAMPLE, 0, i);
        struct arch_model_answer answer;
        struct arch arch;
        arch_random(space, &rng, &arch);
        assert_int_equal(arch_model_run(model, &arch, NULL, &answer), 0);
        relaxed_vertex(&shape, &arch, point);
        assert_true(fabs(value_at(model, &shape, point) - answer.value) < 1e-6);
    }
}

static void check_differences(const struct space *space, struct arch_model *model) {
    struct relaxed_shape shape;
    double point[RELAXED_MAX], gradient[RELAXED_MAX], value, largest = 0;
    relaxed_shape_init(space, &shape);
    random_point(&shape, 4, point);
    assert_int_equal(arch_model_gradient(model, &shape, point, NULL, &value, gradient), 0);
    for (int j = 0; j < shape.n; j++)
        largest = fmax(largest, fabs(gradient[j]));
    for (int j = 0; j < shape.n; j++) {
        const double step = 2e-3, at = point[j];
        point[j] = at + step;
        double above = value_at(model, &shape, point);
        point[j] = at - step;
        double below = value_at(model, &shape, point);
        point[j] = at;
        double wanted = (above - below) / (2 * step);
        /* Features are float. */
        if (!(fabs(gradient[j] - wanted) < 5e-3 * largest))
            fail_msg("probability %d: %.9g in place of %.9g", j, gradient[j], wanted);
    }
}

/* The derivative along the line from one arch to another, summed up: what lies between them. Hidden
 * units have kinks and features are float, which single differences suffer from. */
static double along_the_line(struct arch_model *model, const struct relaxed_shape *shape,
                             const struct arch *from, const struct arch *to) {
    enum { PIECES = 1000 };
    double a[RELAXED_MAX], b[RELAXED_MAX], point[RELAXED_MAX], gradient[RELAXED_MAX], sum = 0;
    relaxed_vertex(shape, from, a);
    relaxed_vertex(shape, to, b);
    for (int i = 0; i < PIECES; i++) {
        double value;
        for (int j = 0; j < shape->n; j++)
            point[j] = a[j] + (b[j] - a[j]) * (i + 0.5) / PIECES;
        assert_int_equal(arch_model_gradient(model, shape, point, NULL, &value, gradient), 0);
        for (int j = 0; j < shape->n; j++)
            sum += gradient[j] * (b[j] - a[j]) / PIECES;
    }
    return sum;
}

static void check_lines(const struct space *space, struct arch_model *model) {
    struct relaxed_shape shape;
    struct arch archs[2];
    struct arch_model_answer answers[2];
    relaxed_shape_init(space, &shape);
    for (uint32_t i = 0; i < 30; i++) {
        for (uint32_t k = 0; k < 2; k++) {
            struct rng rng = rng_make(13, RNG_SAMPLE, i, k);
            arch_random(space, &rng, &archs[k]);
            assert_int_equal(arch_model_run(model, &archs[k], NULL, &answers[k]), 0);
        }
        double wanted = answers[1].value - answers[0].value;
        double sum = along_the_line(model, &shape, &archs[0], &archs[1]);
        if (!(fabs(sum - wanted) < 2e-5))
            fail_msg("line %u: %.9g in place of %.9g", i, sum, wanted);
    }
}

static void a_ridge_has_exact_derivatives(void **state) {
    struct space *space = toy_space();
    struct arch_model *model = fit(space, false);
    check_vertices(space, model);
    check_differences(space, model);
    check_lines(space, model);
    arch_model_destroy(model);
    space_destroy(space);
}

static void an_ensemble_has_exact_derivatives(void **state) {
    struct space *space = toy_space();
    struct arch_model *model = fit(space, true);
    check_vertices(space, model);
    check_lines(space, model);
    arch_model_destroy(model);
    space_destroy(space);
}

/* --- once-for-all's --- */

enum { IN = OFA_PREDICTOR_CHOICES + 8, H = OFA_PREDICTOR_HIDDEN };
static const int inputs[OFA_PREDICTOR_LAYERS] = {IN, H, H, H},
                 outputs[OFA_PREDICTOR_LAYERS] = {H, H, H, 1};
struct perceptron {
    float *weight[OFA_PREDICTOR_LAYERS], *bias[OFA_PREDICTOR_LAYERS];
};

static struct perceptron make_perceptron(void) {
    struct perceptron p;
    struct rng rng = rng_make(11, RNG_TEST, 0, 0);
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        int n = inputs[l] * outputs[l];
        p.weight[l] = malloc((size_t)n * sizeof(float));
        p.bias[l] = malloc((size_t)outputs[l] * sizeof(float));
        for (int i = 0; i < n; i++)
            p.weight[l][i] = (float)(rng_normal(&rng) * sqrt(2.0 / inputs[l]));
        for (int i = 0; i < outputs[l]; i++)
            p.bias[l][i] = (float)(0.1 * rng_normal(&rng));
    }
    return p;
}

/* In doubles, with the inputs as once-for-all's tutorial orders them. */
static double expected(const struct perceptron *p, const struct relaxed_shape *shape,
                       const double *point) {
    const struct space *space = shape->space;
    double x[H] = {0}, y[H];
    for (int s = 1; s < space->n_stages; s++)
        for (int d = 0; d < 4; d++) {
            int block = space->stages[s].first_block + d, place = 4 * (s - 1) + d;
            double there = 0; /* depths 2, 3, 4 */
            for (int i = 0; i < 3; i++)
                there += i + 2 > d ? point[shape->depth[s] + i] : 0;
            for (int k = 0; k < 3; k++) {
                x[3 * place + k] = there * point[shape->kernel[block] + k];
                x[60 + 3 * place + k] = there * point[shape->expand[block] + k];
            }
        }
    for (int r = 0; r < space->n_resolutions; r++)
        x[120 + (space->resolutions[r] - 112) / 16] = point[r];
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        for (int o = 0; o < outputs[l]; o++) {
            y[o] = (double)p->bias[l][o];
            for (int i = 0; i < inputs[l]; i++)
                y[o] += (double)p->weight[l][o * inputs[l] + i] * x[i];
        }
        for (int o = 0; o < outputs[l]; o++)
            x[o] = l < OFA_PREDICTOR_LAYERS - 1 ? fmax(y[o], 0) : y[o];
    }
    return x[0];
}

static void once_for_alls_predictor_has_exact_derivatives(void **state) {
    static const int resolutions[] = {160, 176, 224};
    struct perceptron p = make_perceptron();
    struct ofa_predictor_weights weights;
    struct ofa_predictor *predictor;
    struct relaxed_shape shape;
    struct space *whole, *space;
    double point[RELAXED_MAX], gradient[RELAXED_MAX], value, largest = 0;
    assert_int_equal(space_builtin("ofa_mbv3_w12", NULL, &whole), 0);
    assert_int_equal(space_narrow(whole, resolutions, 3, NULL, &space), 0);
    ofa_predictor_tutorial_resolutions(&weights);
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        weights.weight[l] = p.weight[l];
        weights.bias[l] = p.bias[l];
    }
    assert_int_equal(ofa_predictor_create(space, &weights, NULL, &predictor), 0);
    relaxed_shape_init(space, &shape);
    random_point(&shape, 5, point);
    ofa_predictor_gradient(predictor, &shape, point, &value, gradient);
    assert_true(fabs(value - expected(&p, &shape, point)) < 1e-5);
    for (int j = 0; j < shape.n; j++)
        largest = fmax(largest, fabs(gradient[j]));
    assert_true(largest > 0.01);
    for (int j = 0; j < shape.n; j++) {
        const double step = 1e-6, at = point[j];
        point[j] = at + step;
        double above = expected(&p, &shape, point);
        point[j] = at - step;
        double below = expected(&p, &shape, point);
        point[j] = at;
        double wanted = (above - below) / (2 * step);
        if (!(fabs(gradient[j] - wanted) < 1e-4 * largest))
            fail_msg("probability %d: %.9g in place of %.9g", j, gradient[j], wanted);
    }
    ofa_predictor_destroy(predictor);
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        free(p.weight[l]);
        free(p.bias[l]);
    }
    space_destroy(space);
    space_destroy(whole);
}

/* --- searches --- */

static int submit(void *context, struct evaluation *evaluations, int n, struct err *err) {
    for (int i = 0; i < n; i++) {
        struct arch_model_answer a;
        assert_int_equal(arch_model_run(context, evaluations[i].arch, err, &a), 0);
        evaluations[i].values[0] = (struct metric){a.value, a.value, a.value, METRIC_PREDICTED};
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

static int gradient_of(void *context, int metric, const struct relaxed_shape *shape,
                       const double *point, struct err *err, double *ret_value,
                       double *ret_gradient) {
    return arch_model_gradient(context, shape, point, err, ret_value, ret_gradient);
}

static int unsupported(void *context, int metric, const struct relaxed_shape *shape,
                       const double *point, struct err *err, double *ret_value,
                       double *ret_gradient) {
    return err_set(err, ESP_EUNSUPPORTED, NULL, "not now");
}

enum { BATCH = 20, BUDGET = 120 };
typedef int gradient_fn(void *context, int metric, const struct relaxed_shape *shape,
                        const double *point, struct err *err, double *ret_value,
                        double *ret_gradient);

struct way {
    gradient_fn *gradient; /* of the model; NULL: it has no derivatives */
    bool resumed;          /* the loop is saved and read back after each step */
    bool no_steps;         /* of a descent */
};

/* The predicted top-1 of the best within a limit on MACs; the archs in the order of asking. */
static double search(const struct space *space, struct arch_model *model, struct way way,
                     uint64_t seed, struct arch ret_archs[BUDGET]) {
    static const char *const keys[] = {"top1"};
    struct evaluator evaluators[2] = {{.n_metrics = 1,
                                       .keys = keys,
                                       .context = model,
                                       .submit = submit,
                                       .gradient = way.gradient}};
    const struct goals goals = {.n_metrics = 2,
                                .keys = {"top1", "macs"},
                                .n_objectives = 1,
                                .objectives = {{0, true}},
                                .n_constraints = 1,
                                .constraints = {{1, true, 8e5}}};
    struct search_loop_config config = {.space = space,
                                        .goals = &goals,
                                        .evaluators = evaluators,
                                        .n_evaluators = 2,
                                        .strategy = "gradient",
                                        .strategy_config = strategy_config_default(space, 1, seed),
                                        .budget = BUDGET,
                                        .batch = BATCH};
    struct search_loop *loop;
    struct generation generation;
    double best = -INFINITY;
    double options[STRATEGY_OPTIONS_MAX];
    int more = 1;
    strategy_options_default(strategy_find("gradient"), options);
    for (int i = 0; strategy_find("gradient")->options[i].name && way.no_steps; i++)
        if (strcmp(strategy_find("gradient")->options[i].name, "steps") == 0)
            options[i] = 0;
    config.strategy_config.options = options;
    assert_int_equal(cost_evaluator_create(space, NULL, &evaluators[1]), 0);
    config.strategy_config.population = BATCH;
    assert_int_equal(search_loop_create(&config, NULL, &loop), 0);
    while (more) {
        assert_true((more = search_loop_step(loop, NULL, &generation)) >= 0);
        if (!way.resumed)
            continue;
        cJSON *doc = search_loop_save(loop);
        search_loop_destroy(loop);
        assert_int_equal(search_loop_create(&config, NULL, &loop), 0);
        assert_int_equal(search_loop_load(loop, doc, "", NULL), 0);
        cJSON_Delete(doc);
    }
    const struct archive *archive = search_loop_archive(loop);
    assert_int_equal(archive->n, BUDGET);
    for (int i = 0; i < BUDGET; i++) {
        ret_archs[i] = archive->candidates[i].arch;
        if (archive->candidates[i].violation == 0)
            best = fmax(best, -archive_costs(archive, i)[0]);
    }
    search_loop_destroy(loop);
    cost_evaluator_destroy(&evaluators[1]);
    return best;
}

/* Of all subnets: what any search can find at best. */
static double truly_best(const struct space *space, struct arch_model *model) {
    int n;
    struct arch *all = toy_enumerate(space, &n);
    double best = -INFINITY;
    for (int i = 0; i < n; i++) {
        struct arch_model_answer a;
        assert_int_equal(arch_model_run(model, &all[i], NULL, &a), 0);
        if (toy_macs(space, &all[i]) <= 8e5)
            best = fmax(best, a.value);
    }
    free(all);
    return best;
}

static void a_search_finds_more_through_derivatives(void **state) {
    enum { SEEDS = 8 };
    struct space *space = toy_space();
    struct arch_model *model = fit(space, false);
    struct arch archs[BUDGET];
    double best = truly_best(space, model), with = 0, without = 0;
    int found = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        double a = search(space, model, (struct way){gradient_of}, seed, archs);
        with += (best - a) / SEEDS;
        found += a > best - 1e-9;
        without +=
            (best - search(space, model, (struct way){.no_steps = true}, seed, archs)) / SEEDS;
    }
    assert_true(found >= SEEDS - 1);
    assert_true(with < 0.5 * without);
    arch_model_destroy(model);
    space_destroy(space);
}

static void a_search_through_derivatives_resumes_to_the_bit(void **state) {
    struct space *space = toy_space();
    struct arch_model *model = fit(space, false);
    struct arch a[BUDGET], b[BUDGET], c[BUDGET];
    search(space, model, (struct way){gradient_of}, 3, a);
    search(space, model, (struct way){gradient_of, .resumed = true}, 3, b);
    search(space, model, (struct way){.no_steps = true}, 3, c);
    int different = 0;
    for (int i = 0; i < BUDGET; i++) {
        assert_true(arch_equal(&a[i], &b[i]));
        different += !arch_equal(&a[i], &c[i]);
    }
    assert_true(different > BUDGET / 4);
    arch_model_destroy(model);
    space_destroy(space);
}

/* An accuracy that is evaluated has no derivatives; what was told of it stands in for them, beside
 * those of the MACs. */
static void what_was_told_stands_in_for_derivatives(void **state) {
    enum { SEEDS = 8 };
    struct space *space = toy_space();
    struct arch_model *model = fit(space, false);
    struct arch archs[BUDGET];
    double best = truly_best(space, model), told = 0, climbed = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        told += (best - search(space, model, (struct way){NULL}, seed, archs)) / SEEDS;
        climbed +=
            (best - search(space, model, (struct way){.no_steps = true}, seed, archs)) / SEEDS;
    }
    assert_true(told < 0.5 * climbed);
    arch_model_destroy(model);
    space_destroy(space);
}

static void derivatives_that_are_refused_are_as_none(void **state) {
    struct space *space = toy_space();
    struct arch_model *model = fit(space, false);
    struct arch a[BUDGET], b[BUDGET], c[BUDGET];
    search(space, model, (struct way){NULL}, 3, a);
    search(space, model, (struct way){unsupported}, 3, b);
    search(space, model, (struct way){.resumed = true}, 3, c);
    for (int i = 0; i < BUDGET; i++) {
        assert_true(arch_equal(&a[i], &b[i]));
        assert_true(arch_equal(&a[i], &c[i]));
    }
    arch_model_destroy(model);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ridge_has_exact_derivatives),
        cmocka_unit_test(an_ensemble_has_exact_derivatives),
        cmocka_unit_test(once_for_alls_predictor_has_exact_derivatives),
        cmocka_unit_test(a_search_finds_more_through_derivatives),
        cmocka_unit_test(a_search_through_derivatives_resumes_to_the_bit),
        cmocka_unit_test(what_was_told_stands_in_for_derivatives),
        cmocka_unit_test(derivatives_that_are_refused_are_as_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
