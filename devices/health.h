/* Whether a board's figures are to be trusted. Pure. What counts as drift is relative to the
 * board's own noise floor: a shared virtual machine is a noisy board, not a sick one.
 *
 *   probation --PROBATION good results--> good
 *   good --DRIFTS drifting of the last WINDOW--> suspect --RECOVERY good in a row--> good
 *   suspect measures on: what drift spoils is the interval of its figures, which says so itself
 *   probation, good --a result that cannot be true--> suspect
 *   any --LIES such of the last WINDOW--> quarantined
 *   probation, good, suspect --another noise floor--> probation
 *   any --CRASHES crashes or losses within an hour--> quarantined
 *   quarantined --RETESTS of the reference network passed in a row--> probation
 *   quarantined, maintenance --release (a person)--> probation
 *   any --maintain (a person)--> maintenance
 *
 * A retest that fails makes the next one wait twice as long, and so does the next quarantine, until
 * the board has become good again. Under maintenance nothing but a person's word counts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum health_state {
    HEALTH_PROBATION,
    HEALTH_GOOD,
    HEALTH_SUSPECT,
    HEALTH_QUARANTINED,
    HEALTH_MAINTENANCE, /* somebody works at it: it is as if it had just come when that is over */
    HEALTH_STATES
};
enum health_event {
    HEALTH_STEADY,      /* a result whose reference network stayed within the limit */
    HEALTH_DRIFT,       /* a result whose reference network did not */
    HEALTH_CRASH,       /* an attempt crashed or was lost */
    HEALTH_RELEASE,     /* a person says that it is well */
    HEALTH_QUARANTINE,  /* a person says that it is not */
    HEALTH_YARDSTICK,   /* its noise floor is another: what was judged by the old one counts no more
                         */
    HEALTH_IMPLAUSIBLE, /* a result that cannot be true: devices/plausible.h */
    HEALTH_MAINTAIN,    /* a person takes it out of service */
    HEALTH_RETEST_PASSED, /* the reference network, measured in quarantine, is what it was */
    HEALTH_RETEST_FAILED, /* it is not, or cannot be measured */
    HEALTH_RETEST_LEARNT, /* what it was is known only now: nothing follows, there will be another
                           */
    HEALTH_EVENTS
};
extern const char *const health_state_names[], *const health_event_names[]; /* end with NULL */

enum {
    HEALTH_PROBATION_RESULTS = 3,
    HEALTH_WINDOW = 20, /* results looked back at */
    HEALTH_DRIFTS = 4,
    HEALTH_RECOVERY = 8,
    HEALTH_LIES = 3,
    HEALTH_CRASHES = 5,
    HEALTH_CRASH_WINDOW_S = 3600,
    HEALTH_RETESTS = 3,
    HEALTH_RETEST_FIRST_S =
        600,                   /* from the quarantine to the first; then twice as long each time */
    HEALTH_RETEST_NEXT_S = 60, /* from one that passed to the next */
    HEALTH_RETEST_MOST_S = 86400
};

struct health {
    enum health_state state;
    uint32_t recent; /* the last HEALTH_WINDOW results, newest in bit 0; 1 = drifted */
    uint32_t lies;   /* likewise; 1 = could not be true */
    int steady_in_row;
    int64_t crashes_us[HEALTH_CRASHES]; /* wall clock of the newest crashes; 0: none */
    int passed;                         /* retests in a row */
    int tries;                          /* quarantines and failed retests since it was good last */
    int64_t retest_us;                  /* in quarantine: wall clock of the next retest */
};

/* By what share two moments of the reference network may differ: 5 %, or three times the noise
 * floor, of which no more counts than is plausible. */
double health_drift_limit(double noise);
/* Drift of a reference network that took before and after (microseconds, > 0) around a
 * measurement: |after - before| / before beyond max(5 %, three times the noise floor, of which no
 * more counts than is plausible). */
bool health_drifted(double before_us, double after_us, double noise);
/* Whether the reference network, measured alone in quarantine, is what it was: twice as far off as
 * two runs beside one measurement may lie. */
bool health_retest_holds(double known_us, double median_us, double noise);
/* Changes *health; returns whether the state has changed. */
bool health_step(struct health *health, enum health_event event, int64_t now_us);
