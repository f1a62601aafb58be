#include "daemon/job/search_spec.h"

#include "base/json.h"
#include "base/memory.h"
#include "daemon/job/spec.h"
#include "space/subspace.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INITIAL_MAX = 10000, MEASURE_MAX = 1000, WARM_MAX = 10000, MEASUREMENTS_MAX = 10000 };
_Static_assert(SEARCH_EVALUATIONS_MAX + INITIAL_MAX + WARM_MAX <= ARCHIVE_MAX,
               "a search has room for what it begins with");
static const char latency_prefix[] = "latency_us:";

void search_spec_finish(struct search_spec *spec) {
    for (int i = 0; i < spec->n_profiles; i++) {
        latency_table_destroy(spec->profiles[i].table);
        latency_sections_finish(&spec->profiles[i].sections);
        calibration_finish(&spec->profiles[i].calibration);
        free(spec->profiles[i].known);
    }
    for (int i = 0; i < spec->fleet.n; i++)
        latency_table_destroy(spec->fleet.tables[i]);
    free(spec->warm);
    space_destroy(spec->space);
    space_destroy(spec->whole);
    *spec = (struct search_spec){0};
}

static int read_int(const cJSON *body, const char *key, int64_t min, int64_t max, struct err *err,
                    int *ret) {
    int64_t value = *ret;
    int rc = json_int_opt(body, "", key, min, max, err, &value);
    if (rc == 0)
        *ret = (int)value;
    return rc;
}

static int read_numbers(struct search_spec *spec, const cJSON *body, struct err *err) {
    spec->evaluations = 4000;
    spec->seed = 1;
    spec->population = 64;
    spec->initial_evaluations = 64;
    spec->measure_front = 24;
    spec->calibration_nets = 12;
    spec->rounds = 1;
    int rc =
        json_int_opt(body, "", "evaluations", 1, SEARCH_EVALUATIONS_MAX, err, &spec->evaluations);
    if (rc == 0)
        rc = json_real_opt(body, "", "time_budget_s", 0.01, SEARCH_SECONDS_MAX, err,
                           &spec->time_budget_s);
    if (rc == 0 && spec->time_budget_s > 0)
        spec->evaluations = 0;
    if (rc == 0)
        rc = json_int_opt(body, "", "seed", 0, INT64_C(1) << 53, err, &spec->seed);
    if (rc == 0)
        rc = json_int_opt(body, "", "patience", 1, SEARCH_EVALUATIONS_MAX, err, &spec->patience);
    if (rc == 0)
        rc = read_int(body, "population", 4, STRATEGY_POPULATION_MAX, err, &spec->population);
    if (rc == 0)
        rc = read_int(body, "initial_evaluations", 0, INITIAL_MAX, err, &spec->initial_evaluations);
    if (rc == 0)
        rc = read_int(body, "measure_front", 0, MEASURE_MAX, err, &spec->measure_front);
    if (rc == 0)
        rc = read_int(body, "calibration_nets", 0, MEASURE_MAX, err, &spec->calibration_nets);
    if (rc == 0)
        rc = read_int(body, "rounds", 1, SEARCH_ROUNDS_MAX, err, &spec->rounds);
    if (rc == 0)
        rc = read_int(body, "measurements", 2, MEASUREMENTS_MAX, err, &spec->measurements);
    return rc;
}

