/* The curves of a training as the API gives them: {"name", "step": […], "epoch": […], "value":
 * […]}.
 */
#pragma once

#include <cjson/cJSON.h>

/* Where one stands in the three lists of a curve; step NULL: behind its last point. */
struct series_point {
    const cJSON *step, *epoch, *value;
};
struct series_point series_first(const cJSON *series);
struct series_point series_next(struct series_point point); /* of one that is not behind the last */
