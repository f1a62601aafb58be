#include "daemon/cli/series.h"

#include "daemon/cli/cli.h"

/* The lists are as long as each other, or what is missing ends them. */
static struct series_point whole(const cJSON *step, const cJSON *epoch, const cJSON *value) {
    bool there = step && epoch && value;
    return there ? (struct series_point){step, epoch, value} : (struct series_point){NULL};
}

struct series_point series_first(const cJSON *series) {
    const cJSON *step = cli_item(series, "step"), *epoch = cli_item(series, "epoch");
    const cJSON *value = cli_item(series, "value");
    return whole(step ? step->child : NULL, epoch ? epoch->child : NULL,
                 value ? value->child : NULL);
}

struct series_point series_next(struct series_point point) {
    return whole(point.step->next, point.epoch->next, point.value->next);
}