static int read_choices(struct search_spec *spec, const cJSON *body, struct err *err) {
    static const char *const accuracies[] = {"predicted", "evaluated", NULL};
    static const char *const choices[] = {"spread", "useful", NULL};
    int accuracy = 0, choice = 0; /* specs of before there was a choice are of spread ones */
    spec->strategy = "nsga2";
    int rc = json_string_opt(body, "", "strategy", 1, 64, err, &spec->strategy);
    if (rc == 0)
        rc = json_string_opt(body, "", "baseline", 1, 64, err, &spec->baseline);
    spec->measure_method = "full";
    if (rc == 0)
        rc = json_string_opt(body, "", "method", 1, 31, err, &spec->measure_method);
    if (rc == 0 && cJSON_IsString(cJSON_GetObjectItemCaseSensitive(body, "accuracy")))
        rc = json_enum(body, "", "accuracy", accuracies, err, &accuracy);
    if (rc == 0 && json_has(body, "calibration_choice"))
        rc = json_enum(body, "", "calibration_choice", choices, err, &choice);
    spec->calibration_useful = choice == 1;
    spec->accuracy_predicted = accuracy == 0;
    return rc;
}

/* What every candidate has, whatever the search asks for. */
static int add_common(struct goals *goals, struct err *err) {
    static const char *const common[] = {
        "top1",        "macs", "params", "peak_activation_bytes", "peak_simple_bytes",
        "model_bytes", NULL};
    int rc = 0;
    for (int i = 0; common[i] && rc >= 0; i++)
        rc = goals_add_metric(goals, common[i], err);
    return rc < 0 ? rc : 0;
}

static int read_body(struct search_spec *spec, const cJSON *body, struct err *err) {
    static const char *const known[] = {"top1",
                                        "loss",
                                        "latency_us",
                                        "macs",
                                        "params",
                                        "peak_activation_bytes",
                                        "peak_simple_bytes",
                                        "model_bytes",
                                        "traffic_bytes",
                                        "energy_uj",
                                        NULL};
    int rc = goals_from_json(body, "", known, err, &spec->goals);
    if (rc == 0)
        rc = add_common(&spec->goals, err);
    if (rc == 0)
        rc = read_numbers(spec, body, err);
    if (rc == 0)
        rc = read_choices(spec, body, err);
    return rc;
}

static int read_known_network(const struct space *space, const cJSON *item, const char *at,
                              struct err *err, struct search_known *known) {
    const char *text;
    int64_t session;
    int rc = json_string(item, at, "arch", 1, ARCH_TEXT_MAX - 1, err, &text);
    if (rc == 0 && (rc = arch_parse(space, text, strlen(text), err, &known->arch)) != 0)
        snprintf(err->pointer, sizeof err->pointer, "%.100s/arch", at);
    if (rc == 0)
        rc = json_real(item, at, "measured_us", 1e-3, 1e12, err, &known->measured_us);
    if (rc == 0)
        rc = json_real(item, at, "repeat_sd_us", 0, 1e12, err, &known->repeat_sd_us);
    if (rc == 0)
        rc = json_int(item, at, "session", -SEARCH_KNOWN_MAX, -1, err, &session);
    if (rc == 0)
        known->session = (int)session;
    return rc == 0 ? json_bool_opt(item, at, "representative", err, &known->representative) : rc;
}

/* Specs of before there were any have none. */
static int read_known(const struct space *space, const cJSON *profile, const char *at,
                      struct err *err, struct search_profile *ret) {
    const cJSON *list = NULL, *item;
    char pointer[160];
    int rc = 0;
    if (!json_has(profile, "known_networks"))
        return 0;
    if ((rc = json_array(profile, at, "known_networks", 0, SEARCH_KNOWN_MAX, err, &list)) != 0)
        return rc;
    ret->known = mem_array((size_t)cJSON_GetArraySize(list) + 1, sizeof *ret->known);
    if (!ret->known)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for networks that are known");
    cJSON_ArrayForEach(item, list) {
        snprintf(pointer, sizeof pointer, "%.100s/known_networks/%d", at, ret->n_known);
        if ((rc = read_known_network(space, item, pointer, err, &ret->known[ret->n_known])) != 0)
            return rc;
        ret->n_known++;
    }
    return 0;
}

