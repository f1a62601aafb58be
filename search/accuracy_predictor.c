#include "search/accuracy_predictor.h"

#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/stats.h"

struct accuracy_predictor {
    struct arch_model *model;
    double tau_min;
};

/* Takes the model over. */
static int wrap(struct arch_model *model, double tau_min, struct err *err,
                struct accuracy_predictor **ret_predictor) {
    struct accuracy_predictor *predictor = mem_array(1, sizeof *predictor);
    if (!predictor) {
        arch_model_destroy(model);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an accuracy predictor");
    }
    *predictor = (struct accuracy_predictor){model, tau_min};
    *ret_predictor = predictor;
    return 0;
}

void accuracy_predictor_destroy(struct accuracy_predictor *predictor) {
    if (!predictor)
        return;
    arch_model_destroy(predictor->model);
    free(predictor);
}

const struct arch_model_quality *
accuracy_predictor_quality(const struct accuracy_predictor *predictor) {
    return arch_model_quality(predictor->model);
}

/* A search goes by ranks: a tau that is clearly lower is enough. */
static bool is_beaten(const struct arch_model_quality *q) {
    double lost = q->baseline.kendall_tau - q->kendall_tau;
    return lost > q->baseline.tau_sd || (lost > 0 && q->rmse > ACCURACY_MARGIN * q->baseline.rmse);
}

bool accuracy_predictor_accepted(const struct accuracy_predictor *predictor) {
    const struct arch_model_quality *q = accuracy_predictor_quality(predictor);
    return q->kendall_tau >= predictor->tau_min && !is_beaten(q);
}

static int refuse(const struct accuracy_predictor *predictor, struct err *err) {
    const struct arch_model_quality *q = accuracy_predictor_quality(predictor);
    if (q->kendall_tau < predictor->tau_min)
        return err_set(err, ESP_EINVAL, NULL,
                       "the accuracy predictor ranks unseen subnets with Kendall's tau %.2f, %.2f "
                       "is needed: evaluate more subnets, or search with accuracy evaluated",
                       q->kendall_tau, predictor->tau_min);
    return err_set(err, ESP_EINVAL, NULL,
                   "the accuracy predictor is worse on unseen subnets than a line through their "
                   "MACs alone (Kendall's tau %.3f against %.3f, error %.2f against %.2f points): "
                   "evaluate more subnets, or search with accuracy evaluated",
                   q->kendall_tau, q->baseline.kendall_tau, 100 * q->rmse, 100 * q->baseline.rmse);
}

static int check_samples(const struct arch_sample *samples, int n, struct err *err) {
    if (n < ARCH_MODEL_SAMPLES_MIN)
        return err_set(err, ESP_EINVAL, NULL,
                       "an accuracy predictor needs at least %d evaluated subnets, there are %d",
                       ARCH_MODEL_SAMPLES_MIN, n);
    bool varies = false;
    for (int i = 0; i < n; i++) {
        if (!(samples[i].value >= 0 && samples[i].value <= 1))
            return err_set(err, ESP_EINVAL, NULL, "%g is no accuracy", samples[i].value);
        varies |= fabs(samples[i].value - samples[0].value) > 1e-9;
    }
    if (!varies)
        return err_set(err, ESP_EINVAL, NULL, "all %d samples have the same accuracy", n);
    return 0;
}

int accuracy_predictor_fit(const struct space *space, const struct arch_sample *samples, int n,
                           double tau_min, uint64_t seed, struct err *err,
                           struct accuracy_predictor **ret_predictor) {
    struct arch_model_options options = {.perceptrons = true, .spread = true, .seed = seed};
    struct arch_model *model;
    int code = check_samples(samples, n, err);
    if (code == 0)
        code = arch_model_fit(space, samples, n, options, err, &model);
    return code < 0 ? code : wrap(model, tau_min, err, ret_predictor);
}

int accuracy_predictor_run(struct accuracy_predictor *predictor, const struct arch *arch,
                           struct err *err, struct accuracy_prediction *ret_prediction) {
    struct arch_model_answer answer;
    if (!accuracy_predictor_accepted(predictor))
        return refuse(predictor, err);
    int code = arch_model_run(predictor->model, arch, err, &answer);
    if (code < 0)
        return code;
    double top1 = answer.value;
    double half = stats_normal_quantile(0.5 + ACCURACY_LEVEL / 2) * answer.sd;
    *ret_prediction = (struct accuracy_prediction){
        fmin(fmax(top1, 0), 1), fmin(fmax(top1 - half, 0), 1), fmin(fmax(top1 + half, 0), 1)};
    return 0;
}

int accuracy_predictor_gradient(struct accuracy_predictor *predictor,
                                const struct relaxed_shape *shape, const double *point,
                                struct err *err, double *ret_value, double *ret_gradient) {
    if (!accuracy_predictor_accepted(predictor))
        return err_set(err, ESP_EUNSUPPORTED, NULL, "the accuracy predictor was not accepted");
    return arch_model_gradient(predictor->model, shape, point, err, ret_value, ret_gradient);
}

cJSON *accuracy_predictor_to_json(const struct accuracy_predictor *predictor) {
    cJSON *doc = arch_model_to_json(predictor->model);
    if (doc && cJSON_AddNumberToObject(doc, "tau_min", predictor->tau_min))
        return doc;
    cJSON_Delete(doc);
    return NULL;
}

int accuracy_predictor_from_json(const struct space *space, const cJSON *doc, const char *at,
                                 struct err *err, struct accuracy_predictor **ret_predictor) {
    struct arch_model *model;
    double tau_min;
    int code = json_real(doc, at, "tau_min", -1, 1, err, &tau_min);
    if (code == 0)
        code = arch_model_from_json(space, doc, at, err, &model);
    return code < 0 ? code : wrap(model, tau_min, err, ret_predictor);
}
