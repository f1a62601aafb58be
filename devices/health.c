#include "devices/health.h"

#include <math.h>
#include <stddef.h>

#include "devices/noise.h"

const char *const health_state_names[] = {"probation", "good", "suspect", "quarantined", NULL};
const char *const health_event_names[] = {"steady",     "drift",     "crash",       "release",
                                          "quarantine", "yardstick", "implausible", NULL};

bool health_drifted(double before_us, double after_us, double noise) {
    double plausible = fmin(noise, NOISE_PLAUSIBLE_MAX);
    double limit = fmax(3 * plausible, 0.05);
    return fabs(after_us - before_us) > limit * before_us;
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
    case HEALTH_STATES:
        break;
    }
    return health->state;
}

bool health_step(struct health *health, enum health_event event, int64_t now_us) {
    enum health_state before = health->state;
    switch (event) {
    case HEALTH_STEADY:
    case HEALTH_DRIFT:
        note_result(health, event == HEALTH_DRIFT);
        health->state = after_result(health);
        if (health->state == HEALTH_GOOD && before != HEALTH_GOOD)
            health->recent = 0;
        break;
    case HEALTH_CRASH:
        if (note_crash(health, now_us))
            health->state = HEALTH_QUARANTINED;
        break;
    case HEALTH_RELEASE:
        if (before == HEALTH_QUARANTINED)
            *health = (struct health){.state = HEALTH_PROBATION};
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
    case HEALTH_EVENTS:
        break;
    }
    return health->state != before;
}
