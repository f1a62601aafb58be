#include "ranks.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct ranks {
    int size;
    pthread_barrier_t barrier;
    void *shown[RANKS_MAX]; /* what each rank brought to the call */
    void (*body)(void *context, const struct comm *comm);
    void *context;
};

struct rank {
    struct ranks *ranks;
    int rank;
    pthread_t thread;
};

static void meet(struct ranks *ranks) {
    pthread_barrier_wait(&ranks->barrier);
}

/* Every rank adds all up for itself, as a tree over the ranks, then all put it in place. */
#define DEFINE_SUM(name, type)                                                                     \
    static void name(void *context, type *values, size_t n) {                                      \
        struct rank *own = context;                                                                \
        struct ranks *ranks = own->ranks;                                                          \
        type *sums = malloc(n * sizeof *sums), part[RANKS_MAX] = {0};                              \
        ranks->shown[own->rank] = values;                                                          \
        meet(ranks);                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            for (int r = 0; r < ranks->size; r++)                                                  \
                part[r] = ((type *)ranks->shown[r])[i];                                            \
            for (int reach = 1; reach < ranks->size; reach *= 2)                                   \
                for (int r = 0; r + reach < ranks->size; r += 2 * reach)                           \
                    part[r] += part[r + reach];                                                    \
            sums[i] = part[0];                                                                     \
        }                                                                                          \
        meet(ranks);                                                                               \
        memcpy(values, sums, n * sizeof *sums);                                                    \
        free(sums);                                                                                \
    }
DEFINE_SUM(sum_f32, float)
DEFINE_SUM(sum_f64, double)

static void broadcast(void *context, void *data, size_t bytes) {
    struct rank *own = context;
    own->ranks->shown[own->rank] = data;
    meet(own->ranks);
    if (own->rank > 0)
        memcpy(data, own->ranks->shown[0], bytes);
    meet(own->ranks);
}

static const struct comm_ops ops = {sum_f32, sum_f64, broadcast};

static void *run_rank(void *argument) {
    struct rank *own = argument;
    struct ranks *ranks = own->ranks;
    struct comm comm = {own->rank, ranks->size, &ops, own};
    ranks->body(ranks->context, &comm);
    return NULL;
}

void ranks_run(int size, void (*body)(void *context, const struct comm *comm), void *context) {
    struct ranks ranks = {.size = size, .body = body, .context = context};
    struct rank own[RANKS_MAX];
    assert_true(size >= 1 && size <= RANKS_MAX);
    assert_int_equal(pthread_barrier_init(&ranks.barrier, NULL, (unsigned)size), 0);
    for (int r = 0; r < size; r++) {
        own[r] = (struct rank){.ranks = &ranks, .rank = r};
        assert_int_equal(pthread_create(&own[r].thread, NULL, run_rank, &own[r]), 0);
    }
    for (int r = 0; r < size; r++)
        pthread_join(own[r].thread, NULL);
    pthread_barrier_destroy(&ranks.barrier);
}
