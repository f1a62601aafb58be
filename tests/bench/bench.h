/* What the benches share: times of a function that is called again and again. */
#pragma once

struct bench_time {
    double median_s, best_s; /* of one call */
};
/* Calls fn(context) in batches of at least batch_s seconds, `batches` (at most 101) times. */
struct bench_time bench_measure(void (*fn)(void *), void *context, double batch_s, int batches);
