#include "search/archive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "search/hypervolume.h"
#include "search/pareto.h"

void archive_init(struct archive *archive, const struct space *space, const struct goals *goals) {
    *archive = (struct archive){.space = space, .goals = goals};
    map_init(&archive->by_arch);
}

void archive_finish(struct archive *archive) {
    map_finish(&archive->by_arch);
    free(archive->candidates);
    free(archive->metrics);
    free(archive->costs);
    free(archive->front);
    *archive = (struct archive){0};
}

struct lookup {
    const struct archive *archive;
    const struct arch *arch;
};

static bool same_arch(const void *context, uint32_t item) {
    const struct lookup *lookup = context;
    return arch_equal(&lookup->archive->candidates[item].arch, lookup->arch);
}

int archive_find(const struct archive *archive, const struct arch *arch) {
    struct lookup lookup = {archive, arch};
    return (int)map_find(&archive->by_arch, map_hash(arch, sizeof *arch), same_arch, &lookup);
}

int archive_find_id(const struct archive *archive, const char *arch_id) {
    for (int i = 0; i < archive->n; i++)
        if (strcmp(archive->candidates[i].id, arch_id) == 0)
            return i;
    return -1;
}

struct metric *archive_metrics(const struct archive *archive, int index) {
    return archive->metrics + (size_t)index * (size_t)archive->goals->n_metrics;
}

const double *archive_costs(const struct archive *archive, int index) {
    return archive->costs + (size_t)index * (size_t)archive->goals->n_objectives;
}

/* Grows *array to capacity items of size bytes. */
static bool grow(void *array, size_t capacity, size_t size) {
    void **pointer = array;
    void *grown = reallocarray(*pointer, capacity, size);
    if (grown)
        *pointer = grown;
    return grown;
}

static int reserve(struct archive *a, struct err *err) {
    if (a->n < a->capacity)
        return 0;
    if (a->n >= ARCHIVE_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "a search holds at most %d candidates", ARCHIVE_MAX);
    int capacity = a->capacity ? 2 * a->capacity : 256;
    if (!grow(&a->candidates, (size_t)capacity, sizeof *a->candidates) ||
        !grow(&a->metrics, (size_t)capacity * (size_t)a->goals->n_metrics, sizeof *a->metrics) ||
        !grow(&a->costs, (size_t)capacity * (size_t)a->goals->n_objectives, sizeof *a->costs))
        return err_set(err, ESP_ENOMEM, NULL, "no memory for %d candidates", capacity);
    a->capacity = capacity;
    return 0;
}

static void set_metrics(struct archive *a, int index, const struct metric *metrics) {
    struct candidate *c = &a->candidates[index];
    struct metric *own = archive_metrics(a, index);
    for (int i = 0; i < a->goals->n_metrics; i++)
        own[i] = metrics ? metrics[i] : (struct metric){NAN, NAN, NAN, METRIC_COUNTED};
    bool was_feasible = c->violation == 0;
    c->failed = !metrics;
    c->violation = goals_violation(a->goals, own);
    a->n_feasible += (c->violation == 0) - was_feasible;
    goals_costs(a->goals, own, a->costs + (size_t)index * (size_t)a->goals->n_objectives);
}

static int reserve_front(struct archive *a) {
    if (a->n_front < a->front_capacity)
        return 0;
    int capacity = a->front_capacity ? 2 * a->front_capacity : 128;
    if (!grow(&a->front, (size_t)capacity, sizeof *a->front))
        return ESP_ENOMEM;
    a->front_capacity = capacity;
    return 0;
}

/* Two objectives: the front is a staircase, so a new point meets only its neighbours. */
static void insert_in_stairs(struct archive *a, int index) {
    const double *p = archive_costs(a, index);
    int low = 0, high = a->n_front;
    while (low < high) {
        int middle = (low + high) / 2;
        if (archive_costs(a, a->front[middle])[0] <= p[0])
            low = middle + 1;
        else
            high = middle;
    }
    /* low: the first step right of the point; the one before it is the only one that may dominate
     * or equal it. */
    if (low > 0 && archive_costs(a, a->front[low - 1])[1] <= p[1])
        return;
    int first = low, last = low;
    if (first > 0 && archive_costs(a, a->front[first - 1])[0] == p[0])
        first--;
    while (last < a->n_front && archive_costs(a, a->front[last])[1] >= p[1])
        last++;
    memmove(a->front + first + 1, a->front + last, (size_t)(a->n_front - last) * sizeof *a->front);
    a->front[first] = index;
    a->n_front += 1 - (last - first);
}

static bool equal_costs(const double *a, const double *b, int m) {
    return memcmp(a, b, (size_t)m * sizeof *a) == 0;
}

