#include "search/hypervolume.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct point {
    double x, y, z; /* z is the last objective; those that are not there are 0 */
};

static int compare_x(const void *a, const void *b) {
    const struct point *p = a, *q = b;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return p->y < q->y ? -1 : p->y > q->y;
}

static int compare_z(const void *a, const void *b) {
    const struct point *p = a, *q = b;
    return p->z < q->z ? -1 : p->z > q->z;
}

/* A staircase: x rises, y falls. */
struct stairs {
    struct point *steps;
    int n;
    double area, x_max, y_max; /* area dominated within the reference corner */
};

static int first_at_or_right_of(const struct stairs *s, double x) {
    int low = 0, high = s->n;
    while (low < high) {
        int middle = (low + high) / 2;
        if (s->steps[middle].x < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Adds a point, drops the steps that it dominates and keeps the area. */
static void add_step(struct stairs *s, const struct point *p) {
    int first = first_at_or_right_of(s, p->x);
    double ceiling = first > 0 ? s->steps[first - 1].y : s->y_max;
    if (ceiling <= p->y || (first < s->n && s->steps[first].x == p->x && s->steps[first].y <= p->y))
        return;
    /* What is new lies right of p.x and above p.y, below the steps that stood there. */
    int last = first;
    double x = p->x, y = ceiling;
    while (last < s->n && s->steps[last].y >= p->y) {
        s->area += (s->steps[last].x - x) * (y - p->y);
        x = s->steps[last].x;
        y = s->steps[last].y;
        last++;
    }
    double right = last < s->n ? s->steps[last].x : s->x_max;
    s->area += (right - x) * (y - p->y);
    memmove(s->steps + first + 1, s->steps + last, (size_t)(s->n - last) * sizeof *s->steps);
    s->steps[first] = *p;
    s->n += 1 - (last - first);
}

static bool is_better(const double *point, int m, const double *reference) {
    for (int k = 0; k < m; k++)
        if (!(point[k] < reference[k]))
            return false;
    return true;
}

/* In slices between one z and the next; fewer objectives are a single slice of height 1. */
static double sweep(const struct point *points, int n, const double *reference, int m,
                    struct stairs *stairs) {
    double volume = 0;
    for (int i = 0; i < n; i++) {
        add_step(stairs, &points[i]);
        double next = i + 1 < n ? points[i + 1].z : m > 2 ? reference[2] : 1;
        volume += stairs->area * (next - points[i].z);
    }
    return volume;
}

static int measure_by_sweep(const double *points, int n, int m, const double *reference,
                            double *ret_volume) {
    struct point *kept = mem_array(2 * ((size_t)n + 1), sizeof *kept);
    if (!kept)
        return ESP_ENOMEM;
    int count = 0;
    for (int i = 0; i < n; i++) {
        const double *p = points + (size_t)i * (size_t)m;
        if (is_better(p, m, reference))
            kept[count++] = (struct point){p[0], m > 1 ? p[1] : 0, m > 2 ? p[2] : 0};
    }
    /* In order of x a staircase of two objectives grows at its end. */
    qsort(kept, (size_t)count, sizeof *kept, m > 2 ? compare_z : compare_x);
    struct stairs stairs = {
        .steps = kept + n, .x_max = reference[0], .y_max = m > 1 ? reference[1] : 1};
    *ret_volume = sweep(kept, count, reference, m, &stairs);
    free(kept);
    return 0;
}

/* --- more than three objectives --- */

enum { SWEPT = 3, LEVELS = HYPERVOLUME_OBJECTIVES_MAX + 1 };

/* Rows of m objectives lie in rows[m], in rising order of the last one. */
struct slicing {
    const double *reference;
    double *rows[LEVELS];
    int *by_next[LEVELS]; /* rows that were taken, in rising order of the last but one */
    struct point *points, *steps;
};

static double sweep_rows(struct slicing *s, int n) {
    for (int i = 0; i < n; i++) {
        const double *row = s->rows[SWEPT] + i * SWEPT;
        s->points[i] = (struct point){row[0], row[1], row[2]};
    }
    struct stairs stairs = {.steps = s->steps, .x_max = s->reference[0], .y_max = s->reference[1]};
    return sweep(s->points, n, s->reference, SWEPT, &stairs);
}

static bool covers(const double *a, const double *b, int m) {
    for (int k = 0; k < m; k++)
        if (a[k] > b[k])
            return false;
    return true;
}

/* Appends a row, if none of the n covers it, in place of those that it covers; their number. */
static int keep_row(double *rows, int n, int m, const double *row) {
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (covers(rows + i * m, row, m))
            return n;
    for (int i = 0; i < n; i++) {
        if (covers(row, rows + i * m, m))
            continue;
        if (kept < i)
            memcpy(rows + kept * m, rows + i * m, (size_t)m * sizeof *rows);
        kept++;
    }
    memcpy(rows + kept * m, row, (size_t)m * sizeof *rows);
    return kept + 1;
}

/* What the rows before number i dominate of it, as rows without the last objective, which is no
 * larger in any of them. The larger of two numbers keeps the order of what it is taken of. */
static int limit_rows(struct slicing *s, int i, int m) {
    const double *own = s->rows[m] + i * m;
    double *limited = s->rows[m - 1];
    int n = 0;
    for (int j = 0; j < i; j++) {
        const double *other = s->rows[m] + s->by_next[m][j] * m;
        double row[LEVELS];
        for (int k = 0; k < m - 1; k++)
            row[k] = other[k] > own[k] ? other[k] : own[k];
        if (m - 1 > SWEPT)
            n = keep_row(limited, n, m - 1, row);
        else
            memcpy(limited + SWEPT * n++, row, SWEPT * sizeof *row);
    }
    return n;
}

static void take_row(struct slicing *s, int i, int m) {
    int *order = s->by_next[m], at = i;
    double own = s->rows[m][i * m + m - 2];
    for (; at > 0 && s->rows[m][order[at - 1] * m + m - 2] > own; at--)
        order[at] = order[at - 1];
    order[at] = i;
}

static double add_up(struct slicing *s, int n, int m) {
    double volume = 0;
    if (m == SWEPT)
        return sweep_rows(s, n);
    for (int i = 0; i < n; i++) {
        const double *row = s->rows[m] + i * m;
        double own = 1;
        for (int k = 0; k < m - 1; k++)
            own *= s->reference[k] - row[k];
        own -= add_up(s, limit_rows(s, i, m), m - 1);
        volume += own * (s->reference[m - 1] - row[m - 1]);
        take_row(s, i, m);
    }
    return volume;
}

static int slicing_init(struct slicing *s, int n, int m, const double *reference) {
    size_t room = (size_t)n + 1;
    *s = (struct slicing){.reference = reference, .points = mem_array(2 * room, sizeof *s->points)};
    bool ok = s->points != NULL;
    for (int k = SWEPT; k <= m && ok; k++) {
        s->rows[k] = mem_array(room * (size_t)k, sizeof(double));
        s->by_next[k] = mem_array(room, sizeof(int));
        ok = s->rows[k] && s->by_next[k];
    }
    s->steps = s->points + room;
    return ok ? 0 : ESP_ENOMEM;
}

static void slicing_finish(struct slicing *s) {
    for (int k = 0; k < LEVELS; k++) {
        free(s->rows[k]);
        free(s->by_next[k]);
    }
    free(s->points);
}

static int compare_last(const void *a, const void *b, void *context) {
    int last = *(const int *)context - 1;
    double p = ((const double *)a)[last], q = ((const double *)b)[last];
    return p < q ? -1 : p > q;
}

static int measure_by_slices(const double *points, int n, int m, const double *reference,
                             double *ret_volume) {
    struct slicing s;
    int kept = 0, better = 0, max = hypervolume_points_max(m);
    for (int i = 0; i < n; i++)
        better += is_better(points + (size_t)i * (size_t)m, m, reference);
    if (better > max)
        return ESP_ELIMIT;
    int code = slicing_init(&s, better, m, reference);
    for (int i = 0; i < n && code == 0; i++)
        if (is_better(points + (size_t)i * (size_t)m, m, reference))
            kept = keep_row(s.rows[m], kept, m, points + (size_t)i * (size_t)m);
    if (code == 0) {
        qsort_r(s.rows[m], (size_t)kept, (size_t)m * sizeof(double), compare_last, &m);
        *ret_volume = add_up(&s, kept, m);
    }
    slicing_finish(&s);
    return code;
}

int hypervolume_points_max(int m) {
    static const int max[LEVELS] = {[4] = 2000, [5] = 1000, [6] = 400};
    return m > SWEPT ? max[m] : INT32_MAX;
}

int hypervolume(const double *points, int n, int m, const double *reference, double *ret_volume) {
    if (m < 1 || m > HYPERVOLUME_OBJECTIVES_MAX)
        return ESP_EUNSUPPORTED;
    return m > SWEPT ? measure_by_slices(points, n, m, reference, ret_volume)
                     : measure_by_sweep(points, n, m, reference, ret_volume);
}
