#include "daemon/etag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "web/guard.h"

static cJSON *pick(const cJSON *doc, const char *const *members) {
    cJSON *picked = cJSON_CreateObject();
    for (; *members != NULL; members++) {
        const cJSON *member = cJSON_GetObjectItemCaseSensitive(doc, *members);
        if (member != NULL)
            cJSON_AddItemToObject(picked, *members, cJSON_Duplicate(member, true));
    }
    return picked;
}

int etag_state(const cJSON *doc, const char *const *members, struct err *err,
               char ret_state[HASH_TEXT]) {
    cJSON *picked = members != NULL ? pick(doc, members) : NULL;
    char *text = json_print(picked != NULL ? picked : doc);
    cJSON_Delete(picked);
    if (text == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    hash_text(text, strlen(text), ret_state);
    free(text);
    return 0;
}

void etag_make(const char *state, const char *whole, char ret_etag[ETAG_MAX]) {
    bool both = state[0] != '\0' && strcmp(state, whole) != 0;
    snprintf(ret_etag, ETAG_MAX, "\"%s%s%s\"", both ? state : "", both ? "." : "", whole);
}

bool etag_allows(const char *if_match, const char *state) {
    const size_t len = strlen(state);
    struct guard_etag tag;
    if (strcmp(if_match, "*") == 0)
        return true;
    while (guard_etag_next(&if_match, &tag))
        if (!tag.weak && tag.len >= len && memcmp(tag.text, state, len) == 0 &&
            (tag.len == len || strchr(".-", tag.text[len]) != NULL))
            return true;
    return false;
}
