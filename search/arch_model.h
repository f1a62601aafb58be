/* A number as a function of archs, learnt from samples: ridge regression on the encoding (with the
 * ensemble of those that miss a fold of the samples, if asked for), and (with enough samples and if
 * asked for) an ensemble of small perceptrons. Cross-validation chooses
 * between them and says how good the choice is on archs that it has not seen. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "space/relaxed.h"

enum {
    ARCH_MODEL_MLP_SAMPLES = 200, /* from here on perceptrons compete */
    ARCH_MODEL_SAMPLES_MIN = 16,
    ARCH_MODEL_SAMPLES_MAX = 100000,
    ARCH_MODEL_FOLDS = 8
};

enum arch_model_kind { ARCH_MODEL_RIDGE, ARCH_MODEL_MLP };
extern const char *const arch_model_kind_names[]; /* "ridge", "mlp_ensemble", NULL */

/* Out of sample, over all folds, in units of the values: each fold is predicted by the model that
 * did best on the others, so the choice of a model flatters nothing. */
struct arch_model_quality {
    enum arch_model_kind kind;
    int n, folds;
    double kendall_tau, mae, rmse;
    struct {
        double kendall_tau, rmse;
        double tau_sd; /* of the difference of both taus, sample by sample on the same folds */
    } baseline;        /* of a line through the logarithm of MACs alone, on the same folds */
};

struct arch_sample {
    struct arch arch;
    double value;
};

struct arch_model_options {
    bool perceptrons; /* let them compete: seconds in place of milliseconds */
    bool spread;      /* tell archs apart by how sure their values are, see arch_model_answer */
    uint64_t seed;    /* of folds and perceptrons: the fit is deterministic in it */
};

/* Borrows space. Errors: ESP_EINVAL (fewer than ARCH_MODEL_SAMPLES_MIN samples, an arch of another
 * space, a value not finite, values all equal), ESP_ELIMIT, ESP_ENOMEM. */
struct arch_model;
int arch_model_fit(const struct space *space, const struct arch_sample *samples, int n,
                   struct arch_model_options options, struct err *err,
                   struct arch_model **ret_model);
void arch_model_destroy(struct arch_model *model); /* takes NULL */
const struct arch_model_quality *arch_model_quality(const struct arch_model *model);

/* Of the truth around it: the error out of sample and what an ensemble disagrees on this arch. That
 * of a ridge regression are those which each miss a fold of the samples; their disagreement is the
 * delete-a-group jackknife's (Kott 2001, eq. 2), and the error out of sample is lessened by what it
 * is on the samples, so that sd is the error there and more on archs of rare choices. Without
 * options.spread a ridge regression has the same sd everywhere. */
struct arch_model_answer {
    double value, sd;
};
/* arch must be valid in the space. Not thread-safe. Errors: ESP_ENOMEM. */
int arch_model_run(struct arch_model *model, const struct arch *arch, struct err *err,
                   struct arch_model_answer *ret_answer);

/* Its value at a point of the relaxed space and the derivative by each probability (ret_gradient:
 * [shape->n]): exact, through the encoding's expectations. At a vertex the value is that of
 * arch_model_run. shape must be of the model's space and outlive it. Errors: ESP_ENOMEM. */
int arch_model_gradient(struct arch_model *model, const struct relaxed_shape *shape,
                        const double *point, struct err *err, double *ret_value,
                        double *ret_gradient);

/* The fitted model as JSON; NULL on memory exhaustion. Reading: ESP_EMISMATCH for another space,
 * ESP_EINVAL, ESP_ENOMEM. Members that it does not know are left to the caller. */
cJSON *arch_model_to_json(const struct arch_model *model);
int arch_model_from_json(const struct space *space, const cJSON *doc, const char *at,
                         struct err *err, struct arch_model **ret_model);
