/* Charts as inline SVG: points with intervals, curves, a cloud of many points as a density. Colours
 * come from the page's style, by class. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

enum chart_mark { CHART_DOT, CHART_DIAMOND, CHART_CROSS, CHART_LINE, CHART_DASHES };

struct chart_series {
    const char *name;  /* for the legend */
    const char *style; /* class of its marks */
    enum chart_mark mark;
};

/* In the units of the axes; what is not known is NaN. */
struct chart_point {
    double x, y;
    double x_low, x_high, y_low, y_high; /* its interval */
    double from_x, from_y;               /* a thin line leads here from there */
    int series;
    const char *title; /* shown on hovering; NULL: none. Borrowed */
};

struct chart_axis {
    const char *title;
    double limit; /* a line across at this value; NaN: none */
    bool log;     /* where all values allow it */
};

struct chart {
    const char *id;    /* of the SVG in its page */
    const char *title; /* what is to be seen, for those who do not see it */
    struct chart_axis x, y;
    const struct chart_series *series;
    int n_series;
    const struct chart_point *points; /* of lines in their order */
    int n_points;
    const double *cloud; /* x and y of so many points, shown as a density */
    int n_cloud;
    bool diagonal; /* equal x and y; both axes have one range then */
};

/* A figure with its legend; points with a coordinate that is no finite number are left out. */
void chart_put(struct buf *out, const struct chart *chart);
