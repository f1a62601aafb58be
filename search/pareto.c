#include "search/pareto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

bool pareto_dominates(const double *a, const double *b, int m) {
    bool better = false;
    for (int k = 0; k < m; k++) {
        if (a[k] > b[k])
            return false;
        better |= a[k] < b[k];
    }
    return better;
}

bool pareto_dominates_constrained(const double *a, double violation_a, const double *b,
                                  double violation_b, int m) {
    if (violation_a > 0 || violation_b > 0)
        return violation_a < violation_b;
    return pareto_dominates(a, b, m);
}

struct sorting {
    const double *costs, *violations;
    int m;
};

static int compare_costs(const struct sorting *s, int a, int b) {
    const double *p = s->costs + (size_t)a * (size_t)s->m, *q = s->costs + (size_t)b * (size_t)s->m;
    for (int k = 0; k < s->m; k++)
        if (p[k] != q[k])
            return p[k] < q[k] ? -1 : 1;
    return 0;
}

/* Feasible rows first in lexicographic order of their costs, so that no row is dominated by a later
 * one; then infeasible ones by violation. Row number last: any sort gives one order. */
static int compare_rows(const void *x, const void *y, void *context) {
    const struct sorting *s = context;
    int a = *(const int *)x, b = *(const int *)y;
    if (s->violations[a] != s->violations[b])
        return s->violations[a] < s->violations[b] ? -1 : 1;
    int by_costs = s->violations[a] == 0 ? compare_costs(s, a, b) : 0;
    return by_costs != 0 ? by_costs : a < b ? -1 : a > b;
}

/* Fronts as linked lists of rows, the latest member first. */
struct fronts {
    const double *costs;
    int m, n;
    int *last;     /* [front] */
    int *previous; /* [row]: member of the same front before it, or -1 */
};

static bool front_dominates(const struct fronts *f, int front, int row) {
    const double *p = f->costs + (size_t)row * (size_t)f->m;
    for (int member = f->last[front]; member >= 0; member = f->previous[member]) {
        if (pareto_dominates(f->costs + (size_t)member * (size_t)f->m, p, f->m))
            return true;
        /* With two objectives in lexicographic order the latest member has the least second cost:
         * if it does not dominate, none does. */
        if (f->m <= 2)
            return false;
    }
    return false;
}

