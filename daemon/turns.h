/* Who may use the daemon's own machine: its boards to measure, or a job to compute. Pure, on an
 * injected monotonic clock: docs/decisions/0009-a-board-never-measures-beside-a-job.md. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    TURN_MEASURE_S = 30, /* how long boards keep a job waiting once the machine is quiet, and */
    TURN_JOB_S = 30,     /* how long jobs then compute before boards may again */
    TURN_RETURN_S = 3    /* a quiet machine whose board does not come back is given back */
};

/* All zero at the start. */
struct turns {
    int64_t wanted_since_us;               /* boards' turn; 0: not */
    int64_t quiet_since_us;                /* of that, without a job that computes; 0: not yet */
    int64_t jobs_since_us, jobs_latest_us; /* jobs have computed, with short gaps; 0: not */
    int64_t leased_us;                     /* a board held a lease then; 0: none did yet */
};

/* What is the case now. */
struct turns_view {
    bool leased;         /* a board of this machine holds a lease */
    bool work, there;    /* something waits for such boards; one of them asks for it, or did within
                            TURN_RETURN_S: it comes back */
    bool computing;      /* a job runs and has not paused */
    bool job_needs_them; /* it waits for measurements: it gains nothing by computing on */
};

/* One look; now_us > 0. Returns whether boards are to have the machine: then no job is to start,
 * and the running one is to pause at its next boundary. They may measure once it has. */
bool turns_look(struct turns *turns, const struct turns_view *view, int64_t now_us);
