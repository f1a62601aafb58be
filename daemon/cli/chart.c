#include "daemon/cli/chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/cli/axis.h"
#include "daemon/cli/html.h"

/* The frame that the data is drawn in, of an image of WIDTH x HEIGHT. LEFT is the least, DIGIT what
 * a character of a label takes at most. */
enum { WIDTH = 720, HEIGHT = 420, LEFT = 64, RIGHT = 16, TOP = 14, BOTTOM = 48, DIGIT = 7 };
enum { CELLS_X = 64, CELLS_Y = 36, DENSITIES = 4, TICKS_MAX = 12, LABEL = 32 };

struct view {
    struct axis_range x, y;
    int left;
};

static double place_x(const struct view *view, double v) {
    return view->left + (WIDTH - view->left - RIGHT) * (axis_place(&view->x, v) - view->x.low) /
                            (view->x.high - view->x.low);
}

static double place_y(const struct view *view, double v) {
    return HEIGHT - BOTTOM -
           (HEIGHT - TOP - BOTTOM) * (axis_place(&view->y, v) - view->y.low) /
               (view->y.high - view->y.low);
}

/* ---- ticks --------------------------------------------------------------------------------- */

/* 1, 2 or 5 times a power of ten, so that about six of them fit. */
static double step_of(double span) {
    double raw = span / 6, power = pow(10, floor(log10(raw))), rest = raw / power;
    return power * (rest < 1.5 ? 1 : rest < 3.5 ? 2 : rest < 7.5 ? 5 : 10);
}

static int linear_ticks(const struct axis_range *range, double ticks[TICKS_MAX]) {
    double step = step_of(range->high - range->low), at = ceil(range->low / step) * step;
    int n = 0;
    for (; at <= range->high && n < TICKS_MAX; at += step)
        ticks[n++] = fabs(at) < step / 1000 ? 0 : at;
    return n;
}

/* 1, 2 and 5 of each decade; of many decades the ones alone. */
static int log_ticks(const struct axis_range *range, double ticks[TICKS_MAX]) {
    static const double steps[] = {1, 2, 5};
    int n_steps = range->high - range->low > 3 ? 1 : 3, n = 0;
    for (int decade = (int)floor(range->low); decade <= (int)ceil(range->high); decade++)
        for (int i = 0; i < n_steps; i++) {
            double at = steps[i] * pow(10, decade), v = log10(at);
            if (v >= range->low && v <= range->high && n < TICKS_MAX)
                ticks[n++] = at;
        }
    return n;
}

static int ticks_of(const struct axis_range *range, double ticks[TICKS_MAX]) {
    int n = range->log ? log_ticks(range, ticks) : 0;
    if (n >= 2 || !range->log)
        return n ? n : linear_ticks(range, ticks);
    ticks[0] = pow(10, (range->low + range->high) / 2);
    return 1;
}

struct ticks {
    int n;
    double at[TICKS_MAX];
    char labels[TICKS_MAX][LABEL];
};

/* With as many digits as tell neighbours apart, the same in all where the steps are. */
static void label_ticks(const struct axis_range *range, struct ticks *ticks) {
    double step = range->log || ticks->n < 2 ? 0 : ticks->at[1] - ticks->at[0];
    double largest = fmax(fabs(ticks->at[0]), fabs(ticks->at[ticks->n > 0 ? ticks->n - 1 : 0]));
    int power = step > 0 ? (int)floor(log10(step) + 1e-9) : 0;

    for (int i = 0; i < ticks->n; i++) {
        double at = ticks->at[i];
        if (largest >= 1e7 || (step > 0 && power < -6))
            snprintf(ticks->labels[i], LABEL, "%.*g",
                     step > 0 ? (int)floor(log10(largest)) - power + 1 : 4, at);
        else if (step > 0)
            snprintf(ticks->labels[i], LABEL, "%.*f", power < 0 ? -power : 0, at);
        else
            snprintf(ticks->labels[i], LABEL, "%.*g", fabs(at) >= 1000 ? 7 : 4, at);
    }
}

static struct ticks ticks_on(const struct axis_range *range) {
    struct ticks ticks = {0};
    ticks.n = ticks_of(range, ticks.at);
    label_ticks(range, &ticks);
    return ticks;
}

/* With room for the labels beside the title, which stands at 14. */
static int left_of(const struct ticks *ticks) {
    size_t longest = 0;
    for (int i = 0; i < ticks->n; i++)
        longest = strlen(ticks->labels[i]) > longest ? strlen(ticks->labels[i]) : longest;
    int left = 28 + DIGIT * (int)longest;
    return left > LEFT ? left : LEFT;
}

/* ---- ranges -------------------------------------------------------------------------------- */

