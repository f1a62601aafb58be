/* The time of work that was not measured, from the times of work of its kind that was: a regression
 * of log time on the logs of what describes the work (pixels, channels, kernel size, MACs ...),
 * fitted anew around each question by the measured neighbours, which count by their distance
 * (locally weighted regression, Cleveland 1979; with a small ridge on the slopes). Within a kind,
 * times are close to a product of powers of sizes, which change slowly from place to place: that is
 * what the slopes catch and a mean of neighbours does not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
    INTERPOLATION_FEATURES_MAX = 20,
    INTERPOLATION_KINDS_MAX = 256,
    INTERPOLATION_SAMPLES_MAX = 100000,
    INTERPOLATION_GROUP_NONE = -1
};

struct interpolation_sample {
    int kind;  /* 0 to INTERPOLATION_KINDS_MAX - 1: only the same kind is compared */
    int group; /* what may be left out together (a network), or INTERPOLATION_GROUP_NONE */
    int n_features;
    double features[INTERPOLATION_FEATURES_MAX]; /* >= 0, taken as log(1 + feature) */
    double us;                                   /* > 0; not read in a question */
};

struct interpolation {
    double us;
    double log_sd; /* standard deviation of log(us / true), by leaving each neighbour and its equals
                      out */
    int n;         /* neighbours behind it */
};

struct interpolator;
/* Errors: ESP_ENOMEM. */
int interpolator_create(struct err *err, struct interpolator **ret_interpolator);
void interpolator_destroy(struct interpolator *interpolator); /* takes NULL */
/* Copies the sample. Errors: ESP_EINVAL (kind, number of features, which must be the same for a
 * whole kind, or a value out of range), ESP_ELIMIT, ESP_ENOMEM. */
int interpolator_add(struct interpolator *interpolator, const struct interpolation_sample *sample,
                     struct err *err);
/* Answers a question from all samples of its kind but those of group without. False, and nothing
 * answered, if there are fewer of them than one more than features. Never outside of what the
 * neighbours took by more than a factor of two. O(samples of the kind). */
bool interpolator_ask(const struct interpolator *interpolator,
                      const struct interpolation_sample *question, int without,
                      struct interpolation *ret);
