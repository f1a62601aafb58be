/* How many requests somebody may make: a token bucket for each, in a table of bounded size. The
 * clock is given; no locks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate_table;

struct rate_limit {
    double per_s; /* what a bucket gains in a second; > 0 */
    double burst; /* what it holds at most; >= 1 */
};

struct rate_state {
    int limit, remaining; /* requests of a full bucket, and that are left at once */
    int full_s;           /* until it is full again, rounded up */
    int wait_s;           /* until there is one; 0: there was, and it was taken */
};

/* slots: how many are told apart, at least 8. In a full table newcomers take the place of who could
 * make the most requests anyway. NULL on memory exhaustion. */
struct rate_table *rate_create(size_t slots, const struct rate_limit *limit);
void rate_destroy(struct rate_table *table); /* takes NULL */
/* Takes one request of key's bucket; false: it is empty. now_us: monotonic. */
bool rate_take(struct rate_table *table, const char *key, int64_t now_us,
               struct rate_state *ret_state);
