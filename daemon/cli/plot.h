/* Drawings of characters, for a terminal: many points, and curves, as braille dots, a few points as
 * marks of their own. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

/* In the order in which one hides another. */
enum plot_kind { PLOT_CLOUD, PLOT_CURVE, PLOT_PREDICTED, PLOT_BETWEEN, PLOT_MEASURED, PLOT_KINDS };

struct plot_point {
    double x, y;
    enum plot_kind kind;
};

struct plot {
    const struct plot_point *points; /* those with a coordinate that is no finite number are left
                                        out */
    int n_points;
    int width, height; /* characters, labels included; at least PLOT_WIDTH_MIN x PLOT_HEIGHT_MIN */
    bool utf8;    /* else ASCII alone: '.' and ':' for the cloud, '*' for a curve, 'o', '+' and '@'
                     for the marks */
    bool colours; /* of ANSI terminals */
    bool linear;  /* the horizontal axis is, also where its values span more than a decade */
};
enum { PLOT_WIDTH_MIN = 24, PLOT_HEIGHT_MIN = 5, PLOT_WIDTH_MAX = 400, PLOT_HEIGHT_MAX = 100 };

/* Appends height lines, none wider than width. */
void plot_put(struct buf *out, const struct plot *plot);
/* Points on the straight lines between those of a series, so close that a plot of this size shows
 * them as a curve. points are n in the order of x; those between are of the kind. Writes at most
 * room of them, and returns how many. */
int plot_join(const struct plot_point *points, int n, enum plot_kind kind, int room,
              struct plot_point *ret_points);
/* Appends a row of bars from 0 to the largest, width at most: n values, or as many means of them
 * where they are more; where there is no number the bar before stands again. */
void plot_put_spark(struct buf *out, const double *values, int n, int width, bool utf8);
/* The mark of a kind, as plot_put draws it, with its colour. */
void plot_put_mark(struct buf *out, const struct plot *plot, enum plot_kind kind);
