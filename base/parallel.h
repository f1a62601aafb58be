/* A small fixed pool of threads for numerics. Work is a number of chunks dealt out dynamically;
 * what a chunk computes may depend on its index only, so results do not depend on the number of
 * threads. Waiting threads spin for a bounded time, then offer their core, then sleep on a futex: a
 * busy neighbour gets the core. */
#pragma once

struct parallel;

int parallel_create(int threads, struct parallel **ret_pool); /* threads in [1, 256], the caller's
                                                                 included. ESP_ENOMEM, ESP_EINVAL */
void parallel_destroy(struct parallel *pool);                 /* takes NULL */
int parallel_threads(const struct parallel *pool);            /* 1 for NULL */
/* Runs fn(context, chunk, thread) for chunk = 0..chunks-1 and returns when all are done. thread in
 * [0, threads). pool NULL runs in the caller. Not reentrant; one caller at a time. */
void parallel_for(struct parallel *pool, int chunks,
                  void (*fn)(void *context, int chunk, int thread), void *context);
int parallel_cores(void); /* processors this process may run on */
