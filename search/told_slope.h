/* A slope that is whole: costs of which no derivative is known (an accuracy that is evaluated) have
 * those of a model of what was told, beside the derivatives of the others (an expected latency). */
#pragma once

#include "search/told.h"

struct told_slope {
    struct slope slope; /* for a descent */
    const struct slope *known;
    const struct told *told;
    bool fitted[OBJECTIVES_MAX];
    double mean[OBJECTIVES_MAX];
    double effects[OBJECTIVES_MAX][RELAXED_MAX]; /* [shape->n] of each */
};

/* To each cost that has no derivatives an effect of every choice is fitted when it is first asked
 * for (an additive regression by backfitting, Hastie & Tibshirani 1986, shrunk towards 0 where
 * outcomes are few). That model's expectation is the cost: its derivative by the logits is the mean
 * of the score function (Williams 1992) with the model in place of single outcomes, which tells
 * what one choice does from what came together with it.
 *
 * Borrows both for the slope's life, in which told must not change; the result must not be moved.
 * About 170 KB. */
void told_slope_init(const struct told *told, const struct slope *known,
                     struct told_slope *ret_slope);
