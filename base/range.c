#include "base/range.h"

#include <stdbool.h>
#include <stdio.h>

#define CHOSEN_MAX 1e15

void range_refusal(double min, double max, double value, char ret_text[RANGE_TEXT]) {
    bool has_min = min > -CHOSEN_MAX, has_max = max < CHOSEN_MAX;
    if (has_min && has_max)
        snprintf(ret_text, RANGE_TEXT, "must be from %.15g to %.15g, not %.15g", min, max, value);
    else if (has_min && value < min)
        snprintf(ret_text, RANGE_TEXT, "must be at least %.15g, not %.15g", min, value);
    else if (has_max && value > max)
        snprintf(ret_text, RANGE_TEXT, "must be at most %.15g, not %.15g", max, value);
    else
        snprintf(ret_text, RANGE_TEXT, "must be a %s number than %.15g",
                 value > max ? "smaller" : "larger", value);
}
