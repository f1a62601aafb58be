/* Every candidate that a search has met, found by arch or arch_id, with its metrics, and the Pareto
 * front of the feasible ones kept up to date. */
#pragma once

#include "base/map.h"
#include "search/objective.h"
#include "search/origin.h"
#include "space/arch.h"

/* Candidates: a million that are asked for, and what a search begins with. */
enum { ARCHIVE_MAX = 1020000 };

struct candidate {
    struct arch arch;
    char id[HASH_TEXT];
    int generation;                  /* in which it was first asked for */
    bool failed;                     /* could not be evaluated: metrics are NAN */
    uint8_t origin;                  /* enum origin_kind */
    int parents[ORIGIN_PARENTS_MAX]; /* numbers of candidates; -1: none */
    double violation;
};

struct archive {
    const struct space *space; /* borrowed */
    const struct goals *goals; /* borrowed; must not change */
    int n, capacity;
    int n_feasible; /* candidates that meet every constraint */
    struct candidate *candidates;
    struct metric *metrics; /* [n, goals->n_metrics] */
    double *costs;          /* [n, goals->n_objectives] */
    struct map by_arch;
    int n_front, front_capacity;
    int dominator; /* place in front to look at first; any will do */
    int *front; /* numbers of candidates; with two objectives in rising order of the first cost */
    bool front_stale;
};

void archive_init(struct archive *archive, const struct space *space, const struct goals *goals);
void archive_finish(struct archive *archive);

/* Adds a candidate, or gives the one that there is new metrics. arch must be canonical. metrics
 * (goals->n_metrics, copied) NULL: evaluation failed. A new candidate costs O(log n) with two
 * objectives, O(front) with more; a changed one a rebuild of the front when that is next asked for.
 * *ret_index is its number. Returns 1 for a new one, 0 for a changed one. Errors: ESP_ENOMEM,
 * ESP_ELIMIT. */
int archive_put(struct archive *archive, const struct arch *arch, const struct metric *metrics,
                int generation, struct err *err, int *ret_index);

/* Where a candidate comes from, seeded until it is said; parents that are no candidates are left
 * out. */
void archive_set_origin(struct archive *archive, int index, const struct origin *origin);

int archive_find(const struct archive *archive, const struct arch *arch); /* number, or -1 */
int archive_find_id(const struct archive *archive, const char *arch_id);  /* O(n); -1 */
struct metric *archive_metrics(const struct archive *archive, int index);
const double *archive_costs(const struct archive *archive, int index);

/* The front: numbers of feasible candidates that none dominates, owned by the archive until the
 * next put. Of equal cost only the first met is there. Errors: ESP_ENOMEM. */
int archive_front(struct archive *archive, const int **ret_front, int *ret_n);
/* The same over the candidates for which keep holds (for instance: whose accuracy was evaluated);
 * the caller frees *ret_front. */
typedef bool archive_keep_fn(void *context, const struct archive *archive, int index);
int archive_front_of(const struct archive *archive, archive_keep_fn *keep, void *context,
                     int **ret_front, int *ret_n);
/* Hypervolume of the front, or of these members, below reference (costs); NAN where there
 * are more objectives or points than hypervolume() takes. Errors: ESP_ENOMEM. */
int archive_hypervolume(struct archive *archive, const double *reference, double *ret_volume);
int archive_hypervolume_of(const struct archive *archive, const int *members, int n,
                           const double *reference, double *ret_volume);
