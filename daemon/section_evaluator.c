#include "daemon/section_evaluator.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "daemon/latency_evaluator.h"
#include "latency/predictor.h"

struct section_evaluator {
    int n; /* resolutions of the space */
    struct latency_predictor *predictors[LATENCY_SECTIONS_MAX];
    int resolution; /* that a unit's cost is asked for at */
    char key[METRIC_KEY_MAX];
    const char *keys[2];
};

static int submit(void *context, struct evaluation *evaluations, int n, struct err *err) {
    struct section_evaluator *evaluator = context;
    for (int i = 0; i < n; i++) {
        const struct arch *arch = evaluations[i].arch;
        struct latency_prediction p;
        int r = latency_predictor_run(evaluator->predictors[arch->resolution], arch, err, &p);
        if (r != 0)
            return r;
        evaluations[i].state = p.state == LATENCY_MISSING ? EVALUATION_FAILED : EVALUATION_DONE;
        evaluations[i].values[0] = latency_prediction_metric(&p);
    }
    return 0;
}

static double unit_us(void *context, const struct graph *graph, int unit) {
    const struct section_evaluator *evaluator = context;
    return latency_predictor_unit_us(evaluator->predictors[evaluator->resolution], graph, unit);
}

static void set_resolution(void *context, int resolution) {
    struct section_evaluator *evaluator = context;
    evaluator->resolution = resolution;
}

static bool additive(void *context, int metric, struct additive_metric *ret_metric) {
    *ret_metric = (struct additive_metric){
        .cost = {.unit = unit_us, .context = context, .resolution = set_resolution}};
    return true;
}

static int open_predictors(struct section_evaluator *evaluator, const struct space *space,
                           const struct latency_sections *sections, struct err *err) {
    for (int i = 0; i < space->n_resolutions; i++) {
        const struct latency_table *table = latency_sections_find(sections, space->resolutions[i]);
        if (table == NULL)
            return err_set(err, ESP_EMISSING, NULL,
                           "the imported latency model has no table for %d pixels",
                           space->resolutions[i]);
        int r = latency_predictor_create(space, table, &calibration_none, err,
                                         &evaluator->predictors[i]);
        if (r != 0)
            return r;
        evaluator->n++;
    }
    return 0;
}

int section_evaluator_create(const struct space *space, const struct latency_sections *sections,
                             const char *model, struct err *err, struct section_evaluator **ret) {
    struct section_evaluator *evaluator = mem_array(1, sizeof(*evaluator));
    if (evaluator == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    evaluator->keys[0] = evaluator->key;
    int len = snprintf(evaluator->key, sizeof(evaluator->key), "latency_us:%s", model);
    int r = len < 0 || (size_t)len >= sizeof(evaluator->key)
                ? err_set(err, ESP_EINVAL, NULL, "the model's id is too long")
                : open_predictors(evaluator, space, sections, err);
    if (r != 0) {
        section_evaluator_destroy(evaluator);
        return r;
    }
    *ret = evaluator;
    return 0;
}

void section_evaluator_destroy(struct section_evaluator *evaluator) {
    if (evaluator == NULL)
        return;
    for (int i = 0; i < evaluator->n; i++)
        latency_predictor_destroy(evaluator->predictors[i]);
    free(evaluator);
}

void section_evaluator_init(struct section_evaluator *evaluator, struct evaluator *ret) {
    *ret = (struct evaluator){.n_metrics = 1,
                              .keys = evaluator->keys,
                              .cheap = true,
                              .context = evaluator,
                              .submit = submit,
                              .additive = additive};
}
