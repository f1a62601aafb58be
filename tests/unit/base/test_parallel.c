#include "tests/unit/unit.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/parallel.h"

enum { CHUNKS_MAX = 64 };

struct count {
    int runs[CHUNKS_MAX];
    int threads;
    _Atomic int wrong;
};

static void count_run(void *context, int chunk, int thread) {
    struct count *count = context;
    count->runs[chunk]++;
    if (thread < 0 || thread >= count->threads)
        atomic_fetch_add(&count->wrong, 1);
}

/* Regions of changing length one after another: a worker that is late for one must not run the next
 * one's chunks with the first one's function, nor a chunk twice. */
static void every_chunk_runs_once(void **state) {
    for (int threads = 1; threads <= 5; threads++) {
        struct parallel *pool;
        assert_int_equal(parallel_create(threads, &pool), 0);
        assert_int_equal(parallel_threads(pool), threads);
        for (int round = 0; round < 4000; round++) {
            struct count count = {.threads = threads};
            int chunks = round % (CHUNKS_MAX + 1);
            parallel_for(pool, chunks, count_run, &count);
            for (int i = 0; i < CHUNKS_MAX; i++)
                assert_int_equal(count.runs[i], i < chunks);
            assert_int_equal(count.wrong, 0);
        }
        parallel_destroy(pool);
    }
}

struct sums {
    double parts[CHUNKS_MAX];
};

static void sum_part(void *context, int chunk, int thread) {
    struct sums *sums = context;
    double sum = 0;
    for (int i = 0; i < 500; i++)
        sum += sin(chunk * 500.0 + i);
    sums->parts[chunk] = sum;
}

static void results_do_not_depend_on_the_threads(void **state) {
    struct sums alone, together;
    parallel_for(NULL, CHUNKS_MAX, sum_part, &alone);
    for (int threads = 1; threads <= 8; threads += 3) {
        struct parallel *pool;
        assert_int_equal(parallel_create(threads, &pool), 0);
        memset(&together, 0, sizeof(together));
        parallel_for(pool, CHUNKS_MAX, sum_part, &together);
        assert_memory_equal(&alone, &together, sizeof(alone));
        parallel_destroy(pool);
    }
}

struct meeting {
    int wanted;
    _Atomic int inside, most;
};

/* Stays until as many as are wanted have been there at once: at once with all cores free, later on
 * a busy machine. */

static void meet(void *context, int chunk, int thread) {
    struct meeting *meeting = context;
    int now = atomic_fetch_add(&meeting->inside, 1) + 1;
    int most = atomic_load(&meeting->most);
    while (now > most && !atomic_compare_exchange_weak(&meeting->most, &most, now))
        ;
    for (int ms = 0; ms < 5000 && atomic_load(&meeting->most) < meeting->wanted; ms++)
        clock_sleep_us(1000);
    atomic_fetch_sub(&meeting->inside, 1);
}

static void threads_work_at_the_same_time(void **state) {
    struct parallel *pool;
    struct meeting meeting = {.wanted = 3};
    assert_int_equal(parallel_create(3, &pool), 0);
    parallel_for(pool, 12, meet, &meeting);
    assert_int_equal(meeting.most, 3);
    parallel_destroy(pool);
}

/* Long pauses put the workers to sleep on the futex; each region must wake them, or the caller,
 * again. */
static void sleepers_wake_up(void **state) {
    struct parallel *pool;
    assert_int_equal(parallel_create(2, &pool), 0);
    for (int round = 0; round < 20; round++) {
        struct meeting meeting = {.wanted = 2};
        clock_sleep_us(2000);
        parallel_for(pool, 2, meet, &meeting);
        assert_int_equal(meeting.inside, 0);
        assert_int_equal(meeting.most, 2);
    }
    parallel_destroy(pool);
}

static void bad_numbers_are_refused(void **state) {
    struct parallel *pool = NULL;
    assert_int_equal(parallel_create(0, &pool), ESP_EINVAL);
    assert_int_equal(parallel_create(257, &pool), ESP_EINVAL);
    assert_null(pool);
    assert_int_equal(parallel_threads(NULL), 1);
    parallel_destroy(NULL);
    assert_true(parallel_cores() >= 1);
}

static void pools_come_and_go(void **state) {
    for (int i = 0; i < 50; i++) {
        struct parallel *pool;
        assert_int_equal(parallel_create(1 + i % 4, &pool), 0);
        struct count count = {.threads = 1 + i % 4};
        if (i % 2)
            parallel_for(pool, 5, count_run, &count);
        parallel_destroy(pool);
        assert_int_equal(count.runs[4], i % 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chunk_runs_once),
        cmocka_unit_test(results_do_not_depend_on_the_threads),
        cmocka_unit_test(threads_work_at_the_same_time),
        cmocka_unit_test(sleepers_wake_up),
        cmocka_unit_test(bad_numbers_are_refused),
        cmocka_unit_test(pools_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
