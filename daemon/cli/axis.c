#include "daemon/cli/axis.h"

#include <math.h>

void axis_widen(struct axis_range *range, double v) {
    if (isfinite(v)) {
        range->low = fmin(range->low, v);
        range->high = fmax(range->high, v);
    }
}

void axis_close(struct axis_range *range, bool wants_log, double margin) {
    if (!(range->low <= range->high))
        *range = (struct axis_range){.low = 0, .high = 1};
    range->log = wants_log && range->low > 0 && range->high > 5 * range->low;
    if (range->log) {
        range->low = log10(range->low);
        range->high = log10(range->high);
    }
    double gap = range->high - range->low;
    double more =
        gap > 1e-12 * fabs(range->high) ? margin * gap : fmax(fabs(range->high) * 0.1, 1e-9);
    range->low -= more;
    range->high += more;
}

double axis_place(const struct axis_range *range, double v) {
    return range->log ? log10(v) : v;
}
