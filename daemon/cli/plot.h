/* A scatter of characters, for a terminal: many points as braille dots, a few as marks of their
 * own. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

/* In the order in which one hides another. */
enum plot_kind { PLOT_CLOUD, PLOT_PREDICTED, PLOT_MEASURED, PLOT_KINDS };

struct plot_point {
    double x, y;
    enum plot_kind kind;
};

struct plot {
    const struct plot_point *points; /* those with a coordinate that is no finite number are left
                                        out */
    int n_points;
    int width, height; /* characters, labels included; at least PLOT_WIDTH_MIN x PLOT_HEIGHT_MIN */
    bool utf8;         /* else ASCII alone: '.' and ':' for the cloud, 'o' and '@' for the marks */
    bool colours;      /* of ANSI terminals */
};
enum { PLOT_WIDTH_MIN = 24, PLOT_HEIGHT_MIN = 5, PLOT_WIDTH_MAX = 400, PLOT_HEIGHT_MAX = 100 };

/* Appends height lines, none wider than width. */
void plot_put(struct buf *out, const struct plot *plot);
/* The mark of a kind, as plot_put draws it, with its colour. */
void plot_put_mark(struct buf *out, const struct plot *plot, enum plot_kind kind);
