#include "daemon/import_draft.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/api_nouns.h"
#include "daemon/spaces.h"
#include "daemon/uploads.h"

static void draft_destroy(void *state) {
    struct import_draft *draft = state;
    if (draft == NULL)
        return;
    space_destroy(draft->space);
    free(draft->document);
    free(draft->path);
    cJSON_Delete(draft->dataset);
    free(draft);
}

static int find_space(const struct api_call *call, struct err *err, struct import_draft *draft) {
    int r = json_string(call->body, "", "space", 1, 63, err, &draft->space_name);
    if (r == 0)
        r = spaces_load(call->sql, draft->space_name, err, &draft->space, NULL);
    if (r == ESP_ENOTFOUND)
        err_set(err, r, "/space", "there is no space \"%.60s\"", draft->space_name);
    if (r == 0 && (draft->document = space_print(draft->space)) == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return r;
}

int import_draft_begin(struct api_call *call, const char *const *keys, struct err *err,
                       struct import_draft **ret_draft) {
    struct import_draft *draft = mem_array(1, sizeof(*draft));
    call->state = *ret_draft = draft;
    call->state_destroy = draft_destroy;
    if (draft == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = api_name(call->body, err, &draft->name);
    return r != 0 ? r : find_space(call, err, draft);
}

int import_draft_source(struct api_call *call, struct err *err, struct import_draft *draft) {
    const char *upload = NULL, *path;
    char uploaded[PATH_SIZE];
    int r = json_string_opt(call->body, "", "upload", 1, ID_MAX, err, &upload);
    if (r != 0)
        return r;
    if (upload == NULL) {
        r = json_string(call->body, "", "path", 1, PATH_SIZE - 1, err, &path);
        return r != 0 ? r : api_data_path(call->daemon, path, err, &draft->path);
    }
    if (json_has(call->body, "path"))
        return err_set(err, ESP_EINVAL, "/path", "give either path or upload");
    r = upload_path(call->daemon->uploads, upload, err, uploaded);
    if (r != 0 && err != NULL)
        snprintf(err->pointer, sizeof(err->pointer), "/upload");
    if (r == 0 && (draft->path = mem_strdup(uploaded)) == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return r;
}
