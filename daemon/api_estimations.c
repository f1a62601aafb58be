/* Inherited, fine-tuned and independently trained subnets side by side. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/job_spec.h"
#include "daemon/store_supernets.h"
#include "daemon/supernet_single.h"
#include "search/sampling.h"
#include "supernet/train_config.h"

enum { NETWORKS_MIN = 2, NETWORKS_MAX = 100, NETWORKS_DEFAULT = 12 };
/* What is trained when the body does not say. */
static const double scratch_epochs = 4, fine_tune_epochs = 1,
                    fine_tune_rate = 0.1; /* of scratch's */

static int take_arch(void *list, const struct job_spec_arch *arch, struct err *err) {
    const cJSON *item;
    cJSON_ArrayForEach(item, (const cJSON *)list) {
        if (strcmp(item->valuestring, arch->text) == 0)
            return err_set(err, ESP_EINVAL, arch->pointer, "this network is named twice");
    }
    return cJSON_AddItemToArray(list, cJSON_CreateString(arch->text))
               ? 0
               : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

/* n subnets spread evenly over the range of MACs. */
static int choose_archs(const struct space *space, const cJSON *body, struct err *err,
                        cJSON *list) {
    int64_t n = NETWORKS_DEFAULT, seed = 1;
    char text[ARCH_TEXT_MAX];
    int r = json_int_opt(body, "", "n", NETWORKS_MIN, NETWORKS_MAX, err, &n);
    if (r == 0)
        r = json_int_opt(body, "", "seed", 0, INT64_C(1) << 53, err, &seed);
    struct arch *archs = r == 0 ? calloc((size_t)n, sizeof *archs) : NULL;
    if (r == 0 && archs == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r == 0)
        r = sample_spread(space, (uint64_t)seed, (int)n, err, archs);
    for (int i = 0; i < r; i++) {
        arch_format(space, &archs[i], text);
        cJSON_AddItemToArray(list, cJSON_CreateString(text));
    }
    free(archs);
    return r < 0 ? r : 0;
}

static int take_archs(const struct space *space, const cJSON *body, cJSON *spec, struct err *err) {
    const cJSON *archs = NULL;
    cJSON *list = cJSON_AddArrayToObject(spec, "archs");
    if (!json_has(body, "archs"))
        return choose_archs(space, body, err, list);
    if (json_has(body, "n") || json_has(body, "seed"))
        return err_set(err, ESP_EINVAL, json_has(body, "n") ? "/n" : "/seed",
                       "this chooses networks, and \"archs\" names them");
    int r = json_array(body, "", "archs", NETWORKS_MIN, NETWORKS_MAX, err, &archs);
    return r != 0 ? r : job_spec_each_arch(space, archs, list, take_arch, err);
}

/* How networks are trained, whole: what the body says; config is the default, whose rate holds also
 * where only the rest is given. */
static int take_training(const cJSON *body, const char *member, struct train_config config,
                         cJSON *spec, struct err *err) {
    const cJSON *given = NULL;
    char pointer[32];
    snprintf(pointer, sizeof(pointer), "/%s", member);
    if (json_has(body, member)) {
        double rate = config.learning_rate;
        int r = json_object(body, "", member, err, &given);
        if (r == 0)
            r = train_config_parse(given, pointer, err, &config);
        if (r != 0)
            return r;
        if (!json_has(given, "learning_rate"))
            config.learning_rate = rate;
        if (json_has(given, "arch") || json_has(given, "regime"))
            return err_set(err, ESP_EINVAL, pointer,
                           "each network is trained alone: neither arch nor regime are to choose");
        if (json_has(given, "validation_images"))
            return err_set(err, ESP_EINVAL, pointer,
                           "all networks are scored on all validation images");
    }
    config.validation_images = 0;
    return cJSON_AddItemToObject(spec, member, train_config_print(&config))
               ? 0
               : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

static int make_spec(struct api_call *call, cJSON *spec, struct err *err, cJSON **ret_supernet) {
    struct train_config scratch = train_config_default, fine_tune = train_config_default;
    struct job_spec_ref ref;
    struct space *space = NULL;
    scratch.epochs = scratch_epochs;
    fine_tune.epochs = fine_tune_epochs;
    fine_tune.learning_rate *= fine_tune_rate;
    int r = job_spec_read_ref(call->body, err, &ref);
    if (r == 0)
        r = job_spec_supernet(call->daemon, call->sql, &ref, spec, err, ret_supernet);
    if (r == 0)
        r = supernet_single_refuse(*ret_supernet, err);
    if (r == 0)
        r = job_spec_space(spec, err, &space);
    if (r == 0)
        r = take_archs(space, call->body, spec, err);
    if (r == 0)
        r = take_training(call->body, "scratch", scratch, spec, err);
    if (r == 0)
        r = take_training(call->body, "fine_tune", fine_tune, spec, err);
    space_destroy(space);
    return r;
}

static int create_estimation(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"supernet", "checkpoint", "dataset",   "archs", "n",
                                       "seed",     "scratch",    "fine_tune", NULL};
    cJSON *spec = cJSON_CreateObject(), *supernet = NULL;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = make_spec(call, spec, err, &supernet);
    if (r == 0)
        return api_start_with_archs(call, "estimate", spec, supernet, err);
    cJSON_Delete(spec);
    cJSON_Delete(supernet);
    return r;
}

static int list_estimations(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    cJSON *supernet = NULL;
    const char *ref = api_query(call, "supernet");
    int r = api_page(call, "job_", err, &page);
    if (r == 0 && ref != NULL)
        r = api_of_query(store_supernet_get(call->sql, ref, err, &supernet), "supernet", err);
    if (r == 0)
        r = store_estimation_list(call->sql,
                                  cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "id")), &page,
                                  err, &call->answer);
    cJSON_Delete(supernet);
    return r;
}

const struct api_route api_estimations[] = {
    {"GET", "/api/v1/estimations", "supernet,page_size,after", .read = list_estimations},
    {"POST", "/api/v1/estimations", NULL, .body_limit = 1 << 20, .write = create_estimation,
     .needs_room = true},
    {.method = NULL}};