static int read_profile(const struct space *space, const cJSON *item, const char *at,
                        struct err *err, struct search_profile *profile) {
    char pointer[160];
    const cJSON *table = NULL;
    profile->calibration = calibration_none;
    snprintf(pointer, sizeof pointer, "%.100s/sections", at);
    if (json_has(item, "sections")) {
        profile->revision = "";
        return latency_sections_from_json(cJSON_GetObjectItemCaseSensitive(item, "sections"),
                                          pointer, err, &profile->sections);
    }
    int rc = json_string(item, at, "profile_revision", 1, 64, err, &profile->revision);
    if (rc == 0)
        rc = json_object(item, at, "table", err, &table);
    snprintf(pointer, sizeof pointer, "%.100s/table", at);
    if (rc == 0)
        rc = latency_table_from_json(table, pointer, err, &profile->table);
    snprintf(pointer, sizeof pointer, "%.100s/calibration", at);
    if (rc == 0 && json_has(item, "calibration"))
        rc = calibration_from_json(cJSON_GetObjectItemCaseSensitive(item, "calibration"), pointer,
                                   err, &profile->calibration);
    return rc == 0 ? read_known(space, item, at, err, profile) : rc;
}

static bool is_used(const struct goals *goals, const char *profile_id) {
    char key[METRIC_KEY_MAX];
    snprintf(key, sizeof key, "%s%s", latency_prefix, profile_id);
    return goals_find_metric(goals, key) >= 0;
}

static int read_profiles(struct search_spec *spec, const cJSON *doc, struct err *err) {
    const cJSON *list, *item;
    int i = 0;
    int rc = json_array(doc, "", "profiles", 0, 1000, err, &list);
    if (rc != 0)
        return rc;
    cJSON_ArrayForEach(item, list) {
        char at[64];
        const char *id = NULL;
        snprintf(at, sizeof at, "/profiles/%d", i++);
        if ((rc = json_string(item, at, "profile_id", 1, 64, err, &id)) != 0)
            return rc;
        if (!is_used(&spec->goals, id))
            continue;
        if (spec->n_profiles == SEARCH_PROFILES_MAX)
            return err_set(err, ESP_ELIMIT, "/profiles", "a search takes at most %d profiles",
                           SEARCH_PROFILES_MAX);
        struct search_profile *profile = &spec->profiles[spec->n_profiles++];
        profile->id = id;
        if ((rc = read_profile(spec->space, item, at, err, profile)) != 0)
            return rc;
    }
    return 0;
}

static int read_energy(struct search_spec *spec, const cJSON *doc, struct err *err) {
    const cJSON *list, *item;
    int i = 0;
    if (!json_has(doc, "energy_prices"))
        return 0;
    int rc = json_array(doc, "", "energy_prices", 0, ENERGY_PROFILES_MAX, err, &list);
    if (rc != 0)
        return rc;
    cJSON_ArrayForEach(item, list) {
        struct search_prices *prices = &spec->energy[spec->n_energy];
        char at[64];
        snprintf(at, sizeof at, "/energy_prices/%d", i++);
        rc = json_string(item, at, "profile_id", 1, 64, err, &prices->profile);
        if (rc == 0)
            rc = json_string_opt(item, at, "profile_revision", 1, 64, err, &prices->revision);
        if (rc == 0)
            rc = energy_fit_from_json(item, at, err, &prices->fit);
        if (rc != 0)
            return rc;
        spec->n_energy++;
    }
    return 0;
}

static int read_places(struct search_spec *spec, const cJSON *doc, struct err *err) {
    const cJSON *places = NULL;
    int rc = json_has(doc, "places") ? json_object(doc, "", "places", err, &places) : 0;
    spec->words = metric_words_by_place(places);
    spec->goals.words = &spec->words;
    return rc;
}

static int find_energy(const struct search_spec *spec, const char *profile) {
    for (int i = 0; i < spec->n_energy; i++)
        if (strcmp(spec->energy[i].profile, profile) == 0)
            return i;
    return -1;
}

