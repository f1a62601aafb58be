/* espalier space ls, show, add, sample, rm; espalier arch show. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

static const struct column list[] = {{"NAME", "name", CELL_TEXT},
                                     {"SUBNETS", "cardinality", CELL_REAL},
                                     {"SMALLEST MACS", "smallest.cost.macs", CELL_MACS},
                                     {"LARGEST MACS", "largest.cost.macs", CELL_MACS},
                                     {"TABLE ENTRIES", "table_entries", CELL_INT},
                                     {"BUILT IN", "builtin", CELL_TEXT}};
static const struct column fields[] = {{"name", "name", CELL_TEXT},
                                       {"fingerprint", "fingerprint", CELL_TEXT},
                                       {"subnets", "cardinality", CELL_REAL},
                                       {"stages", "n_stages", CELL_INT},
                                       {"blocks", "n_blocks", CELL_INT},
                                       {"resolutions", "resolutions", CELL_INT},
                                       {"table entries", "table_entries", CELL_INT},
                                       {"smallest", "smallest.arch", CELL_TEXT},
                                       {"  MACs", "smallest.cost.macs", CELL_MACS},
                                       {"  parameters", "smallest.cost.params", CELL_MACS},
                                       {"largest", "largest.arch", CELL_TEXT},
                                       {"  MACs", "largest.cost.macs", CELL_MACS},
                                       {"  parameters", "largest.cost.params", CELL_MACS}};
static const struct resource spaces = RESOURCE("/spaces", list, fields);

static int ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &spaces, argc, argv);
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_show(cli, &spaces, argc, argv);
}

static int rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &spaces, "rm", argc, argv);
}

static int add_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *body = NULL, *doc = NULL;
    char *text = NULL;
    size_t len = 0;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    const char *path = strcmp(argv[first], "-") ? argv[first] : "/dev/stdin";
    int rc = file_read(path, json_limits_default.bytes, &err, &text, &len);
    if (!rc)
        rc = json_parse(text, len, &json_limits_default, &err, &body);
    if (!rc)
        rc = cli_send(cli, "POST", "/spaces", body, &err, &doc);
    if (rc)
        code = cli_fail(&err);
    else if (!cli_print_plain(cli, doc))
        cli_fields(doc, fields, COUNT(fields));
    cJSON_Delete(doc);
    cJSON_Delete(body);
    free(text);
    return code < 0 ? CLI_OK : code;
}

/* A metric a row, and what the table of latencies lacks. */
static void print_quantiles(struct cli *cli, const cJSON *doc) {
    static const struct column columns[] = {
        {"METRIC", "metric", CELL_TEXT}, {"MIN", "min", CELL_REAL}, {"P5", "p5", CELL_REAL},
        {"MEDIAN", "median", CELL_REAL}, {"P95", "p95", CELL_REAL}, {"MAX", "max", CELL_REAL}};
    const cJSON *metric = NULL, *quantiles = cli_item(doc, "quantiles");
    double missing = cli_number(doc, "missing_entries");
    cJSON *rows = cJSON_CreateArray();

    cJSON_ArrayForEach(metric, quantiles) {
        cJSON *row = cJSON_Duplicate(metric, true);
        cJSON_AddStringToObject(row, "metric", metric->string);
        cJSON_AddItemToArray(rows, row);
    }
    cli_table(cli, rows, columns, COUNT(columns));
    if (missing > 0)
        fprintf(stderr,
                "%.0f entries of the latency table are missing, which %s: espalier latency build\n",
                missing,
                cli_item(quantiles, "latency_us") ? "widens its intervals"
                                                  : "leaves subnets unknown");
    cJSON_Delete(rows);
}

