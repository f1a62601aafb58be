#include "search/seen.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { DIGITS = 16 };

void seen_finish(struct seen *seen) {
    map_finish(&seen->map);
    free(seen->hashes);
    *seen = (struct seen){0};
}

static int add_hash(struct seen *seen, uint64_t hash) {
    if (map_find(&seen->map, hash, NULL, NULL) >= 0)
        return 0;
    if (seen->n == seen->capacity) {
        uint32_t capacity = seen->capacity ? 2 * seen->capacity : 1024;
        uint64_t *grown = reallocarray(seen->hashes, capacity, sizeof *grown);
        if (!grown)
            return ESP_ENOMEM;
        seen->hashes = grown;
        seen->capacity = capacity;
    }
    int code = map_add(&seen->map, hash, seen->n);
    if (code < 0)
        return code;
    seen->hashes[seen->n++] = hash;
    return 1;
}

int seen_add(struct seen *seen, const struct arch *arch) {
    return add_hash(seen, map_hash(arch, sizeof *arch));
}

cJSON *seen_save(const struct seen *seen) {
    struct buf buf;
    buf_init(&buf, 0);
    buf_puts(&buf, "");
    for (uint32_t i = 0; i < seen->n; i++)
        buf_printf(&buf, "%016llx", (unsigned long long)seen->hashes[i]);
    cJSON *doc = buf.error ? NULL : cJSON_CreateString(buf.data);
    buf_finish(&buf);
    return doc;
}

int seen_load(struct seen *seen, const cJSON *doc, const char *at, struct err *err) {
    const char *text = cJSON_GetStringValue(doc);
    size_t len = text ? strlen(text) : 0;
    if (!text || len % DIGITS != 0 || strspn(text, "0123456789abcdef") != len)
        return err_set(err, ESP_EINVAL, at, "must be groups of %d hex digits", DIGITS);
    for (size_t i = 0; i < len; i += DIGITS) {
        char group[DIGITS + 1] = {0};
        memcpy(group, text + i, DIGITS);
        if (add_hash(seen, strtoull(group, NULL, 16)) < 0)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for the archs asked before");
    }
    return 0;
}
