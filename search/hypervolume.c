#include "search/hypervolume.h"

#include <stdbool.h>
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

static int keep_better(const double *points, int n, int m, const double *reference,
                       struct point *ret_kept) {
    int kept = 0;
    for (int i = 0; i < n; i++) {
        const double *p = points + (size_t)i * (size_t)m;
        bool better = true;
        for (int k = 0; k < m; k++)
            better &= p[k] < reference[k];
        if (better)
            ret_kept[kept++] = (struct point){p[0], m > 1 ? p[1] : 0, m > 2 ? p[2] : 0};
    }
    return kept;
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

int hypervolume(const double *points, int n, int m, const double *reference, double *ret_volume) {
    if (m < 1 || m > HYPERVOLUME_OBJECTIVES_MAX)
        return ESP_EUNSUPPORTED;
    struct point *kept = mem_array(2 * ((size_t)n + 1), sizeof *kept);
    if (!kept)
        return ESP_ENOMEM;
    int count = keep_better(points, n, m, reference, kept);
    /* In order of x a staircase of two objectives grows at its end. */
    qsort(kept, (size_t)count, sizeof *kept, m > 2 ? compare_z : compare_x);
    struct stairs stairs = {
        .steps = kept + n, .x_max = reference[0], .y_max = m > 1 ? reference[1] : 1};
    *ret_volume = sweep(kept, count, reference, m, &stairs);
    free(kept);
    return 0;
}
