/* The range of a drawing's axis, linear or logarithmic. Pure. */
#pragma once

#include <stdbool.h>

/* Empty at first: {INFINITY, -INFINITY}. */
struct axis_range {
    double low, high; /* once closed, of log10 on a logarithmic axis */
    bool log;
};

/* Takes v in, unless it is not finite. Before the range is closed. */
void axis_widen(struct axis_range *range, double v);
/* Makes a range to draw of it: 0 to 1 where nothing was taken in; logarithmic if wanted, where all
 * is above 0 and the largest more than five times the smallest; wider by that share of it at both
 * ends, by a tenth of the value where there is but one. */
void axis_close(struct axis_range *range, bool wants_log, double margin);
/* Where v lies on the axis, in the units of low and high. */
double axis_place(const struct axis_range *range, double v);
