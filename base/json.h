/* Strict JSON over cJSON. Parsing refuses what cJSON lets through: bad UTF-8, duplicate keys, depth
 * and size beyond the limits, integers that a double cannot hold, trailing bytes. Reading goes
 * through typed getters that fill struct err with an RFC 6901 pointer. `at` is the pointer of the
 * object itself ("" for the root). */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct json_limits {
    size_t bytes; /* of the text */
    int depth;    /* of nesting */
    size_t nodes; /* values in all */
};
extern const struct json_limits json_limits_default; /* 4 MiB, 32, 200,000 */

/* limits NULL: the default ones; depth counts to 500 at most. Errors: ESP_EPARSE (says what at
 * which byte, and points at a number or repeated member), ESP_ELIMIT, ESP_ENOMEM. cJSON_Delete
 * frees. */
int json_parse(const char *text, size_t len, const struct json_limits *limits, struct err *err,
               cJSON **ret_doc);
/* Compact text, shortest round-trip numbers, caller frees; NULL on memory exhaustion. */
char *json_print(const cJSON *doc);
/* Text with members sorted by key: equal documents give equal bytes (for hashes). Caller frees. */
char *json_print_canonical(const cJSON *doc);

/* Getters for a required member key of obj. ESP_EINVAL with pointer at/key when absent, of another
 * type or out of range. */
int json_int(const cJSON *obj, const char *at, const char *key, int64_t min, int64_t max,
             struct err *err, int64_t *ret);
int json_real(const cJSON *obj, const char *at, const char *key, double min, double max,
              struct err *err, double *ret);
int json_bool(const cJSON *obj, const char *at, const char *key, struct err *err, bool *ret);
/* *ret borrows from obj. Length in bytes within [min_len, max_len]. */
int json_string(const cJSON *obj, const char *at, const char *key, size_t min_len, size_t max_len,
                struct err *err, const char **ret);
int json_array(const cJSON *obj, const char *at, const char *key, int min_items, int max_items,
               struct err *err, const cJSON **ret);
int json_object(const cJSON *obj, const char *at, const char *key, struct err *err,
                const cJSON **ret);

/* The same for an optional member: absent (or null) leaves *ret as it is and returns 0. */
int json_int_opt(const cJSON *obj, const char *at, const char *key, int64_t min, int64_t max,
                 struct err *err, int64_t *ret);
int json_real_opt(const cJSON *obj, const char *at, const char *key, double min, double max,
                  struct err *err, double *ret);
int json_bool_opt(const cJSON *obj, const char *at, const char *key, struct err *err, bool *ret);
int json_string_opt(const cJSON *obj, const char *at, const char *key, size_t min_len,
                    size_t max_len, struct err *err, const char **ret);

/* Index of the string member key in names (NULL-terminated); ESP_EINVAL lists what is allowed. */
int json_enum(const cJSON *obj, const char *at, const char *key, const char *const *names,
              struct err *err, int *ret);
/* Refuses obj if it is no object or has a member that keys (NULL-terminated) does not list. */
int json_only(const cJSON *obj, const char *at, const char *const *keys, struct err *err);
bool json_has(const cJSON *obj, const char *key); /* present and not null */
/* text in place of the member, NULL: null; text may be that of the member itself. */
void json_set_text(cJSON *obj, const char *key, const char *text);
