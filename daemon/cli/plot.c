#include "daemon/cli/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/cli/axis.h"

enum { LABEL = 9, DOTS_X = 2, DOTS_Y = 4, JOINED = 1000 /* points from one end to the other */ };

struct cell {
    unsigned char dots; /* of braille */
    unsigned char n;    /* points, 255 at most */
    bool taken;
    enum plot_kind kind;
};
struct view {
    struct axis_range x, y;
    int columns, rows; /* of cells */
};

static bool is_shown(const struct plot_point *p) {
    return isfinite(p->x) && isfinite(p->y);
}

static struct view view_of(const struct plot *plot) {
    struct view view = {.x = {INFINITY, -INFINITY, false}, .y = {INFINITY, -INFINITY, false}};
    for (int i = 0; i < plot->n_points; i++)
        if (is_shown(&plot->points[i])) {
            axis_widen(&view.x, plot->points[i].x);
            axis_widen(&view.y, plot->points[i].y);
        }
    axis_close(&view.x, !plot->linear, 0);
    axis_close(&view.y, false, 0);
    view.columns = (plot->width > PLOT_WIDTH_MAX ? PLOT_WIDTH_MAX : plot->width) - LABEL - 2;
    view.rows = (plot->height > PLOT_HEIGHT_MAX ? PLOT_HEIGHT_MAX : plot->height) - 2;
    return view;
}

/* Of n steps from low to high the one that v lies on. */
static int step_of(const struct axis_range *range, double v, int n) {
    double share = (axis_place(range, v) - range->low) / (range->high - range->low);
    int step = (int)(share * (n - 1) + 0.5);
    return step < 0 ? 0 : step >= n ? n - 1 : step;
}

static void add_point(struct cell *cells, const struct view *view, const struct plot_point *p) {
    static const unsigned char bits[DOTS_Y][DOTS_X] = {{1, 8}, {2, 16}, {4, 32}, {64, 128}};
    int x = step_of(&view->x, p->x, view->columns * DOTS_X);
    int y = view->rows * DOTS_Y - 1 - step_of(&view->y, p->y, view->rows * DOTS_Y);
    struct cell *cell = &cells[y / DOTS_Y * view->columns + x / DOTS_X];
    cell->dots |= bits[y % DOTS_Y][x % DOTS_X];
    cell->n += cell->n < 255;
    if (!cell->taken || p->kind > cell->kind)
        cell->kind = p->kind;
    cell->taken = true;
}

static const char *const marks[2][PLOT_KINDS] = {
    {".", "*", "o", "+", "@"}, {"\u2801", "\u2836", "\u25cb", "\u25c6", "\u25cf"}};
static const char *const colours[PLOT_KINDS] = {"\033[2m", "\033[36m", "\033[34m", "\033[35m",
                                                "\033[1;33m"};

static void put_coloured(struct buf *out, const struct plot *plot, enum plot_kind kind,
                         const char *text) {
    buf_printf(out, "%s%s%s", plot->colours ? colours[kind] : "", text,
               plot->colours ? "\033[0m" : "");
}

void plot_put_mark(struct buf *out, const struct plot *plot, enum plot_kind kind) {
    put_coloured(out, plot, kind, marks[plot->utf8][kind]);
}

static void put_cell(struct buf *out, const struct plot *plot, const struct cell *cell) {
    char text[4];
    unsigned code = 0x2800u + cell->dots; /* three bytes of UTF-8 */
    if (!cell->taken) {
        buf_puts(out, " ");
    } else if (cell->kind > PLOT_CURVE || (cell->kind == PLOT_CURVE && !plot->utf8)) {
        plot_put_mark(out, plot, cell->kind);
    } else if (!plot->utf8) {
        put_coloured(out, plot, PLOT_CLOUD, cell->n < 4 ? "." : ":");
    } else {
        text[0] = (char)(0xE0 | code >> 12);
        text[1] = (char)(0x80 | (code >> 6 & 0x3F));
        text[2] = (char)(0x80 | (code & 0x3F));
        text[3] = 0;
        put_coloured(out, plot, cell->kind, text);
    }
}

static double at_share(const struct axis_range *range, double share) {
    double v = range->low + share * (range->high - range->low);
    return range->log ? pow(10, v) : v;
}

