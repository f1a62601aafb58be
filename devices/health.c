#include "devices/health.h"

#include <math.h>
#include <stddef.h>

#include "devices/noise.h"

const char *const health_state_names[] = {"probation",   "good",        "suspect",
                                          "quarantined", "maintenance", NULL};
const char *const health_event_names[] = {
    "steady",      "drift",    "crash",         "release",       "quarantine",    "yardstick",
    "implausible", "maintain", "retest_passed", "retest_failed", "retest_learnt", NULL};

double health_drift_limit(double noise) {
    return fmax(3 * fmin(noise, NOISE_PLAUSIBLE_MAX), 0.05);
}

bool health_drifted(double before_us, double after_us, double noise) {
    return fabs(after_us - before_us) > health_drift_limit(noise) * before_us;
}

bool health_retest_holds(double known_us, double median_us, double noise) {
    return fabs(median_us - known_us) <= 2 * health_drift_limit(noise) * known_us;
}

static void note_result(struct health *health, bool drifted) {
    health->recent = (health->recent << 1 | drifted) & ((1u << HEALTH_WINDOW) - 1);
    health->lies = health->lies << 1 & ((1u << HEALTH_WINDOW) - 1);
    health->steady_in_row = drifted ? 0 : health->steady_in_row + 1;
}

/* Whether this crash fills the window. */
static bool note_crash(struct health *health, int64_t now_us) {
    for (int i = HEALTH_CRASHES - 1; i > 0; i--)
        health->crashes_us[i] = health->crashes_us[i - 1];
    health->crashes_us[0] = now_us;
    int64_t oldest = health->crashes_us[HEALTH_CRASHES - 1];
    return oldest != 0 && now_us - oldest <= (int64_t)HEALTH_CRASH_WINDOW_S * 1000000;
}

/* The next retest, after a quarantine or a retest that failed. */
static void put_off(struct health *health, int64_t now_us) {
    int64_t wait_s = HEALTH_RETEST_FIRST_S;
    for (int i = 0; i < health->tries && wait_s < HEALTH_RETEST_MOST_S; i++)
        wait_s *= 2;
    health->passed = 0;
    health->tries++;
    health->retest_us =
        now_us + (wait_s < HEALTH_RETEST_MOST_S ? wait_s : HEALTH_RETEST_MOST_S) * 1000000;
}

/* What was held against it is forgotten, but not how often it was in quarantine. */
static void start_again(struct health *health, int tries) {
    *health = (struct health){.state = HEALTH_PROBATION, .tries = tries};
}

static void retest_passed(struct health *health, int64_t now_us) {
    health->retest_us = now_us + (int64_t)HEALTH_RETEST_NEXT_S * 1000000;
    if (++health->passed >= HEALTH_RETESTS)
        start_again(health, health->tries);
}

/* Once may be a clock that was set, or a cosmic ray. */
static enum health_state after_lie(struct health *health) {
    health->lies = (health->lies << 1 | 1) & ((1u << HEALTH_WINDOW) - 1);
    health->steady_in_row = 0;
    if (health->state == HEALTH_QUARANTINED || __builtin_popcount(health->lies) >= HEALTH_LIES)
        return HEALTH_QUARANTINED;
    return HEALTH_SUSPECT;
}

static enum health_state after_result(const struct health *health) {
    int drifts = __builtin_popcount(health->recent);
    switch (health->state) {
    case HEALTH_PROBATION:
        return health->steady_in_row >= HEALTH_PROBATION_RESULTS ? HEALTH_GOOD : HEALTH_PROBATION;
    case HEALTH_GOOD:
        return drifts >= HEALTH_DRIFTS ? HEALTH_SUSPECT : HEALTH_GOOD;
    case HEALTH_SUSPECT:
        return health->steady_in_row >= HEALTH_RECOVERY ? HEALTH_GOOD : HEALTH_SUSPECT;
    case HEALTH_QUARANTINED:
    case HEALTH_MAINTENANCE:
    case HEALTH_STATES:
        break;
    }
    return health->state;
}

/* In quarantine every failure puts the next retest off; returns whether event is one. */
static bool fails_retest(enum health_event event) {
    return event == HEALTH_CRASH || event == HEALTH_IMPLAUSIBLE || event == HEALTH_RETEST_FAILED;
}

static void step(struct health *health, enum health_event event, int64_t now_us) {
    enum health_state before = health->state;
    switch (event) {
    case HEALTH_STEADY:
    case HEALTH_DRIFT:
        note_result(health, event == HEALTH_DRIFT);
        health->state = after_result(health);
        if (health->state == HEALTH_GOOD && before != HEALTH_GOOD)
            health->recent = 0;
        if (health->state == HEALTH_GOOD)
            health->tries = 0;
        break;
    case HEALTH_CRASH:
        if (note_crash(health, now_us))
            health->state = HEALTH_QUARANTINED;
        break;
    case HEALTH_RELEASE:
        if (before == HEALTH_QUARANTINED || before == HEALTH_MAINTENANCE)
            start_again(health, 0);
        break;
    case HEALTH_QUARANTINE:
        health->state = HEALTH_QUARANTINED;
        break;
    case HEALTH_YARDSTICK:
        health->recent = 0;
        health->steady_in_row = 0;
        if (before != HEALTH_QUARANTINED)
            health->state = HEALTH_PROBATION;
        break;
    case HEALTH_IMPLAUSIBLE:
        health->state = after_lie(health);
        break;
    case HEALTH_MAINTAIN:
        health->state = HEALTH_MAINTENANCE;
        break;
    case HEALTH_RETEST_PASSED:
        if (before == HEALTH_QUARANTINED)
            retest_passed(health, now_us);
        break;
    case HEALTH_RETEST_LEARNT:
        if (before == HEALTH_QUARANTINED)
            health->retest_us = now_us + (int64_t)HEALTH_RETEST_NEXT_S * 1000000;
        break;
    case HEALTH_RETEST_FAILED:
    case HEALTH_EVENTS:
        break;
    }
}

bool health_step(struct health *health, enum health_event event, int64_t now_us) {
    enum health_state before = health->state;
    if (before == HEALTH_MAINTENANCE && event != HEALTH_RELEASE && event != HEALTH_QUARANTINE)
        return false;
    step(health, event, now_us);
    bool entered = health->state == HEALTH_QUARANTINED && before != HEALTH_QUARANTINED;
    if (entered || (before == HEALTH_QUARANTINED && fails_retest(event)))
        put_off(health, now_us);
    return health->state != before;
}
