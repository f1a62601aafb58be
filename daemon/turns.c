#include "daemon/turns.h"

enum { GAP_US = 5000000 /* between two jobs of one series: many short ones are like a long one */ };

static void note_jobs(struct turns *turns, bool computing, int64_t now_us) {
    if (!computing)
        return;
    if (turns->jobs_since_us == 0 || now_us - turns->jobs_latest_us > GAP_US)
        turns->jobs_since_us = now_us;
    turns->jobs_latest_us = now_us;
}

/* One that has measured comes back too, however long ago it asked for its lease. */
static bool is_there(const struct turns *turns, const struct turns_view *view, int64_t now_us) {
    return view->there ||
           (turns->leased_us != 0 && now_us - turns->leased_us < TURN_RETURN_S * INT64_C(1000000));
}

static bool boards_turn(const struct turns *turns, const struct turns_view *view, int64_t now_us) {
    if (view->leased)
        return true;
    if (!view->work || !is_there(turns, view, now_us))
        return false;
    if (view->job_needs_them)
        return true;
    if (turns->wanted_since_us != 0)
        return turns->quiet_since_us == 0 ||
               now_us - turns->quiet_since_us < TURN_MEASURE_S * INT64_C(1000000);
    return !view->computing || now_us - turns->jobs_since_us >= TURN_JOB_S * INT64_C(1000000);
}

bool turns_look(struct turns *turns, const struct turns_view *view, int64_t now_us) {
    note_jobs(turns, view->computing, now_us);
    if (view->leased)
        turns->leased_us = now_us;
    if (!boards_turn(turns, view, now_us)) {
        if (turns->wanted_since_us != 0) /* a job's turn begins, also one's that has to start yet */
            turns->jobs_since_us = turns->jobs_latest_us = now_us;
        turns->wanted_since_us = turns->quiet_since_us = 0;
        return false;
    }
    if (turns->wanted_since_us == 0)
        turns->wanted_since_us = now_us;
    if (turns->quiet_since_us == 0 && !view->computing)
        turns->quiet_since_us = now_us;
    return true;
}
