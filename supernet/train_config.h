/* What a person may set of a training. docs/TRAINING.md tells of every field. */
#pragma once

#include "base/error.h"
#include "supernet/augment.h"
#include "supernet/loss.h"
#include "supernet/regime.h"
#include <cjson/cJSON.h>

enum { TRAIN_PAD_AUTO = -1, TRAIN_LABEL_SHARE_AUTO = -1 };

struct train_config {
    enum regime regime;
    char arch[ARCH_TEXT_MAX]; /* of REGIME_SINGLE; "": the largest */
    double epochs;            /* over the train split; 0: time_budget_s decides */
    double time_budget_s; /* of training, its validation and its checkpoints; turned into a number
                             of steps once, after a short calibration */
    int batch;
    double learning_rate;       /* at its peak */
    double learning_rate_floor; /* share of the peak that the cosine ends at */
    double warmup;              /* share of all steps over which the rate rises */
    double momentum, weight_decay, label_smoothing;
    double dropout;      /* before the classifier, of the largest subnet only */
    double drop_connect; /* of the last residual block, of the largest subnet only; 0: none */
    double clip_norm;    /* of the gradient of all subnets together; 0: none */
    double clip_value;   /* of each value of it, before; 0: none */
    enum distillation distillation;
    double temperature; /* of both sides; the gradient is multiplied by its square */
    double ema_decay;   /* of a moving average of the weights, which is what is scored; 0: none */
    double label_share; /* of the loss of what learns from the largest in a sandwich: on labels, the
                           rest on what the largest says; TRAIN_LABEL_SHARE_AUTO: by the length of
                           the round */
    int random_subnets; /* beside the largest and the smallest in every step */
    uint64_t seed;
    struct augment_options augment; /* pad TRAIN_PAD_AUTO: by the length of the round */
    int validation_images;          /* of the validation split, for the curves; 0: all */
    int recalibration_images;       /* for the curves */
    int64_t checkpoint_steps;       /* between checkpoints; 0: about checkpoint_interval_s */
    double checkpoint_interval_s;
};
extern const struct train_config train_config_default;

/* Reads an object over the defaults. at is its pointer. Exactly one of epochs and time_budget_s
 * must be given. Errors: ESP_EINVAL with a pointer (unknown field, wrong type, out of range). */
int train_config_parse(const cJSON *object, const char *at, struct err *err,
                       struct train_config *ret_config);
/* All fields; what train_config_parse reads back. NULL on memory exhaustion; the caller deletes. */
cJSON *train_config_print(const struct train_config *config);