/* Who can be asked, of what is meant. */
static void find_boards(struct search_spec *spec) {
    bool found[ENERGY_PROFILES_MAX] = {false};
    for (int p = 0; p < spec->n_profiles; p++) {
        int energy = find_energy(spec, spec->profiles[p].id);
        if (!search_profile_has_board(&spec->profiles[p]))
            continue;
        spec->boards[spec->n_boards++] = (struct search_board){spec->profiles[p].id, p, energy};
        if (energy >= 0)
            found[energy] = true;
    }
    for (int i = 0; i < spec->n_energy; i++)
        if (!found[i])
            spec->boards[spec->n_boards++] = (struct search_board){spec->energy[i].profile, -1, i};
}

static int read_predictor(struct search_spec *spec, const cJSON *doc, struct err *err) {
    struct search_predictor *predictor = &spec->predictor;
    const cJSON *item = NULL;
    const char *supernet = NULL;
    int rc = json_string_opt(doc, "", "supernet_dir", 1, SPEC_PATH_MAX, err, &supernet);
    spec->has_supernet = supernet != NULL;
    if (rc != 0 || !json_has(doc, "predictor"))
        return rc != 0 || supernet
                   ? rc
                   : err_set(err, ESP_EINVAL, "/supernet_dir", "must be there without a predictor");
    rc = json_object(doc, "", "predictor", err, &item);
    if (rc == 0)
        rc = json_string(item, "/predictor", "path", 1, SPEC_PATH_MAX, err, &predictor->path);
    if (rc == 0)
        rc = json_string(item, "/predictor", "hash", 1, HASH_TEXT, err, &predictor->hash);
    if (rc == 0)
        rc = json_string(item, "/predictor", "fingerprint", 1, HASH_TEXT, err,
                         &predictor->fingerprint);
    return rc;
}

static int read_fleet(struct search_fleet *fleet, const cJSON *doc, struct err *err) {
    const cJSON *list, *item, *table;
    int i = 0;
    if (!json_has(doc, "fleet"))
        return 0;
    int rc = json_array(doc, "", "fleet", 0, LEARN_FLEET_MAX, err, &list);
    if (rc != 0)
        return rc;
    cJSON_ArrayForEach(item, list) {
        char at[64], pointer[80];
        snprintf(at, sizeof at, "/fleet/%d", i++);
        snprintf(pointer, sizeof pointer, "%s/table", at);
        rc = json_string(item, at, "profile_id", 1, 64, err, &fleet->ids[fleet->n]);
        if (rc == 0)
            rc = json_object(item, at, "table", err, &table);
        if (rc == 0)
            rc = latency_table_from_json(table, pointer, err, &fleet->tables[fleet->n]);
        if (rc != 0)
            return rc;
        fleet->n++;
    }
    return 0;
}

/* Every energy that is asked for on a profile has its prices. */
static int check_energy(const struct search_spec *spec, struct err *err) {
    for (int i = 0; i < spec->goals.n_metrics; i++) {
        const char *profile = energy_metric_profile(spec->goals.keys[i]);
        if (profile && find_energy(spec, profile) < 0)
            return err_set(err, ESP_ENOTFOUND, "/energy_prices", "there are no prices for %s",
                           spec->goals.keys[i]);
    }
    return 0;
}

/* Every latency that is asked for has its profile. */
static int check_profiles(const struct search_spec *spec, struct err *err) {
    for (int i = 0; i < spec->goals.n_metrics; i++) {
        const char *key = spec->goals.keys[i];
        bool found = strncmp(key, latency_prefix, sizeof latency_prefix - 1) != 0;
        for (int k = 0; k < spec->n_profiles && !found; k++)
            found = strcmp(key + sizeof latency_prefix - 1, spec->profiles[k].id) == 0;
        if (!found)
            return err_set(err, ESP_ENOTFOUND, "/profiles", "there is no table for %s", key);
    }
    return check_energy(spec, err);
}

