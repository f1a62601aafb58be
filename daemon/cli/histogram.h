/* How samples are spread, counted in bins of equal width. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { HISTOGRAM_BINS = 20, HISTOGRAM_BAR = 40 /* characters */, HISTOGRAM_TEXT = 4 * 40 + 4 };

struct histogram {
    double from, to; /* of the bins together */
    int bins, counts[HISTOGRAM_BINS];
    int above; /* samples beyond "to" */
};

/* Of n >= 1 finite samples. What lies beyond four times the inner half's width over its end is
 * counted apart while that is a tenth of all at most, so that few outliers leave the others
 * readable (the dashboard's rule, web/ui/src/stats.ts). A bin has its lower end, the last both. */
void histogram_of(const double *samples, size_t n, struct histogram *ret);
/* A bar of count, of which most is HISTOGRAM_BAR long; in UTF-8 to an eighth of a character, in
 * ASCII to one. What was counted at all has a bar. */
void histogram_bar(int count, int most, bool utf8, char text[HISTOGRAM_TEXT]);
