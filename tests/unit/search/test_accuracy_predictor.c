#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/stats.h"
#include "search/accuracy_predictor.h"
#include "search/encoding.h"
#include "search/regressor.h"
#include "search/sampling.h"
#include "tests/unit/search/toy.h"

enum { N_MAX = 400 };

static struct space *builtin(const char *name) {
    struct space *space;
    assert_int_equal(space_builtin(name, NULL, &space), 0);
    return space;
}

static void draw(const struct space *space, uint64_t seed, int n, struct arch_sample *ret_samples) {
    for (int i = 0; i < n; i++) {
        struct rng rng = rng_make(seed, RNG_TEST, 0, (uint32_t)i);
        sample_leaning(space, &rng, 2 * rng_unit(&rng) - 1, &ret_samples[i].arch);
        ret_samples[i].value = toy_top1(space, &ret_samples[i].arch);
    }
}

static void assert_predicts(struct accuracy_predictor *predictor, const struct space *space,
                            double tau_min) {
    struct arch_sample held[N_MAX];
    double guess[N_MAX], truth[N_MAX], inside = 0;
    draw(space, 99, N_MAX, held);
    for (int i = 0; i < N_MAX; i++) {
        struct accuracy_prediction p;
        assert_int_equal(accuracy_predictor_run(predictor, &held[i].arch, NULL, &p), 0);
        assert_true(p.low <= p.top1 && p.top1 <= p.high && p.low >= 0 && p.high <= 1);
        guess[i] = p.top1;
        truth[i] = held[i].value;
        inside += p.low <= truth[i] && truth[i] <= p.high;
    }
    double tau = stats_kendall_tau(guess, truth, N_MAX);
    double own = accuracy_predictor_quality(predictor)->kendall_tau;
    if (tau < tau_min || own < tau - 0.15 || own > tau + 0.15 || inside / N_MAX < 0.8)
        fail_msg("tau %g, by its own folds %g, %g inside", tau, own, inside / N_MAX);
}

static void assert_same_predictions(struct accuracy_predictor *a, struct accuracy_predictor *b,
                                    const struct arch_sample *samples, int n) {
    for (int i = 0; i < n; i++) {
        struct accuracy_prediction p, q;
        assert_int_equal(accuracy_predictor_run(a, &samples[i].arch, NULL, &p), 0);
        assert_int_equal(accuracy_predictor_run(b, &samples[i].arch, NULL, &q), 0);
        assert_true(p.top1 == q.top1 && p.low == q.low && p.high == q.high);
    }
}

static void assert_survives_json(struct accuracy_predictor *predictor, const struct space *space,
                                 const struct arch_sample *samples) {
    struct accuracy_predictor *read;
    cJSON *doc = accuracy_predictor_to_json(predictor);
    assert_int_equal(accuracy_predictor_from_json(space, doc, "", NULL, &read), 0);
    assert_same_predictions(predictor, read, samples, 40);
    cJSON_Delete(doc);
    accuracy_predictor_destroy(read);
}

static void ranks_subnets_that_it_has_not_seen(void **state) {
    static const char *const names[] = {"fashion_small", "ofa_mbv3"};
    for (int k = 0; k < 2; k++) {
        struct space *space = builtin(names[k]);
        struct arch_sample samples[64];
        struct accuracy_predictor *predictor;
        draw(space, 1, 64, samples);
        assert_int_equal(
            accuracy_predictor_fit(space, samples, 64, ACCURACY_TAU_MIN, 1, NULL, &predictor), 0);
        const struct arch_model_quality *q = accuracy_predictor_quality(predictor);
        assert_true(accuracy_predictor_accepted(predictor) && q->n == 64 &&
                    q->kind == ARCH_MODEL_RIDGE);
        assert_true(q->mae <= q->rmse && q->rmse < 0.02);
        assert_predicts(predictor, space, 0.8);
        assert_survives_json(predictor, space, samples);
        accuracy_predictor_destroy(predictor);
        space_destroy(space);
    }
}

static void draw_leaning(const struct space *space, double leaning, struct arch_sample *ret,
                         int n) {
    for (int i = 0; i < n; i++) {
        struct rng rng = rng_make(98, RNG_TEST, 0, (uint32_t)i);
        sample_leaning(space, &rng, leaning, &ret[i].arch);
        ret[i].value = toy_top1(space, &ret[i].arch);
    }
}

