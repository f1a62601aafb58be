#include "devices/noise.h"

#include <math.h>
#include <stddef.h>

#define DRIFT_MEMORY 0.9
#define NOISE_MATTERS 0.02 /* below it drift has a limit of its own: devices/health.h */

const char *const noise_doubt_names[] = {NULL, "implausible", "above_references", NULL};

enum noise_doubt noise_floor_doubt(const struct noise_floor *floor) {
    if (floor->noise > NOISE_PLAUSIBLE_MAX)
        return NOISE_IMPLAUSIBLE;
    if (floor->noise > NOISE_MATTERS && floor->drifts >= NOISE_DRIFTS_MIN &&
        floor->noise > NOISE_OF_DRIFT_MAX * floor->drift)
        return NOISE_ABOVE_REFERENCES;
    return NOISE_GOOD;
}

static int64_t wait_us(int64_t tries) {
    int64_t s = tries < 12 ? (int64_t)NOISE_FIRST_WAIT_S << tries : NOISE_LAST_WAIT_S;
    return (s < NOISE_LAST_WAIT_S ? s : NOISE_LAST_WAIT_S) * 1000000;
}

void noise_floor_measured(struct noise_floor *floor, double noise, bool by_person, int64_t now_us) {
    if (by_person || isnan(floor->noise) || noise < floor->noise)
        floor->noise = noise;
    if (by_person || noise_floor_doubt(floor) == NOISE_GOOD)
        floor->tries = floor->next_us = 0;
    if (noise_floor_doubt(floor) != NOISE_GOOD)
        floor->next_us = now_us + wait_us(floor->tries);
}

void noise_floor_asked(struct noise_floor *floor, int64_t now_us) {
    floor->tries++;
    floor->next_us = now_us + wait_us(floor->tries);
}

/* The first ones are a plain mean. */
void noise_floor_drift(struct noise_floor *floor, double before_us, double after_us) {
    double drift = fabs(after_us - before_us) / before_us;
    double share = 1 / (double)(floor->drifts + 1);
    if (share < 1 - DRIFT_MEMORY)
        share = 1 - DRIFT_MEMORY;
    floor->drift += share * (drift - floor->drift);
    floor->drifts++;
}
