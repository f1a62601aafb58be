/* How good latency predictions would be on somebody's measurements: needs no board and no space. */
#include <math.h>

#include "base/clock.h"
#include "base/json.h"
#include "daemon/job/progress.h"
#include "daemon/job/spec.h"
#include "latency/laboratory_files.h"

static const char *const fields[] = {"networks", "ops",    "times", "sizes", "splits", "seed",
                                     "profile",  "choice", "pool",  "given", NULL};

struct experiment {
    struct laboratory_sources sources;
    const char *times[LABORATORY_PROFILES_MAX + 1]; /* of the sources */
    struct laboratory_options options;
};

static int read_sizes(const cJSON *spec, struct err *err, struct laboratory_options *options) {
    static const int defaults[] = {5, 10, 20};
    const cJSON *sizes = cJSON_GetObjectItemCaseSensitive(spec, "sizes");
    int n = sizes ? cJSON_GetArraySize(sizes) : 3;
    if (sizes && (!cJSON_IsArray(sizes) || n < 1 || n > LABORATORY_SIZES_MAX))
        return err_set(err, ESP_EINVAL, "/sizes", "must be 1 to %d numbers of networks",
                       LABORATORY_SIZES_MAX);
    options->n_sizes = n;
    for (int i = 0; i < n; i++) {
        const cJSON *size = sizes ? cJSON_GetArrayItem(sizes, i) : NULL;
        double value = size ? cJSON_GetNumberValue(size) : defaults[i];
        if (!(value >= CALIBRATION_MIN_NETWORKS) || value > LADDER_KNOWN_MAX || value != (int)value)
            return err_set(err, ESP_EINVAL, "/sizes", "must be whole numbers from %d to %d",
                           CALIBRATION_MIN_NETWORKS, LADDER_KNOWN_MAX);
        options->sizes[i] = (int)value;
    }
    return 0;
}

static int read_times(const cJSON *spec, struct err *err, struct experiment *ret) {
    const cJSON *times, *title;
    int n = 0, rc = json_array(spec, "", "times", 1, LABORATORY_PROFILES_MAX, err, &times);
    if (rc != 0)
        return rc;
    cJSON_ArrayForEach(title, times) {
        if (!cJSON_IsString(title))
            return err_set(err, ESP_EINVAL, "/times", "must be titles of columns");
        ret->times[n++] = title->valuestring;
    }
    ret->sources.times = ret->times;
    return 0;
}

static int read_sources(const cJSON *spec, struct err *err, struct experiment *ret) {
    struct laboratory_sources *sources = &ret->sources;
    int rc = json_string(spec, "", "networks", 1, SPEC_PATH_MAX, err, &sources->networks);
    if (rc == 0)
        rc = json_string_opt(spec, "", "ops", 1, SPEC_PATH_MAX, err, &sources->ops);
    if (rc == 0)
        rc = json_string_opt(spec, "", "profile", 1, LABORATORY_NAME_MAX, err, &sources->profile);
    return rc == 0 && json_has(spec, "times") ? read_times(spec, err, ret) : rc;
}

static int read_experiment(const cJSON *spec, struct err *err, struct experiment *ret) {
    int64_t splits = 1000, seed = 1, pool = 0, given = 0;
    int choice = LABORATORY_RANDOM;
    int rc = json_only(spec, "", fields, err);
    if (rc == 0)
        rc = read_sources(spec, err, ret);
    if (rc == 0)
        rc = json_int_opt(spec, "", "splits", 1, LABORATORY_SPLITS_MAX, err, &splits);
    if (rc == 0)
        rc = json_int_opt(spec, "", "seed", 0, INT64_C(1) << 53, err, &seed);
    if (rc == 0)
        rc = json_int_opt(spec, "", "pool", 0, LABORATORY_POOL_MAX, err, &pool);
    if (rc == 0)
        rc = json_int_opt(spec, "", "given", 0, LADDER_KNOWN_MAX, err, &given);
    if (rc == 0 && json_has(spec, "choice"))
        rc = json_enum(spec, "", "choice", laboratory_choice_names, err, &choice);
    ret->options.pool = (int)pool;
    ret->options.given = (int)given;
    ret->options.choice = (enum laboratory_choice)choice;
    ret->options.splits = (int)splits;
    ret->options.seed = (uint64_t)seed;
    return rc == 0 ? read_sizes(spec, err, &ret->options) : rc;
}

