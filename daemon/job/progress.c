#include "daemon/job/progress.h"

/* Work that lies longer back counts for less: by 1/e after a minute. */
#define MEMORY_S 60.0

void progress_begin_at(struct progress *progress, const char *phase, double start, double end,
                       int64_t now_ns) {
    progress->phase = phase;
    progress->start = progress->at = start;
    progress->end = end;
    progress->now_ns = now_ns;
    progress->waited_s = 0;
    progress->latest = (struct progress_pace){0, 0};
}

void progress_phase(struct progress *progress, const char *phase, double start, double end) {
    progress_begin_at(progress, phase, start, end, channel_clock_ns(progress->channel));
}

void progress_init(struct progress *progress, struct channel *channel, const char *phase) {
    *progress = (struct progress){.channel = channel};
    progress_phase(progress, phase, 0, 1);
}

static void add_work(struct progress *progress, double seconds, double fraction) {
    double kept = exp(-seconds / MEMORY_S);
    progress->latest.seconds = kept * progress->latest.seconds + seconds;
    progress->latest.fraction = kept * progress->latest.fraction + fraction;
    progress->all.seconds += seconds;
    progress->all.fraction += fraction;
}

/* For the phase its own pace; for others that of all so far. */
static double time_left(const struct progress *progress) {
    const struct progress_pace *all = &progress->all;
    const struct progress_pace *latest = progress->latest.fraction > 0 ? &progress->latest : all;
    double rest = fmax(progress->end - progress->at, 0), later = fmax(1 - progress->end, 0);
    if (progress->at >= 1)
        return 0;
    if (!(all->fraction > 0))
        return NAN;
    double left_s = rest * latest->seconds / latest->fraction - progress->waited_s;
    return fmax(left_s, 0) + later * all->seconds / all->fraction;
}

double progress_reach_at(struct progress *progress, double share, bool known, int64_t now_ns) {
    double length = progress->end - progress->start;
    double at = progress->start + fmin(fmax(share, 0), 1) * length, gained = at - progress->at;
    double seconds = (double)(now_ns - progress->now_ns) / 1e9;
    if (gained > 0 && !known)
        add_work(progress, seconds, gained);
    progress->waited_s = gained > 0 || known ? 0 : seconds;
    if (gained > 0 || known) {
        progress->at = fmax(at, progress->at);
        progress->now_ns = now_ns;
    }
    progress->told = fmax(progress->told, progress->at);
    return time_left(progress);
}

void progress_pass_over(struct progress *progress, double share) {
    progress_reach_at(progress, share, true, channel_clock_ns(progress->channel));
}

cJSON *progress_describe(struct progress *progress, const struct progress_point *point) {
    double share = point->share;
    if (isnan(share))
        share = point->total > 0 ? (double)point->done / (double)point->total : 1;
    double left_s =
        progress_reach_at(progress, share, point->known, channel_clock_ns(progress->channel));
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "phase", progress->phase);
    cJSON_AddNumberToObject(doc, "done", (double)point->done);
    cJSON_AddNumberToObject(doc, "total", (double)point->total);
    cJSON_AddStringToObject(doc, "unit", point->unit);
    cJSON_AddNumberToObject(doc, "fraction", progress->told);
    if (!isnan(left_s))
        cJSON_AddNumberToObject(doc, "eta_s", left_s);
    return doc;
}

void progress_tell(struct progress *progress, const struct progress_point *point) {
    channel_progress(progress->channel, progress_describe(progress, point));
}