static void put_row(struct buf *out, const struct plot *plot, const struct view *view,
                    const struct cell *cells, int row) {
    char label[32] = "";
    int last = 0;
    if (row == 0 || row == view->rows - 1 || row == view->rows / 2)
        snprintf(label, sizeof(label), "%.4g",
                 at_share(&view->y, 1 - (double)row / (view->rows - 1)));
    buf_printf(out, "%*.*s %s", LABEL, LABEL, label, plot->utf8 ? "\u2502" : "|");
    for (int i = 0; i < view->columns; i++)
        last = cells[row * view->columns + i].taken ? i + 1 : last;
    for (int i = 0; i < last; i++)
        put_cell(out, plot, &cells[row * view->columns + i]);
    buf_puts(out, "\n");
}

/* The line below, and the numbers at its ends and in its middle. */
static void put_axis(struct buf *out, const struct plot *plot, const struct view *view) {
    char low[32], middle[32], high[32];
    int gap;
    buf_printf(out, "%*s %s", LABEL, "", plot->utf8 ? "\u2514" : "+");
    for (int i = 0; i < view->columns; i++)
        buf_puts(out, plot->utf8 ? "\u2500" : "-");
    snprintf(low, sizeof(low), "%.4g", at_share(&view->x, 0));
    snprintf(middle, sizeof(middle), "%.4g", at_share(&view->x, 0.5));
    snprintf(high, sizeof(high), "%.4g", at_share(&view->x, 1));
    gap = view->columns / 2 - (int)strlen(low) - (int)strlen(middle) / 2;
    buf_printf(out, "\n%*s%s", LABEL + 2, "", low);
    if (gap > 0 && view->columns >= 40)
        buf_printf(out, "%*s%s", gap, "", middle);
    else
        middle[0] = 0, gap = 0;
    gap = view->columns - (int)strlen(low) - gap - (int)strlen(middle) - (int)strlen(high);
    buf_printf(out, "%*s%s\n", gap > 0 ? gap : 1, "", high);
}

void plot_put(struct buf *out, const struct plot *plot) {
    static struct cell cells[PLOT_WIDTH_MAX * PLOT_HEIGHT_MAX];
    const struct view view = view_of(plot);

    memset(cells, 0, sizeof(cells));
    for (int i = 0; i < plot->n_points; i++)
        if (is_shown(&plot->points[i]))
            add_point(cells, &view, &plot->points[i]);
    for (int row = 0; row < view.rows; row++)
        put_row(out, plot, &view, cells, row);
    put_axis(out, plot, &view);
}

/* ---- curves ---------------------------------------------------------------------------------- */

int plot_join(const struct plot_point *points, int n, enum plot_kind kind, int room,
              struct plot_point *ret_points) {
    const struct plot_point *last = NULL;
    struct axis_range x = {INFINITY, -INFINITY, false};
    int written = 0;
    for (int i = 0; i < n; i++)
        if (is_shown(&points[i]))
            axis_widen(&x, points[i].x);
    for (int i = 0; i < n; i++) {
        const struct plot_point *p = &points[i];
        if (!is_shown(p))
            continue;
        double share = last && x.high > x.low ? (p->x - last->x) / (x.high - x.low) : 0;
        int steps = (int)ceil(share * JOINED) + (last != NULL);
        for (int k = 1; k < steps && written < room; k++) {
            double at = (double)k / steps;
            ret_points[written++] = (struct plot_point){last->x + at * (p->x - last->x),
                                                        last->y + at * (p->y - last->y), kind};
        }
        last = p;
    }
    return written;
}

/* The mean of those of values[from, to) that are numbers; NaN: there are none. */
static double mean_of(const double *values, int from, int to) {
    double sum = 0;
    int n = 0;
    for (int i = from; i < to; i++)
        if (isfinite(values[i])) {
            sum += values[i];
            n++;
        }
    return n ? sum / n : NAN;
}

void plot_put_spark(struct buf *out, const double *values, int n, int width, bool utf8) {
    static const char *const levels[2][8] = {
        {"_", ".", "-", ":", "=", "+", "*", "#"},
        {"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"}};
    struct axis_range range = {0, -INFINITY, false};
    int bars = n < width ? n : width, level = 0;
    for (int i = 0; i < bars; i++)
        axis_widen(&range, mean_of(values, i * n / bars, (i + 1) * n / bars));
    for (int i = 0; i < bars; i++) {
        double mean = mean_of(values, i * n / bars, (i + 1) * n / bars);
        if (isfinite(mean) && range.high > range.low)
            level = (int)((mean - range.low) / (range.high - range.low) * 7 + 0.5);
        buf_puts(out, levels[utf8][level]);
    }
}
