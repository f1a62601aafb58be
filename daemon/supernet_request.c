#include "daemon/supernet_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/job_spec.h"
#include "daemon/spaces.h"
#include "daemon/store_datasets.h"
#include "supernet/inherit.h"
#include "supernet/train_config.h"

int supernet_request_train(const struct space *space, const cJSON *body, struct err *err,
                           cJSON **ret_train) {
    struct train_config config;
    const cJSON *train;
    char id[HASH_TEXT], text[ARCH_TEXT_MAX];
    int r = json_object(body, "", "train", err, &train);
    if (r == 0)
        r = train_config_parse(train, "/train", err, &config);
    if (r == 0 && config.arch[0]) {
        r = job_spec_arch(space, config.arch, "/train/arch", err, text, id);
        if (r == 0)
            memcpy(config.arch, text, sizeof config.arch); /* the canonical text */
    }
    if (r != 0)
        return r;
    *ret_train = train_config_print(&config);
    return *ret_train != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

static const char *text_of(const cJSON *doc, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, key));
}

static int number_of(const cJSON *doc, const char *key) {
    return (int)cJSON_GetNumberValue(cJSON_GetObjectItem(doc, key));
}

/* --- what it begins with --- */

struct source {
    cJSON *supernet; /* as the API shows it; NULL: none */
    cJSON *spec;     /* supernet_dir, checkpoint, space, dataset */
};

static void source_finish(struct source *source) {
    cJSON_Delete(source->supernet);
    cJSON_Delete(source->spec);
}

/* Errors below /init_from. */
static int inside_init(int r, struct err *err) {
    char pointer[sizeof err->pointer];
    if (r == 0 || err == NULL)
        return r;
    snprintf(pointer, sizeof(pointer), "%s", err->pointer);
    snprintf(err->pointer, sizeof(err->pointer), "/init_from%.200s", pointer);
    return r;
}

