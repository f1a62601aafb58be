#include "base/stats.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

double stats_mean(const double *x, size_t n) {
    assert(n >= 1);
    /* Around the first value, so that a large offset costs no digits. */
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] - x[0];
    return x[0] + sum / (double)n;
}

double stats_variance(const double *x, size_t n) {
    if (n < 2)
        return 0;
    double mean = stats_mean(x, n), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sum / (double)(n - 1);
}

static int ascending(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* NULL on memory exhaustion; the caller frees. */
static double *sorted_copy(const double *x, size_t n) {
    double *copy = mem_array(n, sizeof(double));
    if (!copy)
        return NULL;
    memcpy(copy, x, n * sizeof(double));
    qsort(copy, n, sizeof(double), ascending);
    return copy;
}

double stats_quantile(const double *x, size_t n, double q) {
    assert(n >= 1 && q >= 0 && q <= 1);
    double *sorted = sorted_copy(x, n);
    if (!sorted)
        return NAN;
    double rank = q * (double)(n - 1);
    size_t below = (size_t)rank;
    double value = sorted[below];
    if (below + 1 < n)
        value += (rank - (double)below) * (sorted[below + 1] - value);
    free(sorted);
    return value;
}

double stats_median(const double *x, size_t n) {
    return stats_quantile(x, n, 0.5);
}

double stats_mad(const double *x, size_t n) {
    double median = stats_median(x, n);
    double *away = mem_array(n, sizeof(double));
    if (!away)
        return NAN;
    for (size_t i = 0; i < n; i++)
        away[i] = fabs(x[i] - median);
    double mad = stats_median(away, n);
    free(away);
    return mad;
}

/* P(X <= k) for X of n fair coin tosses. */
static double coin_cdf(size_t n, size_t k) {
    int sign;
    double sum = 0, all = lgamma_r((double)n + 1, &sign) - (double)n * log(2);
    for (size_t i = 0; i <= k; i++)
        sum += exp(all - lgamma_r((double)i + 1, &sign) - lgamma_r((double)(n - i) + 1, &sign));
    return sum;
}

double stats_median_ci(const double *x, size_t n, double level, double *ret_low, double *ret_high) {
    assert(n >= 1 && level > 0 && level < 1);
    double *sorted = sorted_copy(x, n);
    if (!sorted) {
        *ret_low = *ret_high = NAN;
        return NAN;
    }
    /* Ranks cut and n-1-cut (from 0): the interval misses when at most cut values lie beyond one
     * end. */
    size_t cut = 0;
    double coverage = 1 - 2 * coin_cdf(n, 0);
    while (n >= 6 && 2 * (cut + 1) < n - 1) {
        double narrower = 1 - 2 * coin_cdf(n, cut + 1);
        if (narrower < level)
            break;
        coverage = narrower;
        cut++;
    }
    *ret_low = sorted[cut];
    *ret_high = sorted[n - 1 - cut];
    free(sorted);
    return coverage > 0 ? coverage : 0;
}

struct pair {
    double x, y;
};

static int by_x_then_y(const void *a, const void *b) {
    const struct pair *left = a, *right = b;
    int order = ascending(&left->x, &right->x);
    return order ? order : ascending(&left->y, &right->y);
}

/* Merge sort of y by the halves; returns the number of inversions. */
static uint64_t count_swaps(struct pair *pairs, struct pair *spare, size_t n) {
    if (n < 2)
        return 0;
    size_t half = n / 2, i = 0, j = half;
    uint64_t swaps = count_swaps(pairs, spare, half) + count_swaps(pairs + half, spare, n - half);
    for (size_t k = 0; k < n; k++) {
        if (j == n || (i < half && pairs[i].y <= pairs[j].y)) {
            spare[k] = pairs[i++];
        } else {
            spare[k] = pairs[j++];
            swaps += half - i;
        }
    }
    memcpy(pairs, spare, n * sizeof(struct pair));
    return swaps;
}

static bool same_x(const struct pair *a, const struct pair *b) {
    return a->x == b->x;
}

static bool same_y(const struct pair *a, const struct pair *b) {
    return a->y == b->y;
}

static bool same_both(const struct pair *a, const struct pair *b) {
    return same_x(a, b) && same_y(a, b);
}

/* Pairs of neighbours in runs that `same` holds for: sum of t(t-1)/2. */
static uint64_t count_ties(const struct pair *pairs, size_t n,
                           bool (*same)(const struct pair *, const struct pair *)) {
    uint64_t ties = 0, run = 0;
    for (size_t i = 1; i < n; i++) {
        run = same(&pairs[i - 1], &pairs[i]) ? run + 1 : 0;
        ties += run;
    }
    return ties;
}

/* Source: Knight 1966, "A computer method for calculating Kendall's tau with ungrouped data". */
double stats_kendall_tau(const double *x, const double *y, size_t n) {
    struct pair *pairs = mem_array(n, 2 * sizeof(struct pair));
    if (!pairs)
        return NAN;
    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct pair){x[i], y[i]};
    qsort(pairs, n, sizeof(struct pair), by_x_then_y);
    double all = (double)n * (double)(n - 1) / 2;
    double ties_x = (double)count_ties(pairs, n, same_x);
    double ties_both = (double)count_ties(pairs, n, same_both);
    double swaps = (double)count_swaps(pairs, pairs + n, n);
    double ties_y = (double)count_ties(pairs, n, same_y);
    free(pairs);
    double scale = sqrt(all - ties_x) * sqrt(all - ties_y);
    return scale > 0 ? (all - ties_x - ties_y + ties_both - 2 * swaps) / scale : 0;
}

