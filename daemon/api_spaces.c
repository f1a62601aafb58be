#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/describe.h"
#include "daemon/models.h"
#include "daemon/spaces.h"
#include "daemon/store_energy.h"
#include "daemon/store_sql.h"
#include "daemon/store_supernets.h"

enum { SPACE_BODY_MAX = 256 << 10 };

static int describe_named(struct api_call *call, const char *name, bool definition, struct err *err,
                          cJSON **ret_doc) {
    struct space *space = NULL;
    bool builtin;
    int r = spaces_load(call->sql, name, err, &space, &builtin);
    if (r == 0)
        r = describe_space(
            space, (struct describe_space_options){.builtin = builtin, .definition = definition},
            err, ret_doc);
    space_destroy(space);
    return r;
}

/* Built-in ones, then those of people: ["name"]. */
static int all_names(struct sql *sql, struct err *err, cJSON **ret_names) {
    cJSON *rows = NULL, *names = cJSON_CreateArray();
    const cJSON *row;
    int r = store_space_names(sql, err, &rows);
    for (int i = 0; space_builtin_names[i] != NULL; i++)
        cJSON_AddItemToArray(names, cJSON_CreateString(space_builtin_names[i]));
    cJSON_ArrayForEach(row, rows)
        cJSON_AddItemToArray(names, cJSON_Duplicate(cJSON_GetObjectItem(row, "name"), false));
    cJSON_Delete(rows);
    if (r == 0)
        *ret_names = names;
    else
        cJSON_Delete(names);
    return r;
}

/* A cursor is a name behind this, so that garbage is told from a space that was deleted since. */
static const char cursor_word[] = "name:";

/* Whether name stands at the cursor's place or before it; people's names are in order. */
static bool is_passed(const char *name, const char *after) {
    return space_builtin_text(name) != NULL || strcmp(name, after) <= 0;
}

/* The name behind the cursor, or the first; ESP_EPARSE when it is none of this list. */
static int first_of_page(const cJSON *names, const char *cursor, struct err *err,
                         const cJSON **ret_first) {
    const cJSON *name = names->child;
    if (cursor != NULL && !id_has_prefix(cursor, cursor_word))
        return api_no_cursor(cursor, err);
    const char *after = cursor != NULL ? cursor + strlen(cursor_word) : NULL;
    if (after != NULL && space_builtin_text(after) != NULL) {
        while (strcmp(name->valuestring, after) != 0) /* built-in ones are all there */
            name = name->next;
        name = name->next;
    } else {
        while (after != NULL && name != NULL && is_passed(name->valuestring, after))
            name = name->next;
    }
    *ret_first = name;
    return 0;
}

static int list_spaces(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    cJSON *names = NULL, *doc = cJSON_CreateObject(), *items = cJSON_AddArrayToObject(doc, "items");
    const cJSON *name = NULL;
    int r = api_page_sized(call, err, &page);
    if (r == 0)
        r = all_names(call->sql, err, &names);
    if (r == 0)
        r = first_of_page(names, page.after, err, &name);
    for (; r == 0 && name != NULL && page.size > 0; page.size--, name = name->next) {
        cJSON *item = NULL;
        r = describe_named(call, name->valuestring, false, err, &item);
        cJSON_AddItemToArray(items, item);
    }
    if (r == 0 && name != NULL) {
        char cursor[sizeof(cursor_word) + API_NAME_MAX];
        snprintf(cursor, sizeof(cursor), "%s%s", cursor_word, name->prev->valuestring);
        cJSON_AddStringToObject(doc, "next", cursor);
    } else {
        cJSON_AddNullToObject(doc, "next");
    }
    cJSON_Delete(names);
    if (r == 0)
        call->answer = doc;
    else
        cJSON_Delete(doc);
    return r;
}

static int get_space(struct api_call *call, struct err *err) {
    return describe_named(call, call->id, true, err, &call->answer);
}

static void destroy_space(void *space) {
    space_destroy(space);
}

static int check_space(struct api_call *call, struct err *err) {
    struct space *space = NULL;
    const char *name;
    int r = api_check_dry_run(call, err);
    if (r == 0)
        r = api_name(call->body, err, &name);
    char *text = r == 0 ? json_print(call->body) : NULL;
    if (r == 0)
        r = text == NULL ? err_set(err, ESP_ENOMEM, NULL, "out of memory")
                         : space_parse(text, strlen(text), err, &space);
    free(text);
    call->state = space;
    call->state_destroy = destroy_space;
    if (r == 0 && space_builtin_text(space->name) != NULL)
        r = err_set(err, ESP_ECONFLICT, "/name", "there is a built-in space \"%s\"", space->name);
    if (r == 0)
        r = describe_space(space, (struct describe_space_options){.definition = true}, err,
                           &call->answer);
    return r;
}

/* Whether the name is still free. */
static int try_space(struct api_call *call, const struct space *space, struct err *err) {
    struct space *other = NULL;
    struct err said = {0};
    int r = spaces_load(call->sql, space->name, &said, &other, NULL);
    space_destroy(other);
    if (r == 0)
        return err_set(err, ESP_ECONFLICT, "/name", "there is a space \"%s\" already", space->name);
    if (r == ESP_ENOTFOUND)
        return 0;
    *err = said;
    return r;
}

