#include "daemon/cli/documents.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"

static int read_input(struct err *err, char **ret_text, size_t *ret_len) {
    struct buf text;
    char piece[8192];
    size_t n;

    buf_init(&text, DOCUMENTS_BYTES_MAX);
    while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
        buf_append(&text, piece, n);
    int rc = text.error;
    *ret_len = text.len;
    if (rc == 0 && ferror(stdin))
        rc = err_set(err, ESP_EIO, NULL, "cannot be read: %s", strerror(errno));
    else if (rc != 0)
        err_set(err, rc, NULL, "more than %d MiB are not taken", DOCUMENTS_BYTES_MAX >> 20);
    if (rc == 0) {
        buf_append(&text, "", 1);
        *ret_text = buf_take(&text);
    }
    buf_finish(&text);
    return rc;
}

/* Where the document that begins at text ends: behind the bracket that closes its first. What is
 * wrong within is found when it is parsed. */
static size_t document_end(const char *text, size_t len) {
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!quoted && (text[i] == '}' || text[i] == ']') && --depth <= 0)
            return i + 1;
    }
    return len;
}

static int add(cJSON *items, cJSON *places, cJSON *item, const char *place, struct err *err) {
    if (!cJSON_IsObject(item) || cJSON_GetArraySize(items) == DOCUMENTS_MAX) {
        int code = cJSON_IsObject(item) ? ESP_ELIMIT : ESP_EPARSE;
        cJSON_Delete(item);
        return code == ESP_ELIMIT
                   ? err_set(err, code, NULL, "more than %d things", DOCUMENTS_MAX)
                   : err_set(err, code, NULL, "%s%sis no object", place, place[0] ? " " : "it ");
    }
    cJSON_AddItemToArray(items, item);
    cJSON_AddItemToArray(places, cJSON_CreateString(place));
    return 0;
}

/* number: of the document, 0 when it is the only one. */
static int take(cJSON *doc, int number, cJSON *items, cJSON *places, struct err *err) {
    char place[64] = "";
    int rc = 0;
    if (number > 0)
        snprintf(place, sizeof(place), "document %d", number);
    if (!cJSON_IsArray(doc))
        return add(items, places, doc, place, err);
    for (int i = 0; rc == 0 && doc->child; i++) {
        char at[96];
        snprintf(at, sizeof(at), "%s%s/%d", place, number > 0 ? ", " : "", i);
        rc = add(items, places, cJSON_DetachItemViaPointer(doc, doc->child), at, err);
    }
    cJSON_Delete(doc);
    return rc;
}

static size_t skip_blanks(const char *text, size_t at, size_t len) {
    while (at < len && strchr(" \t\r\n", text[at]) && text[at])
        at++;
    return at;
}

static int parse(const char *text, size_t len, struct err *err, cJSON *items, cJSON *places) {
    int rc = 0;
    size_t at = skip_blanks(text, 0, len);
    bool only = skip_blanks(text, at + document_end(text + at, len - at), len) == len;

    for (int number = 1; rc == 0 && at < len; number++) {
        size_t end = at + document_end(text + at, len - at);
        cJSON *doc = NULL;
        rc = json_parse(text + at, end - at, &json_limits_default, err, &doc);
        if (rc != 0 && !only)
            err_prefix(err, rc, "document %d, from byte %zu on", number, at);
        if (rc == 0)
            rc = take(doc, only ? 0 : number, items, places, err);
        at = skip_blanks(text, end, len);
    }
    if (rc == 0 && cJSON_GetArraySize(items) == 0)
        rc = err_set(err, ESP_EPARSE, NULL, "there is nothing in it");
    return rc;
}

int documents_read(const char *path, struct err *err, cJSON **ret_items, cJSON **ret_places) {
    bool input = !strcmp(path, "-");
    cJSON *items = cJSON_CreateArray(), *places = cJSON_CreateArray();
    char *text = NULL;
    size_t len = 0;
    int rc = input ? read_input(err, &text, &len)
                   : file_read(path, DOCUMENTS_BYTES_MAX, err, &text, &len);

    if (rc == 0)
        rc = parse(text, len, err, items, places);
    free(text);
    if (rc == 0) {
        *ret_items = items;
        *ret_places = places;
        return 0;
    }
    err_prefix(err, rc, "%s", input ? "standard input" : path);
    cJSON_Delete(items);
    cJSON_Delete(places);
    return rc;
}