static struct view view_of(const struct chart *chart) {
    struct axis_range x = {.low = INFINITY, .high = -INFINITY}, y = x;
    for (int i = 0; i < chart->n_points; i++) {
        const struct chart_point *p = &chart->points[i];
        const double xs[] = {p->x, p->x_low, p->x_high, p->from_x};
        const double ys[] = {p->y, p->y_low, p->y_high, p->from_y};
        for (int k = 0; k < 4; k++) {
            axis_widen(&x, xs[k]);
            axis_widen(&y, ys[k]);
        }
    }
    for (int i = 0; i < chart->n_cloud; i++) {
        axis_widen(&x, chart->cloud[2 * i]);
        axis_widen(&y, chart->cloud[2 * i + 1]);
    }
    axis_widen(&x, chart->x.limit);
    axis_widen(&y, chart->y.limit);
    if (chart->diagonal) {
        axis_widen(&x, y.low);
        axis_widen(&x, y.high);
        y = x;
    }
    axis_close(&x, chart->x.log, 0.05);
    axis_close(&y, chart->y.log, 0.05);
    struct ticks ticks = ticks_on(&y);
    return (struct view){x, y, left_of(&ticks)};
}

/* ---- axes ---------------------------------------------------------------------------------- */

static void put_axes(struct buf *out, const struct chart *chart, const struct view *view) {
    struct ticks ticks = ticks_on(&view->x);
    for (int i = 0; i < ticks.n; i++) {
        double x = place_x(view, ticks.at[i]);
        buf_printf(out, "<path class=\"grid\" d=\"M%.1f %dV%d\"/>", x, TOP, HEIGHT - BOTTOM);
        buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x,
                   HEIGHT - BOTTOM + 17, ticks.labels[i]);
    }
    ticks = ticks_on(&view->y);
    for (int i = 0; i < ticks.n; i++) {
        double y = place_y(view, ticks.at[i]);
        buf_printf(out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", view->left, y, WIDTH - RIGHT);
        buf_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", view->left - 7,
                   y + 4, ticks.labels[i]);
    }
    buf_printf(out, "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">",
               (view->left + WIDTH - RIGHT) / 2, HEIGHT - 8);
    html_text(out, chart->x.title);
    buf_printf(out,
               "</text>\n<text class=\"axis\" transform=\"translate(14 %d) rotate(-90)\" "
               "text-anchor=\"middle\">",
               (TOP + HEIGHT - BOTTOM) / 2);
    html_text(out, chart->y.title);
    buf_puts(out, "</text>\n");
}

static void put_limits(struct buf *out, const struct chart *chart, const struct view *view) {
    if (isfinite(chart->x.limit))
        buf_printf(out, "<path class=\"limit\" d=\"M%.1f %dV%d\"/>\n",
                   place_x(view, chart->x.limit), TOP, HEIGHT - BOTTOM);
    if (isfinite(chart->y.limit))
        buf_printf(out, "<path class=\"limit\" d=\"M%d %.1fH%d\"/>\n", view->left,
                   place_y(view, chart->y.limit), WIDTH - RIGHT);
    if (chart->diagonal)
        buf_printf(out, "<path class=\"diagonal\" d=\"M%d %dL%d %d\"/>\n", view->left,
                   HEIGHT - BOTTOM, WIDTH - RIGHT, TOP);
}

/* ---- what is shown ------------------------------------------------------------------------- */

/* However many points there are, no more marks than cells. */
static void put_cloud(struct buf *out, const struct chart *chart, const struct view *view) {
    static int cells[CELLS_Y][CELLS_X];
    const double w = (double)(WIDTH - view->left - RIGHT) / CELLS_X,
                 h = (double)(HEIGHT - TOP - BOTTOM) / CELLS_Y;
    int most = 0;
    memset(cells, 0, sizeof(cells));
    for (int i = 0; i < chart->n_cloud; i++) {
        double x = (place_x(view, chart->cloud[2 * i]) - view->left) / w,
               y = (place_y(view, chart->cloud[2 * i + 1]) - TOP) / h;
        if (!(x >= 0 && x < CELLS_X && y >= 0 && y < CELLS_Y))
            continue;
        int n = ++cells[(int)y][(int)x];
        most = n > most ? n : most;
    }
    for (int y = 0; y < CELLS_Y; y++)
        for (int x = 0; x < CELLS_X; x++)
            if (cells[y][x])
                buf_printf(out,
                           "<rect class=\"cloud\" opacity=\"%.2f\" x=\"%.1f\" y=\"%.1f\" "
                           "width=\"%.1f\" height=\"%.1f\"/>\n",
                           ceil(DENSITIES * log1p(cells[y][x]) / log1p(most)) / DENSITIES,
                           view->left + x * w, TOP + y * h, w, h);
}

