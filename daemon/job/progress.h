/* How far a job has come, and how long it will still take: one reckoning for all kinds. A job is
 * one span of [0, 1], or a row of phases with a span each, by what they are expected to cost.
 *
 * The time that is left goes by the pace of the latest minute of work in this attempt: what an
 * earlier attempt did, or another job, is passed over in a moment and tells nothing. */
#pragma once

#include "daemon/job/channel.h"
#include <math.h>

struct progress_pace {
    double seconds, fraction; /* that work took, and brought */
};

struct progress {
    struct channel *channel; /* borrowed */
    const char *phase;       /* borrowed */
    double start, end;       /* span of the phase */
    double at;               /* in [0, 1], of the whole job */
    double told;             /* the same, told last: it never falls */
    int64_t now_ns;          /* when at was reached */
    double waited_s;         /* since then, without getting on */
    struct progress_pace latest, all;
};

/* What a phase has done of all that it is to do, for people: share says how far it has come where
 * the unit is too coarse for that; NAN: done / total. */
struct progress_point {
    int64_t done, total;
    const char *unit;
    double share;
    bool known; /* what came since the last point was known before: it took no work */
};

/* A job of one phase; the span of another one is given by progress_phase. */
void progress_init(struct progress *progress, struct channel *channel, const char *phase);
/* From here on it is in this phase, whose span in the whole job is [start, end]. */
void progress_phase(struct progress *progress, const char *phase, double start, double end);
/* The same at a time in ns of any clock; pure, for tests. */
void progress_begin_at(struct progress *progress, const char *phase, double start, double end,
                       int64_t now_ns);
/* share of the phase is reached. Returns the seconds that are left, NAN while nobody can tell. */
double progress_reach_at(struct progress *progress, double share, bool known, int64_t now_ns);
/* What is known before anything is done, up to that share of the phase. */
void progress_pass_over(struct progress *progress, double share);
/* The message of docs/JOB_PROTOCOL.md: phase, done, total, unit, fraction and, once it can be told,
 * eta_s. The caller may add to it and hands it to channel_progress. */
cJSON *progress_describe(struct progress *progress, const struct progress_point *point);
/* That and nothing else, sent. */
void progress_tell(struct progress *progress, const struct progress_point *point);
