/* When a worker asks its daemon again. */
#pragma once

#include <signal.h>
#include <stdbool.h>

struct http_client;

/* An answer that no repetition will change. */
bool retry_is_final(int status);
/* Waits with full jitter between 0 and min(60 s, 2^failures), at least what the daemon asked for,
 * and counts a failure; ends early when *stop becomes not 0. */
void retry_wait(struct http_client *client, int *failures, volatile sig_atomic_t *stop);
