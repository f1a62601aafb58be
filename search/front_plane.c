#include "search/front_plane.h"

#include <math.h>

#define LEAST_RANGE 1e-12    /* of what lies between 0 and the larger of ideal and worst */
#define LEAST_INTERCEPT 1e-6 /* of the front's range */

struct front {
    int n, m;
    const double *costs;
    const int *ranks;
    double ideal[OBJECTIVES_MAX];
    double range[OBJECTIVES_MAX]; /* to its worst, else to the members' */
    double whole[OBJECTIVES_MAX]; /* to the members' worst */
};

static double reach(double ideal, double worst) {
    double range = worst - ideal;
    return range > LEAST_RANGE * fmax(fabs(ideal), fabs(worst)) ? range : 0;
}

/* What the front violates at most. */
static double violation_of(const struct front *front, const double *violations) {
    double most = 0;
    for (int i = 0; i < front->n; i++)
        most = front->ranks[i] == 0 ? fmax(most, violations[i]) : most;
    return most;
}

static void measure(struct front *front, const double *violations) {
    double most = violation_of(front, violations);
    for (int k = 0; k < front->m; k++) {
        double ideal = INFINITY, worst = -INFINITY, whole = -INFINITY;
        for (int i = 0; i < front->n; i++) {
            double cost = front->costs[i * front->m + k];
            if (front->ranks[i] == 0) {
                ideal = fmin(ideal, cost);
                worst = fmax(worst, cost);
            }
            if (violations[i] <= most)
                whole = fmax(whole, cost);
        }
        front->ideal[k] = ideal;
        front->whole[k] = reach(ideal, whole);
        front->range[k] = reach(ideal, worst);
        if (front->range[k] == 0)
            front->range[k] = front->whole[k] > 0 ? front->whole[k] : 1;
    }
}

/* In ranges of the front, so that units do not matter. */
static double scaled(const struct front *front, int i, int k) {
    return (front->costs[i * front->m + k] - front->ideal[k]) / front->range[k];
}

/* The member of the front that lies nearest to an axis: the least achievement function. */
static int extreme(const struct front *front, int axis) {
    int best = -1;
    double least = INFINITY;
    for (int i = 0; i < front->n; i++) {
        double most = 0;
        for (int k = 0; k < front->m && front->ranks[i] == 0; k++)
            most = fmax(most, scaled(front, i, k) * (k == axis ? 1 : 1e6));
        if (front->ranks[i] == 0 && most < least) {
            least = most;
            best = i;
        }
    }
    return best;
}

/* Solves a x = b with b = 1 by elimination with pivots. False if a is singular. */
static bool solve(int n, double a[OBJECTIVES_MAX][OBJECTIVES_MAX + 1], double *ret_x) {
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k + 1; i < n; i++)
            pivot = fabs(a[i][k]) > fabs(a[pivot][k]) ? i : pivot;
        if (fabs(a[pivot][k]) < 1e-9)
            return false;
        for (int j = 0; j <= n; j++) {
            double other = a[k][j];
            a[k][j] = a[pivot][j];
            a[pivot][j] = other;
        }
        for (int i = k + 1; i < n; i++)
            for (int j = n; j >= k; j--)
                a[i][j] -= a[k][j] * a[i][k] / a[k][k];
    }
    for (int k = n - 1; k >= 0; k--) {
        ret_x[k] = a[k][n];
        for (int j = k + 1; j < n; j++)
            ret_x[k] -= a[k][j] * ret_x[j];
        ret_x[k] /= a[k][k];
    }
    return true;
}

/* Intercepts of the plane, in ranges of the front. False: there are none that are positive. */
static bool find_intercepts(const struct front *front, double ret_intercepts[OBJECTIVES_MAX]) {
    double a[OBJECTIVES_MAX][OBJECTIVES_MAX + 1], inverse[OBJECTIVES_MAX];
    for (int axis = 0; axis < front->m; axis++) {
        int i = extreme(front, axis);
        for (int k = 0; k < front->m; k++)
            a[axis][k] = scaled(front, i, k);
        a[axis][front->m] = 1;
    }
    if (!solve(front->m, a, inverse))
        return false;
    for (int k = 0; k < front->m; k++) {
        ret_intercepts[k] = 1 / inverse[k];
        if (!(inverse[k] >= 0 && ret_intercepts[k] > LEAST_INTERCEPT))
            return false;
    }
    return true;
}

void front_plane_fit(const double *costs, const double *violations, const int *ranks, int n, int m,
                     struct front_plane *ret_plane) {
    struct front front = {.n = n, .m = m, .costs = costs, .ranks = ranks};
    double intercepts[OBJECTIVES_MAX];
    measure(&front, violations);
    *ret_plane = (struct front_plane){.m = m};
    bool found = find_intercepts(&front, intercepts);
    for (int k = 0; k < m; k++) {
        ret_plane->ideal[k] = front.ideal[k];
        ret_plane->range[k] = front.range[k];
        if (found && front.whole[k] > 0) /* 0: too little for a scale */
            ret_plane->range[k] = fmin(front.range[k] * intercepts[k], front.whole[k]);
    }
}

double front_plane_scaled(const struct front_plane *plane, int k, double cost) {
    return (cost - plane->ideal[k]) / plane->range[k];
}
