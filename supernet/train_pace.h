/* How long a step, a validation and a checkpoint of a training take: what a time budget is turned
 * into steps by. */
#pragma once

#include "supernet/train.h"
#include "supernet/train_state.h"

enum { PACE_TIMED_MAX = 3, PACE_SAMPLES_MAX = 256 };

/* Times of steps, taken in rounds of one step at each timed resolution, so that whatever else the
 * machine does falls on all of them. Knows no clock. */
struct pace_gauge {
    const int *resolutions; /* of the space; borrowed */
    int n_resolutions;
    double budget_s, limit_s; /* of the training; of the calibration */
    int n_timed;
    int timed[PACE_TIMED_MAX]; /* indices into resolutions: the ends and the middle */
    int rounds;                /* done */
    double seconds[PACE_TIMED_MAX][PACE_SAMPLES_MAX]; /* of the latest rounds */
};
/* budget_s 0: as few steps as will do. */
void pace_gauge_init(struct pace_gauge *gauge, const int *resolutions, int n, double budget_s);
/* Whether another round is worth its time, elapsed_s after the first began. */
bool pace_gauge_wants_more(const struct pace_gauge *gauge, double elapsed_s);
void pace_gauge_add(struct pace_gauge *gauge, const double seconds[PACE_TIMED_MAX]);
/* Mean seconds of a step over all resolutions of the space, each drawn as often: rounds at the
 * start and stalls are left out; between timed resolutions linear in the number of pixels. At least
 * one round was added. */
double pace_gauge_step_s(const struct pace_gauge *gauge);

/* On a supernet that is thrown away. The step is the mean over the regime's phases, each in its
 * share. */
int train_calibrate(const struct train_options *options, struct err *err,
                    struct train_pace *ret_pace);