static void put_mark(struct buf *out, const struct chart_series *series, double x, double y) {
    switch (series->mark) {
    case CHART_DOT:
        buf_printf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"/>", series->style,
                   x, y);
        break;
    case CHART_DIAMOND:
        buf_printf(out, "<path class=\"%s\" d=\"M%.1f %.1fl5.5 5.5l-5.5 5.5l-5.5 -5.5z\"/>",
                   series->style, x, y - 5.5);
        break;
    case CHART_CROSS:
        buf_printf(out, "<path class=\"%s\" d=\"M%.1f %.1fl6 6m0 -6l-6 6\"/>", series->style, x - 3,
                   y - 3);
        break;
    case CHART_LINE:
    case CHART_DASHES:
        buf_printf(out, "<path class=\"%s%s\" d=\"M%.1f %.1fh18\"/>", series->style,
                   series->mark == CHART_DASHES ? " dashes" : "", x - 9, y);
        break;
    }
}

static void put_interval(struct buf *out, const struct view *view, const struct chart_point *p,
                         const char *style) {
    double x = place_x(view, p->x), y = place_y(view, p->y);
    if (isfinite(p->from_x) && isfinite(p->from_y))
        buf_printf(out, "<path class=\"way\" d=\"M%.1f %.1fL%.1f %.1f\"/>",
                   place_x(view, p->from_x), place_y(view, p->from_y), x, y);
    if (isfinite(p->x_low) && isfinite(p->x_high))
        buf_printf(out, "<path class=\"%s bar\" d=\"M%.1f %.1fH%.1f\"/>", style,
                   place_x(view, p->x_low), y, place_x(view, p->x_high));
    if (isfinite(p->y_low) && isfinite(p->y_high))
        buf_printf(out, "<path class=\"%s bar\" d=\"M%.1f %.1fV%.1f\"/>", style, x,
                   place_y(view, p->y_low), place_y(view, p->y_high));
}

static void put_point(struct buf *out, const struct chart *chart, const struct view *view,
                      const struct chart_point *p) {
    const struct chart_series *series = &chart->series[p->series];
    buf_puts(out, "<g>");
    if (p->title) {
        html_element(out, "title", p->title);
    }
    put_interval(out, view, p, series->style);
    put_mark(out, series, place_x(view, p->x), place_y(view, p->y));
    buf_puts(out, "</g>\n");
}

static bool is_line(const struct chart_series *series) {
    return series->mark == CHART_LINE || series->mark == CHART_DASHES;
}

static void put_line(struct buf *out, const struct chart *chart, const struct view *view,
                     int series) {
    const struct chart_series *of = &chart->series[series];
    char step = 'M';
    buf_printf(out, "<path class=\"%s%s\" d=\"", of->style,
               of->mark == CHART_DASHES ? " dashes" : "");
    for (int i = 0; i < chart->n_points; i++) {
        const struct chart_point *p = &chart->points[i];
        if (p->series != series || !isfinite(p->x) || !isfinite(p->y))
            continue;
        buf_printf(out, "%c%.1f %.1f", step, place_x(view, p->x), place_y(view, p->y));
        step = 'L';
    }
    buf_puts(out, step == 'M' ? "M0 0\"/>\n" : "\"/>\n");
}

static void put_legend(struct buf *out, const struct chart *chart) {
    buf_puts(out, "<ul class=\"legend\">");
    for (int i = 0; i < chart->n_series; i++) {
        buf_puts(out, "<li><svg width=\"22\" height=\"14\" aria-hidden=\"true\">");
        put_mark(out, &chart->series[i], 11, 7);
        buf_puts(out, "</svg>");
        html_text(out, chart->series[i].name);
        buf_puts(out, "</li>");
    }
    if (chart->n_cloud)
        buf_puts(out, "<li><svg width=\"22\" height=\"14\" aria-hidden=\"true\"><rect "
                      "class=\"cloud\" x=\"5\" y=\"2\" width=\"12\" height=\"10\"/></svg>all "
                      "networks looked at, the denser the more</li>");
    buf_puts(out, "</ul>\n");
}

void chart_put(struct buf *out, const struct chart *chart) {
    const struct view view = view_of(chart);

    buf_puts(out, "<figure>\n");
    put_legend(out, chart);
    buf_printf(out,
               "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-labelledby=\"%s\"><svg "
               "viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"%s\"><title id=\"%s\">",
               chart->id, WIDTH, HEIGHT, chart->id, chart->id);
    html_text(out, chart->title);
    buf_puts(out, "</title>\n");
    put_cloud(out, chart, &view);
    put_axes(out, chart, &view);
    put_limits(out, chart, &view);
    for (int i = 0; i < chart->n_series; i++)
        if (is_line(&chart->series[i]))
            put_line(out, chart, &view, i);
    for (int i = 0; i < chart->n_points; i++) {
        const struct chart_point *p = &chart->points[i];
        if (!is_line(&chart->series[p->series]) && isfinite(p->x) && isfinite(p->y))
            put_point(out, chart, &view, p);
    }
    buf_puts(out, "</svg></div>\n</figure>\n");
}
