#include "supernet/zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "supernet/tensor_file_forms.h"

enum {
    END_BYTES = 22,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    COMMENT_MAX = 65535,
    METHOD_STORED = 0,
    METHOD_DEFLATE = 8,
    DEFLATE_RATIO_MAX = 1032, /* no deflate stream unpacks to more times its size */
    FLAG_ENCRYPTED = 1
};

static bool begins(const uint8_t *bytes, const char *signature) {
    return memcmp(bytes, signature, 4) == 0;
}

bool zip_is(const void *bytes, size_t len) {
    return len >= END_BYTES && begins(bytes, "PK\3\4");
}

/* Place of the end record: the last one that a comment of its length follows; len if none. */
static size_t find_end(const uint8_t *bytes, size_t len) {
    for (size_t back = END_BYTES; back <= len && back <= END_BYTES + COMMENT_MAX; back++) {
        const uint8_t *at = bytes + len - back;
        if (begins(at, "PK\5\6") && little_endian(at + 20, 2) == back - END_BYTES)
            return len - back;
    }
    return len;
}

static int parse_entry(const struct zip *zip, size_t *at, size_t end, struct err *err,
                       struct zip_entry *entry) {
    const uint8_t *row = zip->bytes + *at;
    if (end - *at < CENTRAL_BYTES || !begins(row, "PK\1\2"))
        return err_set(err, ESP_EPARSE, NULL, "the archive's directory is damaged at byte %zu",
                       *at);
    size_t name_len = (size_t)little_endian(row + 28, 2);
    size_t row_len = CENTRAL_BYTES + name_len + (size_t)little_endian(row + 30, 2) +
                     (size_t)little_endian(row + 32, 2);
    if (row_len > end - *at)
        return err_set(err, ESP_EPARSE, NULL,
                       "the archive's directory ends at byte %zu in an entry", *at);
    if (little_endian(row + 8, 2) & FLAG_ENCRYPTED)
        return err_set(err, ESP_EUNSUPPORTED, NULL, "the archive is encrypted");
    *entry = (struct zip_entry){.name = (const char *)row + CENTRAL_BYTES,
                                .name_len = name_len,
                                .method = (int)little_endian(row + 10, 2),
                                .crc = (uint32_t)little_endian(row + 16, 4),
                                .stored = (size_t)little_endian(row + 20, 4),
                                .size = (size_t)little_endian(row + 24, 4),
                                .header = (size_t)little_endian(row + 42, 4)};
    *at += row_len;
    return 0;
}

int zip_open(struct zip *zip, const void *bytes, size_t len, struct err *err) {
    *zip = (struct zip){.bytes = bytes, .len = len};
    size_t end = find_end(bytes, len);
    if (end == len)
        return err_set(err, ESP_EPARSE, NULL, "the archive has no directory: it is truncated");
    const uint8_t *record = zip->bytes + end;
    size_t n = (size_t)little_endian(record + 10, 2), size = (size_t)little_endian(record + 12, 4);
    size_t at = (size_t)little_endian(record + 16, 4);
    if (at > end || size > end - at || n * CENTRAL_BYTES > size)
        return err_set(err, ESP_EPARSE, NULL, "the archive's directory does not lie inside it");
    zip->entries = mem_array(n + 1, sizeof *zip->entries);
    if (!zip->entries)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an archive's directory");
    for (size_t i = 0; i < n; i++) {
        int rc = parse_entry(zip, &at, end, err, &zip->entries[i]);
        if (rc < 0) {
            zip_finish(zip);
            return rc;
        }
        zip->n++;
    }
    return 0;
}

void zip_finish(struct zip *zip) {
    free(zip->entries);
    zip->entries = NULL;
    zip->n = 0;
}

const struct zip_entry *zip_find(const struct zip *zip, const char *name, size_t name_len) {
    for (int i = 0; i < zip->n; i++)
        if (zip->entries[i].name_len == name_len &&
            memcmp(zip->entries[i].name, name, name_len) == 0)
            return &zip->entries[i];
    return NULL;
}

static int damaged(const struct zip_entry *entry, const char *how, struct err *err) {
    return err_set(err, ESP_EPARSE, NULL, "%.*s of the archive is damaged: %s",
                   (int)(entry->name_len < 100 ? entry->name_len : 100), entry->name, how);
}

/* Where the entry's stored bytes begin. */
static int find_data(const struct zip *zip, const struct zip_entry *entry, struct err *err,
                     const uint8_t **ret_data) {
    size_t at = entry->header;
    if (at > zip->len || zip->len - at < LOCAL_BYTES || !begins(zip->bytes + at, "PK\3\4"))
        return damaged(entry, "it does not lie inside it", err);
    at += LOCAL_BYTES + (size_t)little_endian(zip->bytes + at + 26, 2) +
          (size_t)little_endian(zip->bytes + at + 28, 2);
    if (at > zip->len || entry->stored > zip->len - at)
        return damaged(entry, "it ends beyond the archive", err);
    *ret_data = zip->bytes + at;
    return 0;
}

/* One call of inflate: both sizes are below 4 GiB. */
static bool inflate_all(const struct zip_entry *entry, const uint8_t *from, void *to) {
    z_stream z = {0};
    z.next_in = (Bytef *)(uintptr_t)from;
    z.avail_in = (uInt)entry->stored;
    z.next_out = to;
    z.avail_out = (uInt)entry->size;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return false;
    int rc = inflate(&z, Z_FINISH);
    bool whole = rc == Z_STREAM_END && z.total_out == entry->size;
    inflateEnd(&z);
    return whole;
}

static int unpack(const struct zip_entry *entry, const uint8_t *from, struct err *err,
                  void **ret_unpacked) {
    if (entry->size / DEFLATE_RATIO_MAX > entry->stored)
        return damaged(entry, "it cannot unpack to so many bytes", err);
    void *to = malloc(entry->size + 1);
    if (!to)
        return err_set(err, ESP_ENOMEM, NULL, "no memory to unpack %zu bytes", entry->size);
    if (!inflate_all(entry, from, to)) {
        free(to);
        return damaged(entry, "it does not unpack", err);
    }
    *ret_unpacked = to;
    return 0;
}

int zip_read(const struct zip *zip, const struct zip_entry *entry, size_t limit, struct err *err,
             const uint8_t **ret_data, void **ret_unpacked) {
    const uint8_t *data = NULL;
    void *unpacked = NULL;
    int rc = find_data(zip, entry, err, &data);
    if (rc < 0)
        return rc;
    if (entry->method == METHOD_STORED && entry->size != entry->stored)
        return damaged(entry, "its sizes differ", err);
    if (entry->size > limit)
        return err_set(err, ESP_ELIMIT, NULL, "%.*s of the archive has more than %zu bytes",
                       (int)(entry->name_len < 100 ? entry->name_len : 100), entry->name, limit);
    if (entry->method != METHOD_STORED && entry->method != METHOD_DEFLATE)
        return err_set(err, ESP_EUNSUPPORTED, NULL,
                       "the archive is packed by method %d; stored and deflated are read",
                       entry->method);
    if (entry->method == METHOD_DEFLATE) {
        rc = unpack(entry, data, err, &unpacked);
        data = unpacked;
    }
    if (rc == 0 && crc32_z(0, data, entry->size) != entry->crc)
        rc = damaged(entry, "its checksum is wrong", err);
    if (rc < 0) {
        free(unpacked);
        return rc;
    }
    *ret_data = data;
    *ret_unpacked = unpacked;
    return 0;
}
