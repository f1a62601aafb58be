/* Small descriptive statistics. Arrays are of n >= 1 finite values unless said otherwise. */
#pragma once

#include <stddef.h>

double stats_mean(const double *x, size_t n);
double stats_variance(const double *x, size_t n); /* unbiased; 0 for n = 1 */
double stats_quantile(const double *x, size_t n,
                      double q); /* linear interpolation (type 7); does not reorder x */
double stats_median(const double *x, size_t n);
double stats_mad(const double *x, size_t n); /* median absolute deviation, unscaled */
/* Distribution-free confidence interval of the median by order statistics: ranks from the binomial;
 * for n < 6 the range (its true coverage is returned). level in (0, 1). Returns the attained
 * coverage. */
double stats_median_ci(const double *x, size_t n, double level, double *ret_low, double *ret_high);
double stats_kendall_tau(const double *x, const double *y,
                         size_t n); /* tau-b; 0 where a side is constant; O(n log n) */
double stats_spearman_rho(const double *x, const double *y, size_t n); /* mid-ranks for ties */
double stats_student_t(double level, double dof); /* two-sided quantile: P(|T| <= t) = level */
double stats_normal_quantile(double p);
