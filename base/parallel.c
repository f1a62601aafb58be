#include "base/parallel.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

enum {
    THREADS_MAX = 256,
    CACHE_LINE = 64,
    SPINS_PER_LOOK = 64,
    SPIN_NS = 30000,  /* the core is kept */
    OFFER_NS = 400000 /* then it is offered to whoever can run; then the thread sleeps */
};

typedef void chunk_fn(void *context, int chunk, int thread);

/* A region is one call of parallel_for. Workers take chunks from `ticket`, which names the region
 * too, so one that comes late finds nothing left and does no harm: the caller waits for the chunks,
 * never for the threads.
 *
 * The work (fn, context, chunks) is read before a chunk is taken. If taking it succeeds, the region
 * had a chunk left at that moment, and the caller does not write the next region's work before this
 * chunk is reported done: what was read is this region's. If it fails, what was read is thrown
 * away. (The ticket counts down because an exhausted one must look exhausted whatever number of
 * chunks the next region has.) */
struct parallel {
    int threads;
    bool spins; /* before sleeping; not when there are more threads than cores */
    _Atomic(chunk_fn *) fn;
    _Atomic(void *) context;
    _Atomic int chunks;
    alignas(CACHE_LINE) _Atomic uint64_t ticket; /* region << 32 | chunks left */
    alignas(CACHE_LINE) _Atomic uint32_t
        region; /* futex of the workers: changes when there may be work */
    _Atomic int sleepers;
    _Atomic bool stop;
    alignas(CACHE_LINE) _Atomic uint32_t done; /* futex of the caller: chunks finished */
    _Atomic bool caller_sleeps;
    struct worker {
        struct parallel *pool;
        pthread_t handle;
        int thread;
    } workers[THREADS_MAX];
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Spins until *word differs from seen, at most the pool's time; says whether it does. A thread that
 * was held up by another program's turn comes back after one or two tenths of a millisecond: those
 * who wait for it do not sleep for that, since waking them takes as long again. */
static bool spin(const struct parallel *pool, _Atomic uint32_t *word, uint32_t seen) {
    if (!pool->spins)
        return atomic_load_explicit(word, memory_order_acquire) != seen;
    int64_t begin = clock_mono_ns(), waited = 0;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != seen)
                return true;
            relax();
        }
        waited = clock_mono_ns() - begin;
        if (waited > SPIN_NS)
            sched_yield();
    } while (waited < OFFER_NS);
    return false;
}

/* Takes one chunk of the region: how many were left, itself included; 0 when none is or another
 * region has begun. */
static uint32_t take_chunk(struct parallel *pool, uint32_t region) {
    uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    for (;;) {
        uint32_t left = (uint32_t)ticket;
        if ((uint32_t)(ticket >> 32) != region || left == 0)
            return 0;
        if (atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket - 1,
                                                  memory_order_acq_rel, memory_order_acquire))
            return left;
    }
}

static void run_chunks(struct parallel *pool, uint32_t region, int thread) {
    uint32_t finished = 0;
    chunk_fn *fn = atomic_load_explicit(&pool->fn, memory_order_acquire);
    void *context = atomic_load_explicit(&pool->context, memory_order_acquire);
    int chunks = atomic_load_explicit(&pool->chunks, memory_order_acquire);
    for (uint32_t left; (left = take_chunk(pool, region)) > 0; finished++)
        fn(context, chunks - (int)left, thread);
    if (finished == 0)
        return;
    uint32_t done = atomic_fetch_add(&pool->done, finished) + finished;
    if (done == (uint32_t)chunks && atomic_load(&pool->caller_sleeps))
        futex_wake_all(&pool->done);
}

static void wait_for_region(struct parallel *pool, uint32_t seen) {
    if (spin(pool, &pool->region, seen))
        return;
    /* Counted before the kernel compares the word: whoever changes it afterwards sees a sleeper and
     * wakes it. */
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->region) == seen)
        futex_wait(&pool->region, seen);
    atomic_fetch_sub(&pool->sleepers, 1);
}

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct parallel *pool = worker->pool;
    uint32_t seen = 0;
    for (;;) {
        wait_for_region(pool, seen);
        seen = atomic_load(&pool->region);
        if (atomic_load(&pool->stop))
            return NULL;
        run_chunks(pool, seen, worker->thread);
    }
}

static void announce(struct parallel *pool) {
    atomic_fetch_add(&pool->region, 1);
    if (atomic_load(&pool->sleepers) > 0)
        futex_wake_all(&pool->region);
}

/* Workers take no signals: those are for the threads that the program made for them. */
static int start_worker(struct parallel *pool, int thread) {
    struct worker *worker = &pool->workers[thread];
    sigset_t all, before;
    *worker = (struct worker){.pool = pool, .thread = thread};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->handle, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? ESP_ENOMEM : 0;
}

int parallel_create(int threads, struct parallel **ret_pool) {
    if (threads < 1 || threads > THREADS_MAX)
        return ESP_EINVAL;
    struct parallel *pool = mem_aligned(1, sizeof(*pool));
    if (!pool)
        return ESP_ENOMEM;
    pool->threads = 1;
    pool->spins = threads <= parallel_cores();
    for (; pool->threads < threads; pool->threads++) {
        int code = start_worker(pool, pool->threads);
        if (code < 0) {
            parallel_destroy(pool);
            return code;
        }
    }
    *ret_pool = pool;
    return 0;
}

void parallel_destroy(struct parallel *pool) {
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    announce(pool);
    for (int i = 1; i < pool->threads; i++)
        pthread_join(pool->workers[i].handle, NULL);
    free(pool);
}

int parallel_threads(const struct parallel *pool) {
    return pool ? pool->threads : 1;
}

static void wait_for_chunks(struct parallel *pool, uint32_t chunks) {
    uint32_t done;
    while ((done = atomic_load(&pool->done)) != chunks) {
        if (spin(pool, &pool->done, done))
            continue;
        atomic_store(&pool->caller_sleeps, true);
        if (atomic_load(&pool->done) == done)
            futex_wait(&pool->done, done);
        atomic_store(&pool->caller_sleeps, false);
    }
}

void parallel_for(struct parallel *pool, int chunks, chunk_fn *fn, void *context) {
    if (!pool || pool->threads == 1 || chunks <= 1) {
        for (int chunk = 0; chunk < chunks; chunk++)
            fn(context, chunk, 0);
        return;
    }
    uint32_t region = atomic_load(&pool->region) + 1;
    atomic_store_explicit(&pool->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&pool->context, context, memory_order_relaxed);
    atomic_store_explicit(&pool->chunks, chunks, memory_order_relaxed);
    atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->ticket, (uint64_t)region << 32 | (uint32_t)chunks,
                          memory_order_release);
    announce(pool);
    run_chunks(pool, region, 0);
    wait_for_chunks(pool, (uint32_t)chunks);
}

int parallel_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return CPU_COUNT(&set);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (int)cores : 1;
}
