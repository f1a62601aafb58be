/* A profile's noise floor: how far two runs of the reference network easily lie apart, as a share.
 * What it was measured at may have been a bad moment, so it is held against what is plausible and
 * against what later measurements see of the reference network. Pure; the clock is injected.
 *
 * The first value stands. While it is in doubt it is measured again: at once when the doubt comes
 * from references, else after a minute; then after twice as long each time, a day at most. Of what
 * the daemon measures on its own the lower value stays; what a person asks for stands whatever it
 * is. Source of the moving average: facts of measuring over days (EWMA of the reference). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Above this no board is measured, but a machine that was starved meanwhile. */
#define NOISE_PLAUSIBLE_MAX 0.5
/* A floor above so many times the mean drift between two visits to the reference network is in
 * doubt: normal noise gives 2.3 (single runs) to 5.7 (medians of batches). */
#define NOISE_OF_DRIFT_MAX 8
enum { NOISE_DRIFTS_MIN = 12, NOISE_FIRST_WAIT_S = 60, NOISE_LAST_WAIT_S = 86400 };

enum noise_doubt { NOISE_GOOD, NOISE_IMPLAUSIBLE, NOISE_ABOVE_REFERENCES, NOISE_DOUBTS };
extern const char *const noise_doubt_names[]; /* by enum; NULL for NOISE_GOOD */

struct noise_floor {
    double noise; /* NaN: not measured */
    double drift; /* moving average of |after - before| / before */
    int64_t drifts;
    int64_t tries, next_us; /* asked for again by the daemon, in a row; not again before */
};

void noise_floor_measured(struct noise_floor *floor, double noise, bool by_person, int64_t now_us);
void noise_floor_drift(struct noise_floor *floor, double before_us, double after_us);
void noise_floor_asked(struct noise_floor *floor, int64_t now_us); /* by the daemon, once more */
enum noise_doubt noise_floor_doubt(const struct noise_floor *floor);
