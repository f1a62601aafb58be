/* Small descriptive statistics. Arrays are of n >= 1 finite values; none is reordered. What needs
 * working memory (O(n)) and gets none returns NAN. */
#pragma once

#include <stddef.h>

double stats_mean(const double *x, size_t n);
double stats_variance(const double *x, size_t n); /* unbiased; 0 for n = 1 */
/* Linear interpolation between order statistics (type 7 of Hyndman and Fan); q in [0, 1]. */
double stats_quantile(const double *x, size_t n, double q);
double stats_median(const double *x, size_t n);
double stats_mad(const double *x, size_t n); /* median absolute deviation, unscaled */
/* Distribution-free confidence interval of the median by order statistics: ranks from the binomial;
 * for n < 6, or when no narrower one reaches the level, the whole range. level in (0, 1). Returns
 * the attained coverage. */
double stats_median_ci(const double *x, size_t n, double level, double *ret_low, double *ret_high);
/* tau-b; 0 where a side is constant; O(n log n). */
double stats_kendall_tau(const double *x, const double *y, size_t n);
/* Confidence interval of a population's tau by that of n pairs drawn from it, n >= 1, level in
 * (0, 1): whatever would have a tau as far away less often, by the largest variance that a sample's
 * tau can have, 2 (1 - tau^2) / n (Kendall and Gibbons 1990). So it is wide rather than narrow, and
 * not a point where the sample's tau is 1. */
void stats_kendall_interval(double tau, size_t n, double level, double *ret_low, double *ret_high);
/* Standard deviation of the difference of tau(a, truth) and tau(b, truth), both of the same n
 * samples, over samples drawn anew: 4 / n of the variance, over the samples, of how much more often
 * a is right than b of its pairs (Hoeffding 1948, sec. 5). O(n^2); 0 for n < 2. */
double stats_kendall_difference_sd(const double *a, const double *b, const double *truth, size_t n);
/* Mid-ranks for ties; 0 where a side is constant. */
double stats_spearman_rho(const double *x, const double *y, size_t n);
/* Two-sided quantile t with P(|T| <= t) = level; level in (0, 1), dof > 0. */
double stats_student_t(double level, double dof);
double stats_normal_quantile(double p); /* p in (0, 1) */