static int create_space(struct api_call *call, struct err *err) {
    const struct space *space = call->state;
    if (api_is_dry(call))
        return try_space(call, space, err);
    char *document = space_print(space);
    int r = document == NULL
                ? err_set(err, ESP_ENOMEM, NULL, "out of memory")
                : store_space_create(call->tx, space->name, space->fingerprint, document, err);
    free(document);
    call->status = 201;
    return r;
}

static int delete_space(struct api_call *call, struct err *err) {
    cJSON *users = NULL;
    if (space_builtin_text(call->id) != NULL)
        return err_set(err, ESP_ECONFLICT, NULL, "a built-in space cannot be deleted");
    int r = store_space_delete(call->tx, call->id, err, &users);
    api_problem_users(call, users, err);
    return r;
}

static int sample(struct api_call *call, const struct space *space,
                  struct describe_sample_options options, const char *profile, struct err *err) {
    struct profile_latency latency = {.table = NULL};
    int r = 0;
    if (profile != NULL)
        r = profile_latency_load(call->sql, profile, space->fingerprint, err, &latency);
    if (r != 0) {
        if (r == ESP_ENOTFOUND)
            err_set(err, r, "/profile", "there is no profile \"%.60s\"", profile);
        return r;
    }
    r = describe_sample(space, latency.table, latency.table != NULL ? &latency.calibration : NULL,
                        options, err, &call->answer);
    profile_latency_finish(&latency);
    return r;
}

static int sample_space(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"n", "seed", "profile", NULL};
    struct space *space = NULL;
    int64_t n = 0, seed = 1;
    const char *profile = NULL;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_int(call->body, "", "n", 1, 10000, err, &n);
    if (r == 0)
        r = json_int_opt(call->body, "", "seed", 0, INT64_C(1) << 53, err, &seed);
    if (r == 0)
        r = json_string_opt(call->body, "", "profile", 1, 200, err, &profile);
    if (r == 0)
        r = spaces_load(call->sql, call->id, err, &space, NULL);
    if (r == 0)
        r = sample(call, space,
                   (struct describe_sample_options){.n = (int)n, .seed = (uint64_t)seed}, profile,
                   err);
    space_destroy(space);
    return r;
}

const struct api_route api_spaces[] = {
    {"GET", "/api/v1/spaces", "page_size,after", .read = list_spaces},
    {"POST", "/api/v1/spaces", "dry_run", .body_limit = SPACE_BODY_MAX, .read = check_space,
     .write = create_space},
    {"GET", "/api/v1/spaces/{name}", NULL, .read = get_space},
    {"DELETE", "/api/v1/spaces/{name}", NULL, .write = delete_space},
    {"POST", "/api/v1/spaces/{name}/sample", NULL, .flags = WEB_LOOKS, .scope = API_SCOPE_READ,
     .read = sample_space},
    {.method = NULL}};

/* By a profile, or else by an imported latency model. */
static int load_latency(struct api_call *call, const struct space *space, const struct arch *arch,
                        const char *profile, struct err *err, struct profile_latency *ret) {
    struct err said = {0};
    int r = profile_latency_load(call->sql, profile, space->fingerprint, err, ret);
    if (r != ESP_ENOTFOUND)
        return r;
    int code = model_table_load(call->sql, profile, space, space->resolutions[arch->resolution],
                                &said, &ret->table);
    if (code != 0 && code != ESP_ENOTFOUND && err != NULL)
        *err = said;
    return code == ESP_ENOTFOUND ? r : code;
}

static int describe(struct api_call *call, const struct space *space, const char *text,
                    struct err *err) {
    struct profile_latency latency = {.table = NULL};
    const char *profile = api_query(call, "profile");
    struct describe_profile known = {.table = NULL};
    struct energy_fit prices;
    cJSON *prices_doc = NULL;
    struct arch arch;
    int r = api_of_query(arch_parse(space, text, strlen(text), err, &arch), "arch", err);
    if (r == 0 && profile != NULL)
        r = api_of_query(load_latency(call, space, &arch, profile, err, &latency), "profile", err);
    if (r == 0 && latency.id[0] != '\0') /* no imported model */
        r = store_energy_in_force(call->sql, latency.id, err, &prices_doc, &prices);
    if (prices_doc != NULL) {
        known.prices = &prices;
        known.prices_id = cJSON_GetStringValue(cJSON_GetObjectItem(prices_doc, "id"));
    }
    known.table = latency.table;
    known.calibration = latency.table != NULL ? &latency.calibration : NULL;
    if (r == 0)
        r = describe_arch(space, &arch, &known, err, &call->answer);
    cJSON_Delete(prices_doc);
    profile_latency_finish(&latency);
    return r;
}

static int get_arch(struct api_call *call, struct err *err) {
    const char *name = api_query(call, "space"), *text = api_query(call, "arch");
    struct space *space = NULL;
    if (name == NULL || text == NULL)
        return err_set(err, ESP_EINVAL, name == NULL ? "?space" : "?arch",
                       "the parameters space and arch are needed");
    int r = api_of_query(spaces_load(call->sql, name, err, &space, NULL), "space", err);
    if (r == 0)
        r = describe(call, space, text, err);
    space_destroy(space);
    return r;
}

const struct api_route api_archs[] = {
    {"GET", "/api/v1/archs", "space,arch,profile", .read = get_arch}, {.method = NULL}};