static void insert_in_front(struct archive *a, int index) {
    int m = a->goals->n_objectives, kept = 0;
    const double *p = archive_costs(a, index);
    if (m == 2) {
        insert_in_stairs(a, index);
        return;
    }
    /* What dominated the one before often dominates this one too. */
    for (int i = -1; i < a->n_front; i++) {
        int at = i < 0 ? a->dominator : i;
        const double *q = at < a->n_front ? archive_costs(a, a->front[at]) : NULL;
        if (q && (pareto_dominates(q, p, m) || equal_costs(q, p, m))) {
            a->dominator = at;
            return;
        }
    }
    for (int i = 0; i < a->n_front; i++)
        if (!pareto_dominates(p, archive_costs(a, a->front[i]), m))
            a->front[kept++] = a->front[i];
    a->front[kept] = index;
    a->n_front = kept + 1;
}

static int add(struct archive *a, const struct arch *arch, const struct metric *metrics,
               int generation, struct err *err) {
    int code = reserve(a, err);
    if (code == 0 && (reserve_front(a) < 0 ||
                      map_add(&a->by_arch, map_hash(arch, sizeof *arch), (uint32_t)a->n) < 0))
        code = err_set(err, ESP_ENOMEM, NULL, "no memory for a candidate");
    if (code < 0)
        return code;
    int index = a->n++;
    a->candidates[index] = (struct candidate){.arch = *arch,
                                              .generation = generation,
                                              .origin = ORIGIN_SEEDED,
                                              .parents = {-1, -1},
                                              .violation = INFINITY};
    arch_id(a->space, arch, a->candidates[index].id);
    set_metrics(a, index, metrics);
    if (!a->front_stale && a->candidates[index].violation == 0)
        insert_in_front(a, index);
    return index;
}

int archive_put(struct archive *archive, const struct arch *arch, const struct metric *metrics,
                int generation, struct err *err, int *ret_index) {
    int index = archive_find(archive, arch);
    if (index >= 0) {
        set_metrics(archive, index, metrics);
        archive->front_stale = true;
        *ret_index = index;
        return 0;
    }
    index = add(archive, arch, metrics, generation, err);
    if (index < 0)
        return index;
    *ret_index = index;
    return 1;
}

void archive_set_origin(struct archive *archive, int index, const struct origin *origin) {
    struct candidate *c = &archive->candidates[index];
    int n = 0;
    c->origin = (uint8_t)origin->kind;
    for (int i = 0; i < ORIGIN_PARENTS_MAX; i++)
        c->parents[i] = -1;
    for (int i = 0; i < origin->n_parents; i++) {
        int parent = archive_find(archive, &origin->parents[i]);
        if (parent >= 0)
            c->parents[n++] = parent;
    }
}

int archive_front(struct archive *archive, const int **ret_front, int *ret_n) {
    if (archive->front_stale) {
        archive->n_front = 0;
        for (int i = 0; i < archive->n; i++) {
            if (reserve_front(archive) < 0)
                return ESP_ENOMEM;
            if (archive->candidates[i].violation == 0)
                insert_in_front(archive, i);
        }
        archive->front_stale = false;
    }
    *ret_front = archive->front;
    *ret_n = archive->n_front;
    return 0;
}

int archive_front_of(const struct archive *archive, archive_keep_fn *keep, void *context,
                     int **ret_front, int *ret_n) {
    /* A view with a front of its own over the same candidates. */
    struct archive view = *archive;
    view.front = NULL;
    view.n_front = view.front_capacity = 0;
    for (int i = 0; i < view.n; i++) {
        if (view.candidates[i].violation != 0 || !keep(context, archive, i))
            continue;
        if (reserve_front(&view) < 0) {
            free(view.front);
            return ESP_ENOMEM;
        }
        insert_in_front(&view, i);
    }
    *ret_front = view.front;
    *ret_n = view.n_front;
    return 0;
}

int archive_hypervolume_of(const struct archive *archive, const int *members, int n,
                           const double *reference, double *ret_volume) {
    int m = archive->goals->n_objectives;
    *ret_volume = NAN;
    if (m > HYPERVOLUME_OBJECTIVES_MAX)
        return 0;
    double *points = mem_array((size_t)n * (size_t)m + 1, sizeof *points);
    if (!points)
        return ESP_ENOMEM;
    for (int i = 0; i < n; i++)
        memcpy(points + (size_t)i * (size_t)m, archive_costs(archive, members[i]),
               (size_t)m * sizeof *points);
    int code = hypervolume(points, n, m, reference, ret_volume);
    free(points);
    if (code != ESP_EUNSUPPORTED && code != ESP_ELIMIT)
        return code;
    *ret_volume = NAN;
    return 0;
}

int archive_hypervolume(struct archive *archive, const double *reference, double *ret_volume) {
    const int *front;
    int n;
    int code = archive_front(archive, &front, &n);
    if (code < 0)
        return code;
    return archive_hypervolume_of(archive, front, n, reference, ret_volume);
}
