#include "tests/bench/machine_limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"

enum { ROUNDS = 7, FMA_LOOPS = 2000000, CHAINS = 12, CHUNKS = 64 };
static const size_t plane_bytes = (size_t)128 << 20;

static double now_s(void) {
    return (double)clock_mono_ns() * 1e-9;
}

#if defined(__x86_64__)
#include <immintrin.h>

/* Twelve chains hide the latency; zeros stay zeros, so nothing is denormal. */
#define CHAIN_LOOP(type, zero)                                                                     \
    type acc[CHAINS], a = zero, b = zero;                                                          \
    _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) acc[i] = zero;                       \
    for (int n = 0; n < FMA_LOOPS; n++) {                                                          \
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) __asm__ volatile(                \
            "vfmadd231ps %2, %1, %0" : "+v"(acc[i]) : "v"(a), "v"(b));                             \
    }

__attribute__((target("avx512f"))) static void fma_512(void) {
    CHAIN_LOOP(__m512, _mm512_setzero_ps())
}
__attribute__((target("avx2,fma"))) static void fma_256(void) {
    CHAIN_LOOP(__m256, _mm256_setzero_ps())
}

static void fma_chunk(void *context, int chunk, int thread) {
    if (cpu_flags() & CPU_AVX512)
        fma_512();
    else if (cpu_flags() & CPU_AVX2)
        fma_256();
}

static int fma_lanes(void) {
    return cpu_flags() & CPU_AVX512 ? 16 : cpu_flags() & CPU_AVX2 ? 8 : 0;
}
#else
static void fma_chunk(void *context, int chunk, int thread) {
}
static int fma_lanes(void) {
    return 0;
}
#endif

struct planes {
    char *from, *to;
    uint64_t sums[CHUNKS];
};

static void read_chunk(void *context, int chunk, int thread) {
    struct planes *planes = context;
    const uint64_t *words = (const uint64_t *)(const void *)planes->from;
    size_t n = plane_bytes / CHUNKS / sizeof(*words);
    uint64_t sum[8] = {0};
    words += (size_t)chunk * n;
    for (size_t i = 0; i < n; i += 8)
        for (int k = 0; k < 8; k++)
            sum[k] += words[i + (size_t)k];
    for (int k = 0; k < 8; k++)
        planes->sums[chunk] += sum[k];
}

static void copy_chunk(void *context, int chunk, int thread) {
    struct planes *planes = context;
    size_t n = plane_bytes / CHUNKS;
    memcpy(planes->to + (size_t)chunk * n, planes->from + (size_t)chunk * n, n);
}

/* Seconds of the fastest round. */
static double best_s(struct parallel *pool, int chunks, void (*fn)(void *, int, int),
                     void *context) {
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double start = now_s();
        parallel_for(pool, chunks, fn, context);
        double took = now_s() - start;
        best = took < best ? took : best;
    }
    return best;
}

struct machine_limits machine_limits_measure(struct parallel *pool) {
    struct machine_limits limits = {0};
    struct planes planes = {mem_aligned(plane_bytes, 1), mem_aligned(plane_bytes, 1), {0}};
    int threads = parallel_threads(pool);
    double flops = 2.0 * FMA_LOOPS * CHAINS * fma_lanes() * threads;
    limits.gflops = flops / best_s(pool, threads, fma_chunk, NULL) * 1e-9;
    if (planes.from && planes.to) {
        memset(planes.from, 1, plane_bytes);
        memset(planes.to, 1, plane_bytes);
        limits.read_gb_s = (double)plane_bytes / best_s(pool, CHUNKS, read_chunk, &planes) * 1e-9;
        limits.copy_gb_s =
            2 * (double)plane_bytes / best_s(pool, CHUNKS, copy_chunk, &planes) * 1e-9;
    }
    free(planes.from);
    free(planes.to);
    return limits;
}
