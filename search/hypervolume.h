/* Exact hypervolume: the size of what a set of points dominates below a reference point, all
 * objectives being costs. Points that are not better than the reference everywhere count for
 * nothing. */
#pragma once

#include "base/error.h"

enum { HYPERVOLUME_OBJECTIVES_MAX = 3 };

/* points: row-major [n, m], any order, dominated ones allowed; reference: [m]. m = 1, 2: O(n log
 * n); m = 3: O(n^2) at worst. Errors: ESP_EUNSUPPORTED for more objectives, ESP_ENOMEM. */
int hypervolume(const double *points, int n, int m, const double *reference, double *ret_volume);