static int sample_run(struct cli *cli, int argc, char **argv) {
    const char *profile = NULL;
    int64_t n = 1000, seed = 1;
    const struct option_row rows[] = {
        {"n", 'n', OPTION_INT, "1000", 0, 0, "subnets", "how many", &n},
        {"seed", 0, OPTION_INT, "1", 0, 0, "", "of the sample", &seed},
        {"profile", 'p', OPTION_TEXT, NULL, 0, 0, "", "predict their latency on this profile",
         &profile},
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL;
    char path[512];
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddNumberToObject(body, "n", (double)n);
    cJSON_AddNumberToObject(body, "seed", (double)seed);
    if (profile)
        cJSON_AddStringToObject(body, "profile", profile);
    snprintf(path, sizeof(path), "/spaces/%.200s/sample", cli_encode(argv[first]));
    int rc = cli_send(cli, "POST", path, body, &err, &doc);
    cJSON_Delete(body);
    if (rc)
        return cli_fail(&err);
    if (cli->get || cli->json)
        cli_print_plain(cli, doc);
    else
        print_quantiles(cli, doc);
    cJSON_Delete(doc);
    return CLI_OK;
}

/* The layers of all units in one list, each with its unit's number. */
static void print_layers(struct cli *cli, const cJSON *units) {
    static const struct column columns[] = {{"UNIT", "unit", CELL_INT},
                                            {"LAYER", "layer", CELL_TEXT},
                                            {"KERNEL", "kernel", CELL_INT},
                                            {"IN", "c_in", CELL_INT},
                                            {"OUT", "c_out", CELL_INT},
                                            {"HEIGHT", "h_out", CELL_INT},
                                            {"MACS", "macs", CELL_MACS},
                                            {"PARAMS", "params", CELL_MACS},
                                            {"LIVE", "live_bytes", CELL_BYTES},
                                            {"WEIGHTS", "model_bytes", CELL_BYTES},
                                            {"TRAFFIC", "traffic_bytes", CELL_BYTES},
                                            {"ENERGY UJ", "energy_uj", CELL_REAL}};
    cJSON *rows = cJSON_CreateArray();
    const cJSON *unit, *layer;
    int number = 0;
    cJSON_ArrayForEach(unit, units) {
        cJSON_ArrayForEach(layer, cli_item(unit, "layers")) {
            cJSON *row = cJSON_Duplicate(layer, true);
            cJSON_AddNumberToObject(row, "unit", number);
            cJSON_AddItemToArray(rows, row);
        }
        number++;
    }
    cli_table(cli, rows, columns, COUNT(columns));
    if (!cli->no_headers)
        fputs("LIVE is what lies in memory were each op run by itself; units run fused and in "
              "place, so it may be more than the peak activation.\n",
              cli_remarks(cli));
    cJSON_Delete(rows);
}

/* Of a predicted latency in words: its interval, and what stands behind it; of one that no measured
 * network speaks for that it does not. */
static void put_words(cJSON *latency) {
    const cJSON *calibration = cli_item(latency, "calibration");
    double high_us = cli_number(latency, "high_us");
    const struct cli_unit *unit = cli_latency_unit(high_us);
    char low[CLI_LATENCY], high[CLI_LATENCY], text[256];
    if (cJSON_IsNumber(cli_item(latency, "high_us"))) {
        snprintf(text, sizeof(text), "%s to %s %s%s",
                 cli_latency(cli_number(latency, "low_us"), unit, low),
                 cli_latency(high_us, unit, high), unit->name,
                 cJSON_IsFalse(cli_item(latency, "calibrated"))
                     ? ", not calibrated: no whole network measured, the bias is a guess"
                     : "");
        cJSON_AddStringToObject(latency, "interval", text);
    }
    if (cJSON_IsObject(calibration)) {
        snprintf(text, sizeof(text), "version %.0f on %.0f networks, %.40s",
                 cli_number(calibration, "version"), cli_number(calibration, "n"),
                 cli_text(calibration, "rung"));
        cJSON_AddStringToObject(latency, "behind", text);
    }
}

static int arch_show_run(struct cli *cli, int argc, char **argv) {
    const char *profile = NULL;
    bool layers = false;
    const struct option_row rows[] = {{"profile", 'p', OPTION_TEXT, NULL, 0, 0, "",
                                       "predict its latency on this profile", &profile},
                                      {"layers", 0, OPTION_FLAG, NULL, 0, 0, "",
                                       "layer by layer: a latency is a whole unit's alone",
                                       &layers},
                                      CLI_COMMON_ROWS(cli)};
    static const struct column summary[] = {
        {"arch", "arch", CELL_TEXT},
        {"id", "arch_id", CELL_TEXT},
        {"MACs", "cost.macs", CELL_MACS},
        {"parameters", "cost.params", CELL_MACS},
        {"peak activation", "cost.peak_activation_bytes", CELL_BYTES},
        {"model", "cost.model_bytes", CELL_BYTES},
        {"memory traffic", "cost.traffic_bytes", CELL_BYTES},
        {"energy, estimated, uJ", "cost.energy_uj", CELL_REAL},
        {"latency", "latency.us", CELL_LATENCY},
        {"latency, 90 % within", "latency.interval", CELL_TEXT},
        {"calibration", "latency.behind", CELL_TEXT}};
    static const struct column units[] = {{"UNIT", "signature", CELL_TEXT},
                                          {"KERNEL", "kernel", CELL_INT},
                                          {"MID", "mid_channels", CELL_INT},
                                          {"OUT", "c_out", CELL_INT},
                                          {"HEIGHT", "h_out", CELL_INT},
                                          {"MACS", "macs", CELL_MACS},
                                          {"PARAMS", "params", CELL_MACS},
                                          {"PEAK", "peak_activation_bytes", CELL_BYTES},
                                          {"TRAFFIC", "traffic_bytes", CELL_BYTES},
                                          {"ENERGY UJ", "energy_uj", CELL_REAL},
                                          {"LATENCY", "latency_us", CELL_LATENCY}};
    struct err err = {0};
    cJSON *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){2, 2}, &first);

    if (code >= 0)
        return code;
    if (cli_get(cli, &err, &doc, "/archs?space=%s&arch=%s%s%s", cli_encode(argv[first]),
                cli_encode(argv[first + 1]), profile ? "&profile=" : "",
                profile ? cli_encode(profile) : ""))
        return cli_fail(&err);
    if (!cli_print_plain(cli, doc)) {
        put_words(cJSON_GetObjectItem(doc, "latency"));
        cli_fields(doc, summary, COUNT(summary));
        putchar('\n');
        if (layers)
            print_layers(cli, cli_item(doc, "units"));
        else
            cli_table(cli, cli_item(doc, "units"), units, COUNT(units));
    }
    cJSON_Delete(doc);
    return CLI_OK;
}

const struct cli_command cli_space_ls = {"space", "ls", "", "search spaces", ls_run};
const struct cli_command cli_space_show = {"space", "show", "SPACE",
                                           "one space, its smallest and largest subnet", show_run};
const struct cli_command cli_space_add = {
    "space", "add", "FILE", "add a space from a JSON file, - for standard input (docs/SPACES.md)",
    add_run};
const struct cli_command cli_space_sample = {"space", "sample", "SPACE",
                                             "cost and latency of random subnets", sample_run};
const struct cli_command cli_space_rm = {"space", "rm", "SPACE...", "remove spaces", rm_run};
const struct cli_command cli_arch_show = {"arch", "show", "SPACE ARCH", "one subnet, unit by unit",
                                          arch_show_run};