/* The first front that does not dominate the row: fronts that do come before those that do not. */
static int find_front(const struct fronts *f, int row) {
    int low = 0, high = f->n;
    while (low < high) {
        int middle = (low + high) / 2;
        if (front_dominates(f, middle, row))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_to_front(struct fronts *f, int front, int row) {
    if (front == f->n) {
        f->last[front] = -1;
        f->n++;
    }
    f->previous[row] = f->last[front];
    f->last[front] = row;
}

int pareto_rank(const double *costs, const double *violations, int n, int m, int *ret_ranks) {
    if (n == 0)
        return 0;
    int *memory = mem_array((size_t)n, 3 * sizeof *memory);
    if (!memory)
        return ESP_ENOMEM;
    int *order = memory;
    struct fronts fronts = {
        .costs = costs, .m = m, .last = memory + n, .previous = memory + 2 * (size_t)n};
    struct sorting sorting = {costs, violations, m};
    for (int i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, (size_t)n, sizeof *order, compare_rows, &sorting);
    int i = 0;
    for (; i < n && violations[order[i]] == 0; i++) {
        int front = find_front(&fronts, order[i]);
        add_to_front(&fronts, front, order[i]);
        ret_ranks[order[i]] = front;
    }
    int rank = fronts.n - 1;
    for (int first = i; i < n; i++) {
        if (i == first || violations[order[i]] != violations[order[i - 1]])
            rank++;
        ret_ranks[order[i]] = rank;
    }
    free(memory);
    return rank + 1;
}

static int compare_feasible(const void *x, const void *y, void *context) {
    int a = *(const int *)x, b = *(const int *)y, by_costs = compare_costs(context, a, b);
    return by_costs != 0 ? by_costs : a < b ? -1 : a > b;
}

/* Whether one of the front's members dominates the row. *at is the one that did so last. */
static bool dominated_by(const struct sorting *s, const int *front, int n, int row, int *at,
                         int64_t *comparisons) {
    const double *p = s->costs + (size_t)row * (size_t)s->m;
    if (s->m <= 2) /* as in front_dominates() */
        *at = n - 1;
    if (n > 0 && pareto_dominates(s->costs + (size_t)front[*at] * (size_t)s->m, p, s->m))
        return true;
    for (int i = 0; s->m > 2 && i < n; i++) {
        if (pareto_dominates(s->costs + (size_t)front[i] * (size_t)s->m, p, s->m)) {
            *at = i;
            *comparisons += i;
            return true;
        }
    }
    *comparisons += s->m > 2 ? n : 1;
    return false;
}

int pareto_front(const double *costs, int n, int m, int *ret_front, int *ret_n) {
    struct sorting sorting = {costs, NULL, m};
    int64_t comparisons = 0;
    int n_front = 0, at = 0;
    int *order = mem_array((size_t)n + 1, sizeof *order);
    if (!order)
        return ESP_ENOMEM;
    for (int i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, (size_t)n, sizeof *order, compare_feasible, &sorting);
    for (int i = 0; i < n && comparisons <= PARETO_COMPARISONS_MAX; i++)
        if (!dominated_by(&sorting, ret_front, n_front, order[i], &at, &comparisons))
            ret_front[n_front++] = order[i];
    free(order);
    *ret_n = n_front;
    return comparisons <= PARETO_COMPARISONS_MAX ? 0 : ESP_ELIMIT;
}

struct axis {
    const double *costs;
    const int *members;
    int m, objective;
};

static double axis_value(const struct axis *axis, int i) {
    return axis->costs[(size_t)axis->members[i] * (size_t)axis->m + (size_t)axis->objective];
}

static int compare_on_axis(const void *x, const void *y, void *context) {
    const struct axis *axis = context;
    int a = *(const int *)x, b = *(const int *)y;
    double p = axis_value(axis, a), q = axis_value(axis, b);
    if (p != q)
        return p < q ? -1 : 1;
    return axis->members[a] < axis->members[b] ? -1 : axis->members[a] > axis->members[b];
}

int pareto_crowding(const double *costs, int m, const int *members, int n, double *ret_distances) {
    if (n == 0)
        return 0;
    int *order = mem_array((size_t)n, sizeof *order);
    if (!order)
        return ESP_ENOMEM;
    for (int i = 0; i < n; i++)
        ret_distances[i] = 0;
    for (int k = 0; k < m; k++) {
        struct axis axis = {costs, members, m, k};
        for (int i = 0; i < n; i++)
            order[i] = i;
        qsort_r(order, (size_t)n, sizeof *order, compare_on_axis, &axis);
        double range = axis_value(&axis, order[n - 1]) - axis_value(&axis, order[0]);
        ret_distances[order[0]] = ret_distances[order[n - 1]] = INFINITY;
        for (int i = 1; i + 1 < n && range > 0; i++)
            ret_distances[order[i]] +=
                (axis_value(&axis, order[i + 1]) - axis_value(&axis, order[i - 1])) / range;
    }
    free(order);
    return 0;
}

int pareto_standing(const double *costs, const double *violations, int n, int m, int *ret_ranks,
                    double *ret_distances) {
    int *members = mem_array((size_t)n + 1, sizeof *members);
    double *distances = mem_array((size_t)n + 1, sizeof *distances);
    int ranks = members && distances ? pareto_rank(costs, violations, n, m, ret_ranks) : ESP_ENOMEM;
    for (int rank = 0, code = 0; rank < ranks; rank++) {
        int count = 0;
        for (int i = 0; i < n; i++)
            if (ret_ranks[i] == rank)
                members[count++] = i;
        code = pareto_crowding(costs, m, members, count, distances);
        for (int i = 0; i < count && code == 0; i++)
            ret_distances[members[i]] = distances[i];
        ranks = code < 0 ? code : ranks;
    }
    free(members);
    free(distances);
    return ranks;
}
