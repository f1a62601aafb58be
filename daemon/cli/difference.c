#include "daemon/cli/difference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { POINTER_MAX = 512 };

static void add_row(cJSON *rows, const char *at, const cJSON *have, const cJSON *want) {
    if (cJSON_GetArraySize(rows) >= DIFFERENCES_MAX)
        return;
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "pointer", at);
    if (have)
        cJSON_AddItemToObject(row, "have", cJSON_Duplicate(have, true));
    if (want)
        cJSON_AddItemToObject(row, "want", cJSON_Duplicate(want, true));
    cJSON_AddItemToArray(rows, row);
}

/* at/key, with ~ and / of the key escaped. */
static void extend(const char *at, const char *key, char ret[POINTER_MAX]) {
    size_t len = (size_t)snprintf(ret, POINTER_MAX, "%s/", at);
    for (; *key && len < POINTER_MAX - 3; key++) {
        if (*key == '~' || *key == '/') {
            ret[len++] = '~';
            ret[len++] = *key == '~' ? '0' : '1';
        } else {
            ret[len++] = *key;
        }
    }
    ret[len < POINTER_MAX ? len : POINTER_MAX - 1] = 0;
}

static void add_objects(cJSON *rows, const char *at, const cJSON *have, const cJSON *want) {
    const cJSON *item = NULL;
    char pointer[POINTER_MAX];
    cJSON_ArrayForEach(item, want) {
        extend(at, item->string, pointer);
        difference_add(rows, pointer, cJSON_GetObjectItemCaseSensitive(have, item->string), item);
    }
    cJSON_ArrayForEach(item, have) {
        extend(at, item->string, pointer);
        if (!cJSON_GetObjectItemCaseSensitive(want, item->string))
            difference_add(rows, pointer, item, NULL);
    }
}

static void add_arrays(cJSON *rows, const char *at, const cJSON *have, const cJSON *want) {
    const cJSON *h = have->child, *w = want->child;
    char pointer[POINTER_MAX], key[16];
    for (int i = 0; h || w; i++) {
        snprintf(key, sizeof(key), "%d", i);
        extend(at, key, pointer);
        difference_add(rows, pointer, h, w);
        h = h ? h->next : NULL;
        w = w ? w->next : NULL;
    }
}

static bool is_nothing(const cJSON *item) {
    return !item || cJSON_IsNull(item) ||
           ((cJSON_IsArray(item) || cJSON_IsObject(item)) && !item->child);
}

void difference_add(cJSON *rows, const char *at, const cJSON *have, const cJSON *want) {
    bool same = is_nothing(have) && is_nothing(want);
    if (have && want && cJSON_IsObject(have) && cJSON_IsObject(want))
        add_objects(rows, at, have, want);
    else if (have && want && cJSON_IsArray(have) && cJSON_IsArray(want))
        add_arrays(rows, at, have, want);
    else if (!same && !(have && want && cJSON_Compare(have, want, true)))
        add_row(rows, at, have, want);
}

static void print_value(FILE *file, const cJSON *value) {
    char *text = value ? json_print(value) : NULL;
    fprintf(file, "%.200s", text ? text : "nothing");
    free(text);
}

void difference_print(FILE *file, const cJSON *row) {
    fprintf(file, "  %s: ", cli_text(row, "pointer"));
    print_value(file, cli_item(row, "have"));
    fputs(" there, ", file);
    print_value(file, cli_item(row, "want"));
    fputs(" in the file\n", file);
}