static int find_source(const struct daemon *daemon, struct sql *sql, const cJSON *body,
                       struct err *err, struct source *source) {
    static const char *const keys[] = {"supernet", "checkpoint", NULL};
    const char *ref, *checkpoint = NULL;
    const cJSON *init;
    if (!json_has(body, "init_from"))
        return 0;
    int r = json_object(body, "", "init_from", err, &init);
    if (r == 0)
        r = json_only(init, "/init_from", keys, err);
    if (r == 0)
        r = json_string(init, "/init_from", "supernet", 1, 200, err, &ref);
    if (r == 0)
        r = json_string_opt(init, "/init_from", "checkpoint", 1, 200, err, &checkpoint);
    if (r != 0)
        return r;
    if ((source->spec = cJSON_CreateObject()) == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return inside_init(
        job_spec_weights(daemon, sql, ref, checkpoint, source->spec, err, &source->supernet), err);
}

static int keep_source(const cJSON *body, struct source *source, struct supernet_draft *draft,
                       struct err *err) {
    const cJSON *init = cJSON_GetObjectItemCaseSensitive(body, "init_from");
    if (source->supernet == NULL)
        return 0;
    draft->init = cJSON_CreateObject();
    draft->init_spec = cJSON_CreateObject();
    cJSON_AddStringToObject(draft->init, "supernet", text_of(source->supernet, "id"));
    const char *checkpoint = json_has(init, "checkpoint") ? text_of(init, "checkpoint")
                                                          : text_of(source->supernet, "checkpoint");
    if (checkpoint != NULL)
        cJSON_AddStringToObject(draft->init, "checkpoint", checkpoint);
    cJSON_AddStringToObject(draft->init_spec, "supernet_id", text_of(source->supernet, "id"));
    cJSON_AddStringToObject(draft->init_spec, "supernet_dir",
                            text_of(source->spec, "supernet_dir"));
    if (!cJSON_AddItemToObject(draft->init_spec, "checkpoint",
                               cJSON_DetachItemFromObjectCaseSensitive(source->spec, "checkpoint")))
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return 0;
}

/* --- space and data set: named, or those of the source --- */

static int choose_dataset(struct sql *sql, const cJSON *body, const struct source *source,
                          struct err *err, struct supernet_draft *draft) {
    const char *ref = source->supernet ? text_of(source->supernet, "dataset") : NULL;
    int r = 0;
    if (json_has(body, "dataset") || ref == NULL)
        r = json_string(body, "", "dataset", 1, 200, err, &ref);
    return r != 0 ? r : job_spec_find_dataset(sql, ref, err, &draft->dataset);
}

static int load_space(struct sql *sql, const cJSON *body, const struct source *source,
                      struct err *err, char name[64], struct space **ret_space) {
    const char *given;
    if (source->supernet != NULL && !json_has(body, "space")) {
        snprintf(name, 64, "%s", text_of(source->supernet, "space"));
        return job_spec_space(source->spec, err, ret_space);
    }
    int r = json_string(body, "", "space", 1, 63, err, &given);
    if (r != 0)
        return r;
    snprintf(name, 64, "%s", given);
    r = spaces_load(sql, given, err, ret_space, NULL);
    if (r == ESP_ENOTFOUND)
        err_set(err, r, "/space", "there is no space \"%.60s\"", given);
    return r;
}

/* The space with the data set's classes and channels. */
static int choose_space(struct sql *sql, const cJSON *body, const struct source *source,
                        struct err *err, struct supernet_draft *draft) {
    struct space *space = NULL, *from = NULL;
    int r = load_space(sql, body, source, err, draft->space_name, &space);
    if (r == 0)
        r = space_adapt(space, number_of(draft->dataset, "n_classes"),
                        number_of(draft->dataset, "channels"), err, &draft->space);
    if (r == 0 && source->supernet != NULL)
        r = job_spec_space(source->spec, err, &from);
    if (r == 0 && from != NULL)
        r = supernet_can_inherit(from, draft->space, err);
    space_destroy(space);
    space_destroy(from);
    return r;
}

void supernet_draft_destroy(void *state) {
    struct supernet_draft *draft = state;
    if (draft == NULL)
        return;
    space_destroy(draft->space);
    free(draft->document);
    cJSON_Delete(draft->dataset);
    cJSON_Delete(draft->train);
    cJSON_Delete(draft->init);
    cJSON_Delete(draft->init_spec);
    free(draft);
}

static int fill(const struct daemon *daemon, struct sql *sql, const cJSON *body, struct err *err,
                struct supernet_draft *draft) {
    struct source source = {NULL, NULL};
    int r = find_source(daemon, sql, body, err, &source);
    if (r == 0)
        r = choose_dataset(sql, body, &source, err, draft);
    if (r == 0)
        r = choose_space(sql, body, &source, err, draft);
    if (r == 0)
        r = job_spec_check_size(draft->dataset, draft->space, err);
    if (r == 0)
        r = supernet_request_train(draft->space, body, err, &draft->train);
    if (r == 0)
        r = keep_source(body, &source, draft, err);
    if (r == 0 && (draft->document = space_print(draft->space)) == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    source_finish(&source);
    return r;
}

int supernet_request_make(const struct daemon *daemon, struct sql *sql, const cJSON *body,
                          struct err *err, struct supernet_draft **ret_draft) {
    static const char *const keys[] = {"name", "space", "dataset", "train", "init_from", NULL};
    const char *name;
    struct supernet_draft *draft = calloc(1, sizeof(*draft));
    int r = draft != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r == 0)
        r = json_only(body, "", keys, err);
    if (r == 0)
        r = api_name(body, err, &name);
    if (r == 0)
        r = fill(daemon, sql, body, err, draft);
    if (r != 0) {
        supernet_draft_destroy(draft);
        return r;
    }
    *ret_draft = draft;
    return 0;
}
