#include "tests/bench/bench.h"

#include "base/clock.h"
#include "base/stats.h"

enum { BATCHES_MAX = 101 };

static double seconds(void (*fn)(void *), void *context, int calls) {
    int64_t start = clock_mono_ns();
    for (int i = 0; i < calls; i++)
        fn(context);
    return (double)(clock_mono_ns() - start) * 1e-9;
}

struct bench_time bench_measure(void (*fn)(void *), void *context, double batch_s, int batches) {
    double times[BATCHES_MAX], best;
    int calls = 1;
    while (seconds(fn, context, calls) < batch_s && calls < 1 << 20)
        calls *= 2;
    batches = batches > BATCHES_MAX ? BATCHES_MAX : batches;
    for (int i = 0; i < batches; i++)
        times[i] = seconds(fn, context, calls) / calls;
    best = times[0];
    for (int i = 1; i < batches; i++)
        best = times[i] < best ? times[i] : best;
    return (struct bench_time){stats_median(times, (size_t)batches), best};
}
