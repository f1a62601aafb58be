#include "web/rate.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { PROBES = 8 };

struct bucket {
    uint64_t who;    /* keyed hash; 0: free */
    int64_t seen_us; /* when left was right */
    double left;
};

struct rate_table {
    struct rate_limit limit;
    unsigned char hash_key[crypto_shorthash_KEYBYTES]; /* so that nobody can choose collisions */
    size_t n_slots;
    struct bucket slots[];
};

struct rate_table *rate_create(size_t slots, const struct rate_limit *limit) {
    struct rate_table *table =
        mem_array(1, sizeof(*table) + (slots < PROBES ? PROBES : slots) * sizeof(struct bucket));
    if (table == NULL)
        return NULL;
    table->limit = *limit;
    table->n_slots = slots < PROBES ? PROBES : slots;
    randombytes_buf(table->hash_key, sizeof(table->hash_key));
    return table;
}

void rate_destroy(struct rate_table *table) {
    free(table);
}

static void refill(const struct rate_table *table, struct bucket *bucket, int64_t now_us) {
    double gained = (double)(now_us - bucket->seen_us) / 1e6 * table->limit.per_s;
    if (bucket->who == 0)
        bucket->left = table->limit.burst;
    else if (gained > 0)
        bucket->left = fmin(table->limit.burst, bucket->left + gained);
    bucket->seen_us = now_us;
}

/* Theirs, or one for them, which is full then. */
static struct bucket *find(struct rate_table *table, uint64_t who, int64_t now_us) {
    struct bucket *best = NULL;
    for (size_t i = 0; i < PROBES; i++) {
        struct bucket *bucket = &table->slots[(who + i) % table->n_slots];
        refill(table, bucket, now_us);
        if (bucket->who == who)
            return bucket;
        if (best == NULL || (best->who != 0 && (bucket->who == 0 || bucket->left > best->left)))
            best = bucket;
    }
    *best = (struct bucket){who, now_us, table->limit.burst};
    return best;
}

bool rate_take(struct rate_table *table, const char *key, int64_t now_us,
               struct rate_state *ret_state) {
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t who;
    crypto_shorthash(hash, (const unsigned char *)key, strlen(key), table->hash_key);
    memcpy(&who, hash, sizeof(who));
    struct bucket *bucket = find(table, who == 0 ? 1 : who, now_us);
    bool taken = bucket->left >= 1;
    if (taken)
        bucket->left -= 1;
    *ret_state = (struct rate_state){
        .limit = (int)table->limit.burst,
        .remaining = (int)bucket->left,
        .full_s = (int)ceil((table->limit.burst - bucket->left) / table->limit.per_s),
        .wait_s = taken ? 0 : (int)ceil((1 - bucket->left) / table->limit.per_s)};
    return taken;
}
