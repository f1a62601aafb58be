/* Exact hypervolume: the size of what a set of points dominates below a reference point, all
 * objectives being costs. Points that are not better than the reference everywhere count for
 * nothing.
 *
 * Up to three objectives by a sweep; more by what each point adds to those before it (While,
 * Bradstreet & Barone 2012), which is a hypervolume of one objective fewer, down to the sweep. */
#pragma once

#include "base/error.h"

enum { HYPERVOLUME_OBJECTIVES_MAX = 6 };

/* How many points better than the reference are taken: 2,000 of four objectives, 1,000 of five, 400
 * of six, which take a tenth of a second where none dominates another; INT32_MAX for up to three.
 * m: 1 to HYPERVOLUME_OBJECTIVES_MAX. */
int hypervolume_points_max(int m);

/* points: row-major [n, m], any order, dominated ones allowed; reference: [m]. m = 1, 2: O(n log
 * n); m = 3: O(n^2) at worst; more: O(n^(m-2) log n) at worst. Errors: ESP_EUNSUPPORTED for more
 * objectives, ESP_ELIMIT for more points than hypervolume_points_max, ESP_ENOMEM. */
int hypervolume(const double *points, int n, int m, const double *reference, double *ret_volume);
