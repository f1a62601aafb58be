/* Entries of a zip archive in memory: stored or deflated, not encrypted, below 4 GiB, each entry's
 * CRC-32 checked. Untrusted input. Source: PKWARE's APPNOTE.TXT 6.3, sections 4.3 and 4.4. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { ZIP_ENTRIES_MAX = 65535 };

struct zip_entry {
    const char *name; /* in the archive, not NUL-terminated */
    size_t name_len;
    int method;
    uint32_t crc;
    size_t stored, size, header; /* bytes in the archive, unpacked; place of the local header */
};

struct zip {
    const uint8_t *bytes; /* borrowed */
    size_t len;
    int n;
    struct zip_entry *entries;
};

bool zip_is(const void *bytes, size_t len); /* begins like a zip archive */
/* Reads the central directory; to be ended by zip_finish, unless it fails. Errors: ESP_EPARSE,
 * ESP_EUNSUPPORTED, ESP_ENOMEM. */
int zip_open(struct zip *zip, const void *bytes, size_t len, struct err *err);
void zip_finish(struct zip *zip); /* takes a zeroed one too */
/* NULL if there is none. */
const struct zip_entry *zip_find(const struct zip *zip, const char *name, size_t name_len);
/* The entry's bytes: inside the archive when it is stored, else *ret_unpacked, which the caller
 * frees (NULL when nothing was unpacked). No entry unpacks to more than limit bytes. Errors:
 * ESP_EPARSE (damaged), ESP_EUNSUPPORTED, ESP_ELIMIT, ESP_ENOMEM. */
int zip_read(const struct zip *zip, const struct zip_entry *entry, size_t limit, struct err *err,
             const uint8_t **ret_data, void **ret_unpacked);
