#include "daemon/cli/histogram.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/stats.h"

/* The largest sample that is not above limit, and how many are. */
static double largest_within(const double *samples, size_t n, double limit, size_t *ret_n) {
    double largest = -INFINITY;
    *ret_n = 0;
    for (size_t i = 0; i < n; i++)
        if (samples[i] <= limit) {
            largest = fmax(largest, samples[i]);
            (*ret_n)++;
        }
    return largest;
}

void histogram_of(const double *samples, size_t n, struct histogram *ret) {
    double p25 = stats_quantile(samples, n, 0.25), p75 = stats_quantile(samples, n, 0.75);
    size_t inside = 0;

    memset(ret, 0, sizeof(*ret));
    ret->from = stats_quantile(samples, n, 0);
    ret->to = largest_within(samples, n, p75 + 4 * (p75 - p25), &inside);
    if ((double)inside < 0.9 * (double)n)
        ret->to = largest_within(samples, n, INFINITY, &inside);
    ret->above = (int)(n - inside);
    double bins = fmin(HISTOGRAM_BINS, fmax(5, ceil(2 * sqrt((double)inside))));
    ret->bins = ret->to > ret->from ? (int)bins : 1;
    for (size_t i = 0; i < n; i++) {
        double at = ret->to > ret->from ? (samples[i] - ret->from) / (ret->to - ret->from) : 0;
        int bin = (int)(at * ret->bins);
        if (samples[i] <= ret->to)
            ret->counts[bin < ret->bins ? bin : ret->bins - 1]++;
    }
}

void histogram_bar(int count, int most, bool utf8, char text[HISTOGRAM_TEXT]) {
    static const char *const eighths[] = {"",       "\u258f", "\u258e", "\u258d",
                                          "\u258c", "\u258b", "\u258a", "\u2589"};
    int steps = utf8 ? 8 : 1, len = 0;
    int long_as = (int)((double)count / most * HISTOGRAM_BAR * steps + 0.5);

    text[0] = 0;
    if (count > 0 && long_as == 0)
        long_as = 1;
    for (int i = 0; i < long_as / steps; i++)
        len += snprintf(text + len, HISTOGRAM_TEXT - (size_t)len, "%s", utf8 ? "\u2588" : "#");
    snprintf(text + len, HISTOGRAM_TEXT - (size_t)len, "%s", eighths[long_as % steps]);
}