static void send_progress(struct progress *progress, const char *profile, int done, int total) {
    struct progress_point point = {done, total, "profiles", NAN, false};
    cJSON *doc = progress_describe(progress, &point);
    cJSON_AddStringToObject(doc, "message", profile);
    channel_progress(progress->channel, doc);
}

/* left_out NULL: nothing of the profile could be read. */
static bool add_refusal(cJSON *row, const struct err *refused,
                        const struct laboratory_left_out *left_out) {
    return cJSON_AddStringToObject(row, "error", refused->message) &&
           (!refused->pointer[0] || cJSON_AddStringToObject(row, "pointer", refused->pointer)) &&
           (!left_out ||
            cJSON_AddItemToObject(row, "left_out", laboratory_left_out_to_json(left_out)));
}

/* A profile that cannot be judged is told of in its row: the others still can. */
static int run_profile(struct job *job, struct laboratory_files *files, int i,
                       const struct experiment *experiment, struct err *err, cJSON *rows) {
    struct laboratory_profile profile = {0};
    struct laboratory_report report;
    struct err refused = {0};
    cJSON *row = NULL;
    int rc = laboratory_files_read(files, i, experiment->options.seed, &refused, &profile);
    if (rc == 0)
        rc = laboratory_run(&profile, &experiment->options, job->pool, &refused, &report);
    if (rc == ESP_ENOMEM)
        return err_set(err, rc, NULL, "%s", refused.message);
    row = rc == 0 ? laboratory_report_to_json(&report) : cJSON_CreateObject();
    bool whole =
        row && cJSON_AddStringToObject(row, "profile", laboratory_files_profile_name(files, i));
    if (whole && rc == 0)
        whole = cJSON_AddNumberToObject(row, "fleet", (double)profile.n_fleet);
    else if (whole)
        whole = add_refusal(row, &refused, profile.n_networks > 0 ? &profile.left_out : NULL);
    if (!whole || !cJSON_AddItemToArray(rows, row)) {
        cJSON_Delete(row);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a report");
    }
    return 0;
}

static int run_profiles(struct job *job, struct laboratory_files *files,
                        const struct experiment *experiment, struct err *err, cJSON *rows) {
    int n = laboratory_files_profiles(files), rc = 0;
    struct progress progress;
    progress_init(&progress, job->channel, "laboratory");
    for (int i = 0; rc == 0 && i < n; i++) {
        const char *name = laboratory_files_profile_name(files, i);
        if (channel_stopping(job->channel))
            return err_set(err, ESP_ECANCELED, NULL, "asked to stop");
        send_progress(&progress, name, i, n);
        rc = run_profile(job, files, i, experiment, err, rows);
    }
    return rc;
}

static int run(struct job *job, struct err *err, cJSON **ret_result) {
    struct experiment experiment = {0};
    struct laboratory_files *files = NULL;
    int64_t began = clock_mono_ns();
    int rc = read_experiment(job->spec, err, &experiment);
    if (rc == 0)
        rc = laboratory_files_open(&experiment.sources, err, &files);
    if (rc == 0) {
        cJSON *result = cJSON_CreateObject();
        cJSON_AddNumberToObject(result, "splits", experiment.options.splits);
        cJSON_AddNumberToObject(result, "seed", (double)experiment.options.seed);
        cJSON_AddItemToObject(result, "columns", laboratory_files_columns_to_json(files));
        rc = run_profiles(job, files, &experiment, err, cJSON_AddArrayToObject(result, "profiles"));
        cJSON_AddNumberToObject(result, "seconds", (double)(clock_mono_ns() - began) / 1e9);
        *ret_result = result;
    }
    laboratory_files_close(files);
    return rc;
}

extern const struct job_phase phase_laboratory;
const struct job_phase phase_laboratory = {
    .kind = "laboratory",
    .help = "judge latency predictions on measurements of others",
    .run = run};
