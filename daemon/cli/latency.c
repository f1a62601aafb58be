/* espalier latency profiles, build, tables, rm, entries, measure, calibrations, residuals; and
 * profile rm. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

static const struct column profile_list[] = {{"ID", "id", CELL_TEXT},
                                             {"NAME", "name", CELL_TEXT},
                                             {"DEVICE", "device_name", CELL_TEXT},
                                             {"OFFERED", "offered", CELL_TEXT},
                                             {"RUNTIME", "runtime", CELL_TEXT},
                                             {"PRECISION", "precision", CELL_TEXT},
                                             {"THREADS", "threads", CELL_INT},
                                             {"NOISE", "noise", CELL_PERCENT}};
static const struct resource profiles = RESOURCE("/profiles", profile_list, profile_list);
static const struct column table_list[] = {{"ID", "id", CELL_TEXT},
                                           {"PROFILE", "profile_name|profile", CELL_TEXT},
                                           {"SPACE", "space", CELL_TEXT},
                                           {"METHOD", "method", CELL_TEXT},
                                           {"STATE", "state", CELL_TEXT},
                                           {"MEASURED", "measured", CELL_INT},
                                           {"NEEDED", "needed", CELL_INT},
                                           {"FAILED", "failed", CELL_INT},
                                           {"COVERAGE", "coverage", CELL_PERCENT},
                                           {"SPREAD", "spread", CELL_PERCENT},
                                           {"NOISY", "noisy", CELL_INT},
                                           {"OLDEST", "oldest_at", CELL_TIME},
                                           {"ETA (s)", "eta_s", CELL_INT}};
static const struct column table_fields[] = {{"id", "id", CELL_TEXT},
                                             {"profile", "profile_name|profile", CELL_TEXT},
                                             {"space", "space", CELL_TEXT},
                                             {"method", "method", CELL_TEXT},
                                             {"state", "state", CELL_TEXT},
                                             {"entries measured", "measured", CELL_INT},
                                             {"needed", "needed", CELL_INT},
                                             {"failed", "failed", CELL_INT},
                                             {"coverage", "coverage", CELL_PERCENT},
                                             {"spread, mean", "spread", CELL_PERCENT},
                                             {"spread, worst", "spread_worst", CELL_PERCENT},
                                             {"noisy", "noisy", CELL_INT},
                                             {"being repeated", "repeating", CELL_INT},
                                             {"changed with age", "changed", CELL_INT},
                                             {"oldest", "oldest_at", CELL_TIME},
                                             {"newest", "newest_at", CELL_TIME},
                                             {"ETA (s)", "eta_s", CELL_INT}};
static const struct resource tables = RESOURCE("/tables", table_list, table_fields);
static const struct column calibration_list[] = {{"ID", "id", CELL_TEXT},
                                                 {"PROFILE", "profile_name|profile_id", CELL_TEXT},
                                                 {"VERSION", "version", CELL_INT},
                                                 {"RUNG", "rung", CELL_TEXT},
                                                 {"NETWORKS", "n", CELL_INT},
                                                 {"KNOWN", "n_known", CELL_INT},
                                                 {"MAPE BEFORE", "before.mape", CELL_PERCENT},
                                                 {"MAPE AFTER", "after.mape", CELL_PERCENT},
                                                 {"WITHIN 5 %", "after.within_5", CELL_PERCENT},
                                                 {"WITHIN 10 %", "after.within_10", CELL_PERCENT},
                                                 {"TAU", "after.kendall_tau", CELL_REAL},
                                                 {"INTERVAL", "interval", CELL_PERCENT},
                                                 {"INSIDE", "after.coverage", CELL_PERCENT}};
static const struct resource calibrations =
    RESOURCE("/calibrations", calibration_list, calibration_list);

static int profiles_run(struct cli *cli, int argc, char **argv) {
    bool all = false;
    const struct option_row rows[] = {
        {"all", 'a', OPTION_FLAG, NULL, 0, 0, "", "those of boards that were removed too", &all},
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    return code >= 0 ? code
                     : resource_print_list(cli, all ? "/profiles?removed=true" : "/profiles",
                                           profiles.list, profiles.n_list);
}

static int profile_rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &profiles, "rm", argc, argv);
}

static int tables_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &tables, argc, argv);
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_show(cli, &tables, argc, argv);
}

static int calibrations_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &calibrations, argc, argv);
}

static int build_run(struct cli *cli, int argc, char **argv) {
    const char *method = NULL;
    int64_t max_age_us = 0;
    const struct option_row rows[] = {{"method", 'm', OPTION_TEXT, "full", 0, 0, "",
                                       "brief (half a second an entry) or full", &method},
                                      {"max-age", 0, OPTION_DURATION, "0", 0, 3.2e15, "",
                                       "measure entries that are older again; 0: none",
                                       &max_age_us},
                                      CLI_WAIT_ROWS(cli),
                                      CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){2, 2}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "profile", argv[first]);
    cJSON_AddStringToObject(body, "space", argv[first + 1]);
    cJSON_AddStringToObject(body, "method", method);
    if (max_age_us > 0)
        cJSON_AddNumberToObject(body, "max_age_s", (double)max_age_us / 1e6);
    int rc = cli_send(cli, "POST", "/tables", body, &err, &doc);
    cJSON_Delete(body);
    return rc ? cli_fail(&err) : cli_started(cli, doc, "table");
}

static int entries_run(struct cli *cli, int argc, char **argv) {
    static const struct column columns[] = {{"SIGNATURE", "signature", CELL_TEXT},
                                            {"STATE", "state", CELL_TEXT},
                                            {"MEDIAN", "median_us", CELL_LATENCY},
                                            {"LOW", "low_us", CELL_LATENCY},
                                            {"HIGH", "high_us", CELL_LATENCY},
                                            {"SPREAD", "spread", CELL_PERCENT},
                                            {"SAMPLES", "n", CELL_INT},
                                            {"MEASURED", "measured_at", CELL_TIME}};
    static const struct resource_part part = {"/tables", "entries", columns, COUNT(columns)};

    return resource_parts(cli, &part, argc, argv);
}

static int residuals_run(struct cli *cli, int argc, char **argv) {
    static const struct column columns[] = {{"ARCH", "arch", CELL_TEXT},
                                            {"SUM", "sum_us", CELL_LATENCY},
                                            {"PREDICTED", "predicted_us", CELL_LATENCY},
                                            {"LOW", "low_us", CELL_LATENCY},
                                            {"HIGH", "high_us", CELL_LATENCY},
                                            {"MEASURED", "measured_us", CELL_LATENCY},
                                            {"ERROR", "error", CELL_PERCENT},
                                            {"SESSION", "session", CELL_INT}};
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL, *points, *row;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (cli_get(cli, &err, &doc, "/calibrations/%s", cli_encode(argv[first])))
        return cli_fail(&err);
    points = cJSON_GetObjectItemCaseSensitive(doc, "points");
    cJSON_ArrayForEach(row, points) {
        cJSON_AddNumberToObject(
            row, "error", cli_number(row, "predicted_us") / cli_number(row, "measured_us") - 1);
    }
    cli_table(cli, points, columns, COUNT(columns));
    cJSON_Delete(doc);
    return CLI_OK;
}

static int measure_run(struct cli *cli, int argc, char **argv) {
    const char *method = NULL;
    const struct option_row rows[] = {
        {"method", 'm', OPTION_TEXT, "full", 0, 0, "", "brief or full", &method},
        CLI_COMMON_ROWS(cli)};
    static const struct column columns[] = {{"ID", "id", CELL_TEXT},
                                            {"STATE", "state", CELL_TEXT},
                                            {"MEDIAN", "median_us", CELL_LATENCY},
                                            {"LOW", "low_us", CELL_LATENCY},
                                            {"HIGH", "high_us", CELL_LATENCY},
                                            {"ENERGY UJ", "energy_uj", CELL_REAL},
                                            {"FLAGS", "flags", CELL_WORDS},
                                            {"ARCH", "arch", CELL_TEXT}};
    struct err err = {0};
    cJSON *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){3, 1000}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "profile", argv[first]);
    cJSON_AddStringToObject(body, "space", argv[first + 1]);
    cJSON_AddStringToObject(body, "method", method);
    cJSON_AddItemToObject(
        body, "archs",
        cJSON_CreateStringArray((const char *const *)argv + first + 2, argc - first - 2));
    int rc = cli_send(cli, "POST", "/measurements", body, &err, &doc);
    cJSON_Delete(body);
    if (rc)
        return cli_fail(&err);
    cli_table(cli, cli_item(doc, "items"), columns, COUNT(columns));
    cJSON_Delete(doc);
    return CLI_OK;
}

const struct cli_command cli_latency_profiles = {
    "latency", "profiles", "", "profiles: board, runtime, precision, threads", profiles_run};
const struct cli_command cli_profile_rm = {
    "profile", "rm", "PROFILE...",
    "remove profiles that no worker offers, with all that was measured on them", profile_rm_run};
const struct cli_command cli_latency_build = {"latency", "build", "PROFILE SPACE",
                                              "measure the latency table of a space on a board",
                                              build_run};
static int rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &tables, "rm", argc, argv);
}

const struct cli_command cli_latency_rm = {"latency", "rm", "TABLE...",
                                           "remove tables; their measurements stay", rm_run};
const struct cli_command cli_latency_tables = {"latency", "tables", "", "latency tables",
                                               tables_run};
const struct cli_command cli_latency_entries = {"latency", "entries", "TABLE", "entries of a table",
                                                entries_run};
const struct cli_command cli_latency_measure = {"latency", "measure", "PROFILE SPACE ARCH...",
                                                "measure whole networks on a board", measure_run};
const struct cli_command cli_latency_calibrations = {
    "latency", "calibrations", "", "calibrations of the predictors", calibrations_run};
const struct cli_command cli_latency_residuals = {
    "latency", "residuals", "CALIBRATION",
    "networks that a calibration was judged on: predicted from the others, and measured",
    residuals_run};
const struct cli_command cli_latency_show = {"latency", "show", "TABLE",
                                             "a table's coverage, spread and age", show_run};
