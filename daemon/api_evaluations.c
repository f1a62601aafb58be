#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/job_spec.h"
#include "daemon/store_pins.h"
#include "daemon/store_supernets.h"
#include "daemon/supernet_single.h"

enum { ARCHS_MAX = 10000 };
static const char *const splits[] = {"validation", "test", NULL};

struct wanted {
    struct sql *sql;
    const char *supernet; /* id */
    bool test;
    char only[ARCH_TEXT_MAX]; /* that the supernet was trained for alone; "": any will do */
    cJSON *list;              /* of the spec */
};

/* Whoever chooses networks by the test images has none left to judge them by. */
static int take_arch(void *context, const struct job_spec_arch *arch, struct err *err) {
    const struct wanted *wanted = context;
    bool kept = true;
    if (wanted->only[0] != '\0' && strcmp(arch->text, wanted->only) != 0)
        return err_set(err, ESP_ECONFLICT, arch->pointer,
                       "the supernet was last trained for one arch alone (regime single): its "
                       "other subnets are not worth scoring, only %s is",
                       wanted->only);
    int r =
        wanted->test ? store_arch_is_kept(wanted->sql, wanted->supernet, arch->id, err, &kept) : 0;
    if (r == 0 && !kept)
        r = err_set(err, ESP_ECONFLICT, arch->pointer,
                    "the test images are for networks that are kept: pin this one first (espalier "
                    "arch pin, or POST /supernets/{id}/pins), or export it");
    if (r == 0)
        cJSON_AddItemToArray(wanted->list, cJSON_CreateString(arch->text));
    return r;
}

/* The archs of the body in canonical form, in their order; where it names none, the only one. */
static int take_archs(const cJSON *body, const struct space *space, struct wanted *wanted,
                      cJSON *spec, struct err *err) {
    const cJSON *archs = NULL;
    const char *only = wanted->only;
    int r = 0;
    wanted->list = cJSON_AddArrayToObject(spec, "archs");
    if (json_has(body, "archs"))
        r = json_array(body, "", "archs", 0, ARCHS_MAX, err, &archs);
    cJSON *trained = cJSON_CreateStringArray(&only, only[0] != '\0');
    if (r == 0)
        r = job_spec_each_arch(space, cJSON_GetArraySize(archs) > 0 ? archs : trained, wanted,
                               take_arch, err);
    cJSON_Delete(trained);
    return r;
}

/* Of a supernet that was trained for one arch alone, its newest weights are of that one. Who names
 * an older checkpoint may have one from before. */
static int narrow(const struct job_spec_ref *ref, const cJSON *supernet, const struct space *space,
                  bool report, struct wanted *wanted, struct err *err) {
    const char *newest = cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "checkpoint"));
    if (ref->checkpoint != NULL && newest != NULL && strcmp(ref->checkpoint, newest) != 0)
        return 0;
    if (!supernet_single_arch(supernet, space, wanted->only) || !report)
        return 0;
    return err_set(err, ESP_ECONFLICT, "/report",
                   "the supernet was last trained for one arch alone (regime single), and a report "
                   "is of others too: leave it out, then %s is scored",
                   wanted->only);
}

static int make_spec(struct api_call *call, cJSON *spec, struct err *err, cJSON **ret_supernet) {
    struct job_spec_ref ref;
    struct wanted wanted = {.sql = call->sql};
    struct space *space = NULL;
    int split = 0;
    bool report = false, recalibrate = true;
    int r = job_spec_read_ref(call->body, err, &ref);
    if (r == 0 && json_has(call->body, "split"))
        r = json_enum(call->body, "", "split", splits, err, &split);
    if (r == 0)
        r = json_bool_opt(call->body, "", "report", err, &report);
    if (r == 0)
        r = json_bool_opt(call->body, "", "recalibrate", err, &recalibrate);
    if (r == 0 && report && !recalibrate)
        r = err_set(err, ESP_EINVAL, "/recalibrate", "a report scores each subnet both ways");
    if (r == 0)
        r = job_spec_supernet(call->daemon, call->sql, &ref, spec, err, ret_supernet);
    if (r == 0)
        r = job_spec_space(spec, err, &space);
    if (r == 0)
        r = narrow(&ref, *ret_supernet, space, report, &wanted, err);
    wanted.supernet = cJSON_GetStringValue(cJSON_GetObjectItem(*ret_supernet, "id"));
    wanted.test = strcmp(splits[split], "test") == 0;
    if (r == 0)
        r = take_archs(call->body, space, &wanted, spec, err);
    if (r == 0 && !report && cJSON_GetArraySize(cJSON_GetObjectItem(spec, "archs")) == 0)
        r = err_set(err, ESP_EINVAL, "/archs", "name archs to evaluate, or ask for a report");
    cJSON_DeleteItemFromObject(spec, "space"); /* the checkpoint has it */
    cJSON_AddStringToObject(spec, "split", splits[split]);
    cJSON_AddBoolToObject(spec, "report", report);
    cJSON_AddBoolToObject(spec, "recalibrate", recalibrate);
    space_destroy(space);
    return r;
}

static int create_evaluation(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"supernet", "checkpoint", "dataset",     "archs",
                                       "split",    "report",     "recalibrate", NULL};
    cJSON *spec = cJSON_CreateObject(), *supernet = NULL;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = make_spec(call, spec, err, &supernet);
    if (r == 0)
        return api_start_with_archs(call, "evaluate", spec, supernet, err);
    cJSON_Delete(spec);
    cJSON_Delete(supernet);
    return r;
}

static int list_evaluations(struct api_call *call, struct err *err) {
    struct evaluation_filter filter = {.arch_id = api_query(call, "arch_id"),
                                       .split = api_query(call, "split")};
    struct sql_page_args page;
    cJSON *supernet = NULL;
    const char *ref = api_query(call, "supernet");
    int r = api_page_numbered(call, err, &page);
    if (r == 0)
        r = api_query_word(call, "split", splits, err);
    if (r == 0 && ref != NULL)
        r = api_of_query(store_supernet_get(call->sql, ref, err, &supernet), "supernet", err);
    filter.supernet = cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "id"));
    if (r == 0)
        r = store_evaluation_list(call->sql, &filter, &page, err, &call->answer);
    cJSON_Delete(supernet);
    return r;
}

const struct api_route api_evaluations[] = {
    {"GET", "/api/v1/evaluations", "supernet,arch_id,split,page_size,after",
     .read = list_evaluations},
    {"POST", "/api/v1/evaluations", NULL, .body_limit = 4 << 20, .write = create_evaluation,
     .needs_room = true},
    {.method = NULL}};