/* Mean width of their intervals, and how wrong the values are. */
static double mean_width(struct accuracy_predictor *predictor, const struct arch_sample *samples,
                         int n, double *ret_rmse) {
    double width = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        struct accuracy_prediction p;
        assert_int_equal(accuracy_predictor_run(predictor, &samples[i].arch, NULL, &p), 0);
        width += (p.high - p.low) / n;
        squares += (p.top1 - samples[i].value) * (p.top1 - samples[i].value) / n;
    }
    *ret_rmse = sqrt(squares);
    return width;
}

/* Knows small subnets; those between small and large are further away. */
static void is_less_sure_of_archs_unlike_those_it_has_seen(void **state) {
    static const char *const names[] = {"fashion_small", "ofa_mbv3"};
    for (int k = 0; k < 2; k++) {
        struct space *space = builtin(names[k]);
        struct arch_sample near[N_MAX], far[N_MAX];
        struct accuracy_predictor *predictor;
        double near_rmse, far_rmse;
        draw_leaning(space, -0.8, near, N_MAX);
        draw_leaning(space, 0, far, N_MAX);
        assert_int_equal(accuracy_predictor_fit(space, near, 64, -1, 1, NULL, &predictor), 0);
        assert_int_equal(accuracy_predictor_quality(predictor)->kind, ARCH_MODEL_RIDGE);
        double near_width = mean_width(predictor, near + 64, N_MAX - 64, &near_rmse);
        double far_width = mean_width(predictor, far, N_MAX, &far_rmse);
        if (!(far_width > 1.7 * near_width) || !(far_rmse > near_rmse))
            fail_msg("%s: widths %g and %g, errors %g and %g", names[k], near_width, far_width,
                     near_rmse, far_rmse);
        accuracy_predictor_destroy(predictor);
        space_destroy(space);
    }
}

static void is_deterministic_and_survives_json(void **state) {
    struct space *space = builtin("fashion_small");
    struct arch_sample samples[40];
    struct accuracy_predictor *a, *b;
    draw(space, 2, 40, samples);
    assert_int_equal(accuracy_predictor_fit(space, samples, 40, 0.5, 7, NULL, &a), 0);
    assert_int_equal(accuracy_predictor_fit(space, samples, 40, 0.5, 7, NULL, &b), 0);
    assert_same_predictions(a, b, samples, 40);
    assert_survives_json(a, space, samples);
    accuracy_predictor_destroy(a);
    accuracy_predictor_destroy(b);
    space_destroy(space);
}

/* An accuracy that hangs on two choices being the same, which no weighted sum of choices follows.
 */
static void perceptrons_win_where_choices_interact(void **state) {
    struct space *space = builtin("fashion_small");
    struct arch_sample samples[ARCH_MODEL_MLP_SAMPLES];
    struct accuracy_predictor *predictor;
    draw(space, 2, ARCH_MODEL_MLP_SAMPLES, samples);
    for (int i = 0; i < ARCH_MODEL_MLP_SAMPLES; i++) {
        const struct arch *arch = &samples[i].arch;
        samples[i].value = arch->resolution == arch->channels[1] ? 0.7 : 0.5;
    }
    assert_int_equal(
        accuracy_predictor_fit(space, samples, ARCH_MODEL_MLP_SAMPLES, 0.5, 7, NULL, &predictor),
        0);
    assert_int_equal(accuracy_predictor_quality(predictor)->kind, ARCH_MODEL_MLP);
    assert_survives_json(predictor, space, samples);
    accuracy_predictor_destroy(predictor);
    space_destroy(space);
}

static void noise_is_not_accepted(void **state) {
    struct space *space = builtin("fashion_small");
    struct arch_sample samples[48];
    struct accuracy_predictor *predictor;
    struct accuracy_prediction p;
    struct err err = {0};
    struct rng rng = rng_make(1, RNG_TEST, 0, 0);
    draw(space, 3, 48, samples);
    for (int i = 0; i < 48; i++)
        samples[i].value = rng_unit(&rng);
    assert_int_equal(
        accuracy_predictor_fit(space, samples, 48, ACCURACY_TAU_MIN, 1, NULL, &predictor), 0);
    assert_false(accuracy_predictor_accepted(predictor));
    assert_int_equal(accuracy_predictor_run(predictor, &samples[0].arch, &err, &p), ESP_EINVAL);
    assert_non_null(strstr(err.message, "Kendall's tau"));
    accuracy_predictor_destroy(predictor);
    space_destroy(space);
}

