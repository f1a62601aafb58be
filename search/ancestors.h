/* A search on models breeds from archs that were never evaluated. Of what it found: the nearest
 * ancestors that were. */
#pragma once

#include "base/map.h"
#include "search/strategy.h"

struct ancestry {
    int n, told[ORIGIN_PARENTS_MAX], generations[ORIGIN_PARENTS_MAX]; /* nearest first */
};
struct ancestors {
    const struct outcome *told, *found; /* borrowed */
    int n_told, n_found;
    struct map by_arch; /* numbers of told ones, behind them of found ones */
    struct ancestry *of_found;
};

/* Of a search that begins with the told ones, all different, and finds at most max others, which
 * come into found one by one. ESP_ENOMEM. */
int ancestors_init(struct ancestors *ancestors, const struct outcome *told, int n_told,
                   const struct outcome *found, int max);
void ancestors_finish(struct ancestors *ancestors); /* takes one that is all zero */
/* The next of found, and where the search on models says that it comes from. ESP_ENOMEM. */
int ancestors_add(struct ancestors *ancestors, const struct origin *origin);
/* Predicted; with the nearest told ancestors, of equally near ones those of the first parent. */
void ancestors_origin(const struct ancestors *ancestors, int found, struct origin *ret_origin);