/* (tau - t)^2 = z^2 * 2 (1 - t^2) / n, solved for t, as Wilson does for a share. */
void stats_kendall_interval(double tau, size_t n, double level, double *ret_low, double *ret_high) {
    double z = stats_normal_quantile(0.5 + level / 2), v = 2 * z * z / (double)n;
    double half = sqrt(v * (1 + v - tau * tau));
    *ret_low = fmax((tau - half) / (1 + v), -1);
    *ret_high = fmin((tau + half) / (1 + v), 1);
}

struct ranked {
    double value;
    size_t index;
};

static int by_value(const void *a, const void *b) {
    return ascending(&((const struct ranked *)a)->value, &((const struct ranked *)b)->value);
}

/* ranks[i] = mid-rank of x[i], from 1; false on memory exhaustion. */
static bool mid_ranks(const double *x, size_t n, double *ranks) {
    struct ranked *order = mem_array(n, sizeof(struct ranked));
    if (!order)
        return false;
    for (size_t i = 0; i < n; i++)
        order[i] = (struct ranked){x[i], i};
    qsort(order, n, sizeof(struct ranked), by_value);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && order[end].value == order[i].value; end++)
            ;
        for (size_t j = i; j < end; j++)
            ranks[order[j].index] = (double)(i + end + 1) / 2;
    }
    free(order);
    return true;
}

static double pearson(const double *x, const double *y, size_t n) {
    double mean_x = stats_mean(x, n), mean_y = stats_mean(y, n), xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
    }
    return xx > 0 && yy > 0 ? xy / (sqrt(xx) * sqrt(yy)) : 0;
}

/* How the order of a pair agrees with the truth's: 1, -1, or 0 where either has none. */
static int agreement(const double *x, const double *truth, size_t i, size_t k) {
    int own = (x[i] > x[k]) - (x[i] < x[k]);
    return own * ((truth[i] > truth[k]) - (truth[i] < truth[k]));
}

double stats_kendall_difference_sd(const double *a, const double *b, const double *truth,
                                   size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n && n > 1; i++) {
        int more = 0;
        for (size_t k = 0; k < n; k++)
            more += agreement(a, truth, i, k) - agreement(b, truth, i, k);
        double mean = (double)more / (double)(n - 1);
        sum += mean;
        squares += mean * mean;
    }
    if (n < 2)
        return 0;
    double variance = fmax(squares - sum * sum / (double)n, 0) / (double)(n - 1);
    return sqrt(4 * variance / (double)n);
}

double stats_spearman_rho(const double *x, const double *y, size_t n) {
    double *ranks = mem_array(n, 2 * sizeof(double));
    double rho = NAN;
    if (ranks && mid_ranks(x, n, ranks) && mid_ranks(y, n, ranks + n))
        rho = pearson(ranks, ranks + n, n);
    free(ranks);
    return rho;
}

double stats_normal_quantile(double p) {
    assert(p > 0 && p < 1);
    if (p > 0.5)
        return -stats_normal_quantile(1 - p);
    /* Abramowitz and Stegun 26.2.23 is good to 4.5e-4; Newton's method on the logarithm of the
     * tail, which is smooth however small p is, does the rest. */
    double t = sqrt(-2 * log(p));
    double z = (2.515517 + t * (0.802853 + t * 0.010328)) /
                   (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) -
               t;
    for (int i = 0; i < 4; i++) {
        double tail = 0.5 * erfc(-z / M_SQRT2);
        double density = exp(-0.5 * z * z) / sqrt(2 * M_PI);
        z -= log(tail / p) * tail / density;
    }
    return z;
}

/* Continued fraction of the incomplete beta function by the modified Lentz method.
 * Source: DLMF 8.17.22, https://dlmf.nist.gov/8.17 */
static double beta_fraction(double a, double b, double x) {
    const double tiny = 1e-300, close = 1e-16;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double value = d;
    for (int m = 1; m <= 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double step = 1;
        for (int half = 0; half < 2; half++) {
            double term = half == 0 ? even : odd;
            d = 1 + term * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + term / c;
            c = fabs(c) < tiny ? tiny : c;
            step = c * d;
            value *= step;
        }
        if (fabs(step - 1) < close)
            break;
    }
    return value;
}

/* Regularised incomplete beta function I_x(a, b). */
static double beta_regular(double a, double b, double x) {
    int sign;
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    double front = exp(lgamma_r(a + b, &sign) - lgamma_r(a, &sign) - lgamma_r(b, &sign) +
                       a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* P(|T| > t). */
static double student_tails(double t, double dof) {
    return beta_regular(dof / 2, 0.5, dof / (dof + t * t));
}

double stats_student_t(double level, double dof) {
    assert(level > 0 && level < 1 && dof > 0);
    /* From here on the two agree to 1e-8 and the fraction converges slowly. */
    if (dof > 1e8)
        return stats_normal_quantile(0.5 + level / 2);
    double low = 0, high = 1;
    while (student_tails(high, dof) > 1 - level && high < 1e300)
        high *= 2;
    for (int i = 0; i < 200 && low < high; i++) {
        double middle = low + (high - low) / 2;
        if (middle == low || middle == high)
            break;
        if (student_tails(middle, dof) > 1 - level)
            low = middle;
        else
            high = middle;
    }
    return low + (high - low) / 2;
}