/* Searches of before there were any have the defaults. */
static int read_options(struct search_spec *spec, const cJSON *body, struct err *err) {
    const struct strategy_type *type = strategy_find(spec->strategy);
    if (!type)
        return 0; /* check_strategy says so */
    return strategy_options_read(type, cJSON_GetObjectItemCaseSensitive(body, "strategy_options"),
                                 "/strategy_options", err, spec->options);
}

/* What the search has had already: later fronts and calibrations are counted from there. */
static int read_versions(struct search_spec *spec, const cJSON *doc, struct err *err) {
    const cJSON *versions, *calibrations;
    int64_t front = 0;
    if (!json_has(doc, "versions"))
        return 0;
    int rc = json_object(doc, "", "versions", err, &versions);
    if (rc == 0)
        rc = json_int_opt(versions, "/versions", "front", 0, INT32_MAX - 10, err, &front);
    if (rc == 0)
        rc = json_object(versions, "/versions", "calibrations", err, &calibrations);
    for (int i = 0; i < spec->n_profiles && rc == 0; i++)
        rc = read_int(calibrations, spec->profiles[i].id, 0, INT32_MAX - 10000, err,
                      &spec->profiles[i].calibration_version);
    if (rc == 0)
        spec->front_version = (int)front;
    return rc;
}

static int read_warm_start(struct search_spec *spec, const cJSON *doc, struct err *err) {
    const cJSON *list = NULL, *item;
    int rc = 0;
    if (!json_has(doc, "warm_start"))
        return 0;
    if ((rc = json_array(doc, "", "warm_start", 0, WARM_MAX, err, &list)) != 0)
        return rc;
    spec->warm = mem_array((size_t)cJSON_GetArraySize(list) + 1, sizeof *spec->warm);
    if (!spec->warm)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for subnets to begin with");
    cJSON_ArrayForEach(item, list) {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";
        rc = arch_parse(spec->space, text, strlen(text), err, &spec->warm[spec->n_warm]);
        if (rc != 0) {
            snprintf(err->pointer, sizeof err->pointer, "/warm_start/%d", spec->n_warm);
            return rc;
        }
        spec->n_warm++;
    }
    return 0;
}

/* Before anything is trained or measured for it. */
static int check_strategy(const struct search_spec *spec, const char *name, const double *options,
                          const char *pointer, struct err *err) {
    struct strategy *strategy;
    struct strategy_config config =
        strategy_config_default(spec->space, spec->goals.n_objectives, (uint64_t)spec->seed);
    if (!name)
        return 0;
    config.options = options;
    int rc = strategy_create(name, &config, err, &strategy);
    if (rc != 0) {
        snprintf(err->pointer, sizeof err->pointer, "%s", pointer);
        return rc;
    }
    strategy_destroy(strategy);
    return 0;
}

static int read_patience(struct search_spec *spec, const cJSON *doc, struct err *err) {
    spec->board_patience_s = 900;
    return json_real_opt(doc, "", "board_patience_s", 0.01, 1e6, err, &spec->board_patience_s);
}

void search_spec_lift(const struct search_spec *spec, const struct arch *arch,
                      struct arch *ret_arch) {
    if (spec->whole)
        subspace_lift(spec->space, spec->whole, arch, ret_arch);
    else
        *ret_arch = *arch;
}

