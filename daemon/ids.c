#include "daemon/ids.h"

#include <pthread.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* Crockford's base 32, lower case: no i, l, o, u. */
static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
enum { DIGITS_OF_MS = 10, DIGITS_OF_COUNTER = 4, DIGITS_OF_RANDOM = 12, DIGITS = 26 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last_ms;
static uint32_t counter;

/* Milliseconds and a counter within them; a clock that goes back does not turn the order round. */
static void take_number(uint64_t *ret_ms, uint32_t *ret_counter) {
    uint64_t now = (uint64_t)clock_wall_us() / 1000;
    pthread_mutex_lock(&mutex);
    if (now > last_ms) {
        last_ms = now;
        counter = 0;
    } else if (++counter == 1 << 20) {
        last_ms++;
        counter = 0;
    }
    *ret_ms = last_ms;
    *ret_counter = counter;
    pthread_mutex_unlock(&mutex);
}

static char *put(char *text, uint64_t value, int n_digits) {
    for (int i = n_digits - 1; i >= 0; i--, value >>= 5)
        text[i] = digits[value & 31];
    return text + n_digits;
}

void id_make(const char *prefix, char ret_id[ID_MAX]) {
    uint64_t ms, random;
    uint32_t number;
    take_number(&ms, &number);
    randombytes_buf(&random, sizeof(random));
    char *end = ret_id + snprintf(ret_id, 8, "%s", prefix);
    end = put(end, ms, DIGITS_OF_MS);
    end = put(end, number, DIGITS_OF_COUNTER);
    end = put(end, random, DIGITS_OF_RANDOM);
    *end = '\0';
}

void id_make_past(const char *prefix, int64_t age_s, char ret_id[ID_MAX]) {
    uint64_t ms = (uint64_t)(clock_wall_us() / 1000 - age_s * 1000);
    char *end = ret_id + snprintf(ret_id, 8, "%s", prefix);
    *put(end, ms, DIGITS_OF_MS) = '\0';
}

bool id_has_prefix(const char *id, const char *prefix) {
    return strncmp(id, prefix, strlen(prefix)) == 0;
}

bool id_is(const char *text, const char *prefix) {
    const char *number = text + strlen(prefix);
    return id_has_prefix(text, prefix) && strlen(number) == DIGITS &&
           strspn(number, digits) == DIGITS;
}

bool id_is_any(const char *text) {
    char prefix[8];
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    snprintf(prefix, sizeof(prefix), "%.*s_", (int)len, text);
    return len > 0 && len < sizeof(prefix) - 1 && id_is(text, prefix);
}

bool id_leads(const char *name, const char *prefix, char ret_id[ID_MAX]) {
    size_t len = strlen(prefix) + DIGITS;
    snprintf(ret_id, ID_MAX, "%.*s", (int)len, name);
    return id_is(ret_id, prefix);
}