static double log_macs(const struct space *space, const struct arch *arch) {
    return log(toy_macs(space, arch));
}

/* An accuracy that is a line through log MACs: no ridge over a hundred columns finds it from twenty
 * samples as well as that line does. */
static void worse_than_a_line_through_macs_is_not_accepted(void **state) {
    struct space *space = builtin("ofa_mbv3");
    struct arch_sample samples[20];
    struct accuracy_predictor *predictor;
    struct accuracy_prediction p;
    struct err err = {0};
    draw(space, 3, 20, samples);
    for (int i = 0; i < 20; i++)
        samples[i].value = 0.1 * (log_macs(space, &samples[i].arch) - 14);
    assert_int_equal(
        accuracy_predictor_fit(space, samples, 20, ACCURACY_TAU_MIN, 1, NULL, &predictor), 0);
    const struct arch_model_quality *q = accuracy_predictor_quality(predictor);
    assert_true(q->kendall_tau > ACCURACY_TAU_MIN);
    assert_true(q->baseline.kendall_tau > 0.999 && q->baseline.rmse < 1e-6);
    assert_false(accuracy_predictor_accepted(predictor));
    assert_int_equal(accuracy_predictor_run(predictor, &samples[0].arch, &err, &p), ESP_EINVAL);
    assert_non_null(strstr(err.message, "worse on unseen subnets than a line through their MACs"));
    accuracy_predictor_destroy(predictor);
    space_destroy(space);
}

/* A few subnets are far from the line, which a choice explains: its error is large, and still it
 * ranks the others, which the model does not. */
static void a_worse_rank_is_not_accepted_for_its_small_error(void **state) {
    struct space *space = builtin("ofa_mbv3");
    struct arch_sample samples[60];
    struct accuracy_predictor *predictor;
    draw(space, 3, 60, samples);
    for (int i = 0; i < 60; i++)
        samples[i].value =
            0.5 + 0.02 * (log_macs(space, &samples[i].arch) - 19) + (i % 15 == 0 ? 0.4 : 0);
    assert_int_equal(accuracy_predictor_fit(space, samples, 60, 0.1, 1, NULL, &predictor), 0);
    const struct arch_model_quality *q = accuracy_predictor_quality(predictor);
    assert_true(q->kendall_tau > 0.1);
    assert_true(q->rmse < ACCURACY_MARGIN * q->baseline.rmse);
    assert_false(accuracy_predictor_accepted(predictor));
    accuracy_predictor_destroy(predictor);
    space_destroy(space);
}

/* Accuracies that are nearly a line through log MACs: what the folds of both say decides, and that
 * is less than what chance makes of a single tau (0.086 of 64 samples). */
static void a_little_worse_than_a_line_is_judged_by_the_same_folds(void **state) {
    struct space *space = builtin("ofa_mbv3");
    int refused = 0, used = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct arch_sample samples[64];
        struct accuracy_predictor *predictor;
        draw(space, seed, 64, samples);
        for (int i = 0; i < 64; i++)
            samples[i].value = 0.5 + 0.02 * (log_macs(space, &samples[i].arch) - 17) +
                               0.3 * (samples[i].value - 0.8);
        assert_int_equal(
            accuracy_predictor_fit(space, samples, 64, ACCURACY_TAU_MIN, seed, NULL, &predictor),
            0);
        const struct arch_model_quality *q = accuracy_predictor_quality(predictor);
        double lost = q->baseline.kendall_tau - q->kendall_tau;
        bool errs = lost > 0 && q->rmse > ACCURACY_MARGIN * q->baseline.rmse;
        assert_true(q->baseline.tau_sd > 0.005 && q->baseline.tau_sd < 0.06);
        assert_int_equal(accuracy_predictor_accepted(predictor),
                         !errs && lost <= q->baseline.tau_sd);
        refused += !errs && lost > q->baseline.tau_sd && lost < 0.086;
        used += lost > 0 && accuracy_predictor_accepted(predictor);
        accuracy_predictor_destroy(predictor);
    }
    assert_true(refused > 0 && used > 0);
    space_destroy(space);
}