int search_spec_read(struct search_spec *spec, const cJSON *doc, struct err *err) {
    static const char *const fields[] = {"search_id",       "supernet_id",
                                         "supernet_dir",    "checkpoint",
                                         "checkpoint_hash", "space",
                                         "dataset",         "search",
                                         "profiles",        "predictor",
                                         "fleet",           "warm_start",
                                         "versions",        "board_patience_s",
                                         "whole",           "energy_prices",
                                         "places",          NULL};
    const cJSON *body = NULL;
    int rc = json_only(doc, "", fields, err);
    if (rc == 0)
        rc = json_object(doc, "", "search", err, &body);
    if (rc == 0)
        rc = spec_space(doc, "space", err, &spec->space);
    if (rc == 0 && json_has(doc, "whole"))
        rc = spec_space(doc, "whole", err, &spec->whole);
    if (rc == 0 && spec->whole)
        rc = subspace_check(spec->whole, spec->space, "/space", err);
    if (rc == 0)
        rc = read_body(spec, body, err);
    if (rc == 0)
        rc = read_predictor(spec, doc, err);
    if (rc == 0)
        rc = read_profiles(spec, doc, err);
    if (rc == 0)
        rc = read_energy(spec, doc, err);
    if (rc == 0)
        rc = read_places(spec, doc, err);
    if (rc == 0)
        rc = read_fleet(&spec->fleet, doc, err);
    if (rc == 0)
        rc = check_profiles(spec, err);
    find_boards(spec);
    if (rc == 0)
        rc = read_options(spec, body, err);
    if (rc == 0)
        rc = read_warm_start(spec, doc, err);
    if (rc == 0)
        rc = read_patience(spec, doc, err);
    if (rc == 0)
        rc = read_versions(spec, doc, err);
    if (rc == 0)
        rc = check_strategy(spec, spec->strategy, spec->options, "/strategy", err);
    return rc == 0 ? check_strategy(spec, spec->baseline, NULL, "/baseline", err) : rc;
}

static int read_calibrated_profile(struct search_spec *spec, const cJSON *doc, struct err *err) {
    struct search_profile *profile = &spec->profiles[0];
    const cJSON *list, *item;
    int rc = json_array(doc, "", "profiles", 1, 1, err, &list);
    if (rc != 0)
        return rc;
    item = cJSON_GetArrayItem(list, 0);
    rc = json_string(item, "/profiles/0", "profile_id", 1, 64, err, &profile->id);
    if (rc != 0)
        return rc;
    spec->n_profiles = 1;
    rc = read_profile(spec->space, item, "/profiles/0", err, profile);
    return rc == 0 && !search_profile_has_board(profile)
               ? err_set(err, ESP_EINVAL, "/profiles/0", "no board stands behind the profile")
               : rc;
}

/* How many networks, which, and how they are measured. */
static int read_calibrate(struct search_spec *spec, const cJSON *doc, struct err *err) {
    static const char *const fields[] = {"networks", "seed", "method", NULL};
    static const char at[] = "/calibrate";
    const cJSON *body = NULL;
    int64_t networks = 0;
    int rc = json_object(doc, "", "calibrate", err, &body);
    if (rc == 0)
        rc = json_only(body, at, fields, err);
    if (rc == 0)
        rc = json_int(body, at, "networks", 0, CALIBRATION_CHOICE_MAX, err, &networks);
    if (rc == 0)
        rc = json_int(body, at, "seed", 0, INT64_C(1) << 53, err, &spec->seed);
    if (rc == 0)
        rc = json_string(body, at, "method", 1, 31, err, &spec->measure_method);
    spec->calibration_nets = (int)networks;
    spec->calibration_useful = true;
    return rc;
}

int search_spec_read_calibration(struct search_spec *spec, const cJSON *doc, struct err *err) {
    static const char *const fields[] = {
        "space",    "space_fingerprint", "profiles",         "fleet",
        "versions", "calibrate",         "board_patience_s", NULL};
    int rc = json_only(doc, "", fields, err);
    if (rc == 0)
        rc = read_calibrate(spec, doc, err);
    if (rc == 0)
        rc = spec_space(doc, "space", err, &spec->space);
    if (rc == 0)
        rc = read_calibrated_profile(spec, doc, err);
    find_boards(spec);
    if (rc == 0)
        rc = read_fleet(&spec->fleet, doc, err);
    if (rc == 0)
        rc = read_versions(spec, doc, err);
    return rc == 0 ? read_patience(spec, doc, err) : rc;
}
