/* espalier device show, logs: one board, and what it has done. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

static const struct column fields[] = {{"id", "id", CELL_TEXT},
                                       {"name", "name", CELL_TEXT},
                                       {"online", "online", CELL_TEXT},
                                       {"state", "state", CELL_TEXT},
                                       {"health", "health", CELL_TEXT},
                                       {"noise", "noise", CELL_PERCENT},
                                       {"noise note", "noise_note", CELL_TEXT},
                                       {"processor", "fingerprint.cpu_model", CELL_TEXT},
                                       {"kernel", "fingerprint.kernel", CELL_TEXT},
                                       {"cores", "fingerprint.cores", CELL_INT},
                                       {"worker", "worker_version", CELL_TEXT},
                                       {"in doubt for", "doubt.kind", CELL_TEXT},
                                       {"why", "doubt.why", CELL_TEXT},
                                       {"results in doubt", "doubt.results", CELL_INT},
                                       {"last at", "doubt.at", CELL_TIME},
                                       {"next retest", "retest_at", CELL_TIME},
                                       {"refused", "refused.why", CELL_TEXT},
                                       {"refused at", "refused.at", CELL_TIME},
                                       {"allowed", "allowed", CELL_TEXT},
                                       {"token from", "token_created_at", CELL_TIME},
                                       {"queue", "queue", CELL_INT},
                                       {"waits for job", "waits_for.job", CELL_TEXT},
                                       {"waits for board", "waits_for.device", CELL_TEXT},
                                       {"for seconds", "waits_for.seconds", CELL_INT},
                                       {"same machine", "local", CELL_TEXT},
                                       {"last seen", "last_seen_at", CELL_TIME},
                                       {"created", "created_at", CELL_TIME}};
static const struct column environment[] = {{"measured at", "at", CELL_TIME},
                                            {"temperature, C", "temperature_c", CELL_REAL},
                                            {"frequency, kHz", "frequency_khz", CELL_INT}};
static const struct column holder[] = {
    {"measures", "what", CELL_TEXT}, {"on", "profile", CELL_TEXT},  {"method", "method", CELL_TEXT},
    {"for job", "job", CELL_TEXT},   {"since", "since", CELL_TIME}, {"lease", "lease", CELL_TEXT}};
static const struct column profiles[] = {
    {"PROFILE", "name", CELL_TEXT},    {"ID", "id", CELL_TEXT},
    {"OFFERED", "offered", CELL_TEXT}, {"RUNTIME", "runtime", CELL_TEXT},
    {"THREADS", "threads", CELL_INT},  {"CORES", "cores", CELL_TEXT},
    {"NOISE", "noise", CELL_PERCENT},  {"DOUBT", "noise_doubt", CELL_TEXT}};
static const struct column tables[] = {
    {"TABLE", "id", CELL_TEXT},         {"PROFILE", "profile", CELL_TEXT},
    {"SPACE", "space", CELL_TEXT},      {"METHOD", "method", CELL_TEXT},
    {"MEASURED", "measured", CELL_INT}, {"OF", "needed", CELL_INT},
    {"FAILED", "failed", CELL_INT}};
static const struct column references[] = {{"AT", "at", CELL_TIME},
                                           {"PROFILE", "profile", CELL_TEXT},
                                           {"REFERENCE", "us", CELL_LATENCY},
                                           {"DRIFT", "drift", CELL_PERCENT},
                                           {"MEASUREMENT", "measurement", CELL_TEXT}};
static const struct column revisions[] = {{"ENVIRONMENT SINCE", "at", CELL_TIME},
                                          {"PROFILE", "profile", CELL_TEXT},
                                          {"REVISION", "revision", CELL_TEXT},
                                          {"REFERENCE", "reference_us", CELL_LATENCY},
                                          {"NOISE", "noise", CELL_PERCENT}};
static const struct column failures[] = {
    {"AT", "at", CELL_TIME},           {"KIND", "kind", CELL_TEXT},
    {"ATTEMPT", "attempt", CELL_INT},  {"MEASUREMENT", "measurement", CELL_TEXT},
    {"PROFILE", "profile", CELL_TEXT}, {"WHAT", "what", CELL_TEXT},
    {"MESSAGE", "message", CELL_TEXT}};
static const struct column transitions[] = {{"AT", "at", CELL_TIME},
                                            {"HEALTH", "from", CELL_TEXT},
                                            {"TO", "to", CELL_TEXT},
                                            {"BY", "event", CELL_TEXT}};

/* A part of a page, if there is anything to show; most: how many rows of it, from the first on. */
static void show_part(struct cli *cli, const cJSON *list, int most, const struct column *columns,
                      int n_columns) {
    if (cJSON_GetArraySize(list) == 0)
        return;
    cJSON *shown = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        if (cJSON_GetArraySize(shown) < most)
            cJSON_AddItemToArray(shown, cJSON_Duplicate(item, true));
    }
    putchar('\n');
    cli_table(cli, shown, columns, n_columns);
    cJSON_Delete(shown);
}

enum { SHOWN = 10, LOGGED = 200 };

/* The board and what its worker offers (the first profile is its default), then what it does. */
static void show_page(struct cli *cli, const cJSON *doc, const cJSON *history) {
    cli_fields(doc, fields, COUNT(fields));
    if (cJSON_IsObject(cli_item(history, "environment")))
        cli_fields(cli_item(history, "environment"), environment, COUNT(environment));
    if (cJSON_IsObject(cli_item(history, "holder")))
        cli_fields(cli_item(history, "holder"), holder, COUNT(holder));
    show_part(cli, cli_item(doc, "profiles"), LOGGED, profiles, COUNT(profiles));
    show_part(cli, cli_item(history, "tables"), LOGGED, tables, COUNT(tables));
    show_part(cli, cli_item(history, "revisions"), SHOWN, revisions, COUNT(revisions));
    show_part(cli, cli_item(history, "references"), SHOWN, references, COUNT(references));
    show_part(cli, cli_item(history, "failures"), SHOWN, failures, COUNT(failures));
}

static int show_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL, *history = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (cli_get(cli, &err, &doc, "/devices/%s", cli_encode(argv[first])))
        return cli_fail(&err);
    code = CLI_OK;
    if (!cli_print_plain(cli, doc)) {
        if (cli_get(cli, &err, &history, "/devices/%s/history", cli_text(doc, "id")))
            code = cli_fail(&err);
        else
            show_page(cli, doc, history);
    }
    cJSON_Delete(history);
    cJSON_Delete(doc);
    return code;
}

static void print_logs(struct cli *cli, const cJSON *doc) {
    cli_table(cli, cli_item(doc, "failures"), failures, COUNT(failures));
    show_part(cli, cli_item(doc, "transitions"), LOGGED, transitions, COUNT(transitions));
    show_part(cli, cli_item(doc, "references"), LOGGED, references, COUNT(references));
}

static int logs_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_DAEMON_ROWS(cli), CLI_NAMELESS_ROWS(cli)};
    char path[512];
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    snprintf(path, sizeof(path), "/devices/%.300s/history", cli_encode(argv[first]));
    return resource_answer(
        cli, &(struct resource_request){.method = "GET", .path = path, .print = print_logs});
}

const struct cli_command cli_device_show = {
    "device", "show", "DEVICE", "one board: who holds it, its tables, its reference network",
    show_run};
const struct cli_command cli_device_logs = {
    "device", "logs", "DEVICE",
    "what went wrong there, its health, its reference network over time", logs_run};