/* Depth alone counts, and little of it: MACs say less than the choices. */
static void better_than_a_line_through_macs_is_accepted(void **state) {
    struct space *space = builtin("ofa_mbv3");
    struct arch_sample samples[64];
    struct accuracy_predictor *predictor;
    draw(space, 3, 64, samples);
    for (int i = 0; i < 64; i++)
        samples[i].value = 0.5 + 0.02 * samples[i].arch.depth[1] + 0.03 * samples[i].arch.depth[2];
    assert_int_equal(
        accuracy_predictor_fit(space, samples, 64, ACCURACY_TAU_MIN, 1, NULL, &predictor), 0);
    const struct arch_model_quality *q = accuracy_predictor_quality(predictor);
    assert_true(q->rmse < q->baseline.rmse && q->kendall_tau > q->baseline.kendall_tau);
    assert_true(accuracy_predictor_accepted(predictor));
    accuracy_predictor_destroy(predictor);
    space_destroy(space);
}

static void refuses_bad_samples(void **state) {
    struct space *space = builtin("fashion_small"), *other = builtin("ofa_mbv3");
    struct arch_sample samples[32];
    struct accuracy_predictor *predictor = NULL;
    struct err err = {0};
    draw(space, 3, 32, samples);
    assert_int_equal(accuracy_predictor_fit(space, samples, 15, 0.5, 1, &err, &predictor),
                     ESP_EINVAL);
    assert_non_null(strstr(err.message, "at least 16"));
    samples[3].value = 89;
    assert_int_equal(accuracy_predictor_fit(space, samples, 32, 0.5, 1, &err, &predictor),
                     ESP_EINVAL);
    for (int i = 0; i < 32; i++)
        samples[i].value = 0.1;
    assert_int_equal(accuracy_predictor_fit(space, samples, 32, 0.5, 1, &err, &predictor),
                     ESP_EINVAL);
    assert_non_null(strstr(err.message, "same accuracy"));
    draw(other, 3, 32, samples);
    assert_int_equal(accuracy_predictor_fit(space, samples, 32, 0.5, 1, &err, &predictor),
                     ESP_EINVAL);
    assert_null(predictor);
    assert_int_equal(accuracy_predictor_fit(other, samples, 32, 0.1, 1, &err, &predictor), 0);
    cJSON *doc = accuracy_predictor_to_json(predictor);
    accuracy_predictor_destroy(predictor);
    assert_int_equal(accuracy_predictor_from_json(space, doc, "", &err, &predictor), ESP_EMISMATCH);
    cJSON_DeleteItemFromArray(cJSON_GetObjectItem(doc, "mean"), 0);
    assert_int_equal(accuracy_predictor_from_json(other, doc, "/predictor", &err, &predictor),
                     ESP_EINVAL);
    assert_string_equal(err.pointer, "/predictor/mean");
    cJSON_Delete(doc);
    space_destroy(space);
    space_destroy(other);
}

static void encoding_tells_archs_apart(void **state) {
    struct space *space = builtin("fashion_small");
    int p = encoding_size(space);
    assert_in_range(p, 10, ENCODING_MAX);
    float *a = calloc((size_t)p, sizeof *a), *b = calloc((size_t)p, sizeof *b);
    struct encoder *encoder;
    assert_int_equal(encoder_create(space, NULL, &encoder), 0);
    struct arch previous, arch;
    arch_max(space, &previous);
    for (uint32_t i = 0; i < 200; i++) {
        struct rng rng = rng_make(1, RNG_TEST, 0, i);
        arch_random(space, &rng, &arch);
        assert_int_equal(encoder_run(encoder, &arch, NULL, a), 0);
        assert_int_equal(encoder_run(encoder, &previous, NULL, b), 0);
        assert_int_equal(memcmp(a, b, (size_t)p * sizeof *a) == 0, arch_equal(&arch, &previous));
        previous = arch;
    }
    encoder_destroy(encoder);
    free(a);
    free(b);
    space_destroy(space);
}

