#include "daemon/latency_evaluator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

struct latency_evaluator {
    struct latency_predictor *predictor;
    struct calibration calibration;
    char key[METRIC_KEY_MAX];
    const char *keys[2];
};

struct metric latency_prediction_metric(const struct latency_prediction *prediction) {
    enum metric_source source =
        prediction->state == LATENCY_INTERPOLATED ? METRIC_INTERPOLATED : METRIC_PREDICTED;
    return (struct metric){prediction->us, prediction->low_us, prediction->high_us, source};
}

/* An arch with a unit that can not even be interpolated cannot be predicted; the others can. */
static int submit(void *context, struct evaluation *evaluations, int n, struct err *err) {
    struct latency_evaluator *evaluator = context;
    for (int i = 0; i < n; i++) {
        struct latency_prediction p;
        int r = latency_predictor_run(evaluator->predictor, evaluations[i].arch, err, &p);
        if (r != 0)
            return r;
        if (p.state == LATENCY_MISSING) {
            evaluations[i].state = EVALUATION_FAILED;
            continue;
        }
        evaluations[i].values[0] = latency_prediction_metric(&p);
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

static double unit_us(void *context, const struct graph *graph, int unit) {
    const struct latency_evaluator *evaluator = context;
    return latency_predictor_unit_us(evaluator->predictor, graph, unit);
}

static double calibrated_us(void *context, double sum) {
    const struct latency_evaluator *evaluator = context;
    return calibration_apply(&evaluator->calibration, sum);
}

static bool additive(void *context, int metric, struct additive_metric *ret_metric) {
    *ret_metric = (struct additive_metric){.cost = {.unit = unit_us, .context = context},
                                           .value = calibrated_us};
    return true;
}

int latency_evaluator_create(const struct space *space, const struct latency_table *table,
                             const struct calibration *calibration, const char *profile,
                             struct err *err, struct latency_evaluator **ret) {
    struct latency_evaluator *evaluator = mem_array(1, sizeof(*evaluator));
    if (evaluator == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    evaluator->calibration = *calibration;
    evaluator->keys[0] = evaluator->key;
    int len = snprintf(evaluator->key, sizeof(evaluator->key), "latency_us:%s", profile);
    int r = len < 0 || (size_t)len >= sizeof(evaluator->key)
                ? err_set(err, ESP_EINVAL, NULL, "the profile's id is too long")
                : latency_predictor_create(space, table, calibration, err, &evaluator->predictor);
    if (r != 0) {
        latency_evaluator_destroy(evaluator);
        return r;
    }
    *ret = evaluator;
    return 0;
}

void latency_evaluator_destroy(struct latency_evaluator *evaluator) {
    if (evaluator == NULL)
        return;
    latency_predictor_destroy(evaluator->predictor);
    free(evaluator);
}

void latency_evaluator_init(struct latency_evaluator *evaluator, struct evaluator *ret) {
    *ret = (struct evaluator){.n_metrics = 1,
                              .keys = evaluator->keys,
                              .cheap = true,
                              .context = evaluator,
                              .submit = submit,
                              .additive = additive};
}

void latency_evaluator_calibrate(struct latency_evaluator *evaluator,
                                 const struct calibration *calibration) {
    evaluator->calibration = *calibration;
    latency_predictor_calibrate(evaluator->predictor, calibration);
}

int latency_evaluator_predict(struct latency_evaluator *evaluator, const struct arch *arch,
                              struct err *err, struct latency_prediction *ret_prediction) {
    return latency_predictor_run(evaluator->predictor, arch, err, ret_prediction);
}