/* Two ways of solving the same system: more rows than columns and the other way round. */
static void ridge_meets_the_normal_equations(void **state) {
    static const int shapes[][2] = {{40, 7}, {7, 40}};
    for (int k = 0; k < 2; k++) {
        int n = shapes[k][0], p = shapes[k][1];
        float x[280], y[40], w[40];
        struct rng rng = rng_make(4, RNG_TEST, 0, (uint32_t)k);
        for (int i = 0; i < n * p; i++)
            x[i] = (float)rng_normal(&rng);
        for (int i = 0; i < n; i++)
            y[i] = (float)rng_normal(&rng);
        struct regression_data data = {n, p, x, y};
        assert_int_equal(ridge_fit(&data, 0.1, w), 0);
        for (int j = 0; j < p; j++) {
            double gradient = 0.1 * n * (double)w[j];
            for (int i = 0; i < n; i++)
                gradient -= (double)x[i * p + j] * (double)(y[i] - ridge_predict(w, x + i * p, p));
            assert_true(fabs(gradient) < 1e-4);
        }
    }
}

/* Against fits of the other folds, one by one; in both dimensions. */
static void cross_validation_leaves_each_fold_out(void **state) {
    static const int shapes[][2] = {{40, 7}, {13, 21}};
    static const double strengths[] = {0.01, 1};
    enum { FOLDS = 4 };
    for (int k = 0; k < 2; k++) {
        int n = shapes[k][0], p = shapes[k][1];
        float x[280], y[40], other_x[280], other_y[40], w[40];
        double guess[2 * 40];
        struct rng rng = rng_make(6, RNG_TEST, 0, (uint32_t)k);
        for (int i = 0; i < n * p; i++)
            x[i] = (float)rng_normal(&rng);
        for (int i = 0; i < n; i++)
            y[i] = (float)rng_normal(&rng);
        struct regression_data data = {n, p, x, y};
        assert_int_equal(ridge_cross_validate(&data, FOLDS, strengths, 2, guess), 0);
        for (int s = 0; s < 2; s++)
            for (int fold = 0; fold < FOLDS; fold++) {
                int first = n * fold / FOLDS, last = n * (fold + 1) / FOLDS, others = 0;
                for (int i = 0; i < n; i++)
                    if (i < first || i >= last) {
                        memcpy(other_x + others * p, x + i * p, (size_t)p * sizeof *x);
                        other_y[others++] = y[i];
                    }
                struct regression_data rest = {others, p, other_x, other_y};
                assert_int_equal(ridge_fit(&rest, strengths[s], w), 0);
                for (int i = first; i < last; i++)
                    assert_true(fabs(guess[s * n + i] - (double)ridge_predict(w, x + i * p, p)) <
                                1e-4);
            }
    }
}

static void perceptrons_learn_what_no_line_can(void **state) {
    enum { N = 400 };
    float x[N * 2], y[N];
    struct rng rng = rng_make(5, RNG_TEST, 0, 0);
    for (int i = 0; i < N; i++) {
        x[2 * i] = (float)(2 * rng_unit(&rng) - 1);
        x[2 * i + 1] = (float)(2 * rng_unit(&rng) - 1);
        y[i] = x[2 * i] * x[2 * i + 1] * 3;
    }
    struct regression_data data = {N, 2, x, y};
    struct mlp mlp;
    double squares = 0, total = 0;
    float sd;
    assert_int_equal(mlp_fit(&data, 3, 1, &mlp), 0);
    for (int i = 0; i < N; i++) {
        float e = mlp_predict(&mlp, x + 2 * i, &sd) - y[i];
        squares += (double)(e * e);
        total += (double)(y[i] * y[i]);
        assert_true(sd >= 0);
    }
    assert_true(squares < 0.02 * total);
    mlp_finish(&mlp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_subnets_that_it_has_not_seen),
        cmocka_unit_test(is_less_sure_of_archs_unlike_those_it_has_seen),
        cmocka_unit_test(is_deterministic_and_survives_json),
        cmocka_unit_test(perceptrons_win_where_choices_interact),
        cmocka_unit_test(noise_is_not_accepted),
        cmocka_unit_test(worse_than_a_line_through_macs_is_not_accepted),
        cmocka_unit_test(a_worse_rank_is_not_accepted_for_its_small_error),
        cmocka_unit_test(a_little_worse_than_a_line_is_judged_by_the_same_folds),
        cmocka_unit_test(better_than_a_line_through_macs_is_accepted),
        cmocka_unit_test(refuses_bad_samples),
        cmocka_unit_test(encoding_tells_archs_apart),
        cmocka_unit_test(ridge_meets_the_normal_equations),
        cmocka_unit_test(cross_validation_leaves_each_fold_out),
        cmocka_unit_test(perceptrons_learn_what_no_line_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
