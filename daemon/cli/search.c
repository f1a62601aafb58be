/* espalier search ls, show, cancel, resume, rm; arch export. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/export.h"
#include "daemon/cli/resource.h"

static const struct column list[] = {{"ID", "id", CELL_TEXT},
                                     {"NAME", "name", CELL_TEXT},
                                     {"SUPERNET", "supernet_name", CELL_TEXT},
                                     {"STATE", "state", CELL_TEXT},
                                     {"STAGE", "stage", CELL_TEXT},
                                     {"EVALUATIONS", "evaluations_done", CELL_INT},
                                     {"FRONT", "front_size", CELL_INT},
                                     {"HYPERVOLUME", "hypervolume", CELL_REAL}};
static const struct column fields[] = {
    {"id", "id", CELL_TEXT},
    {"name", "name", CELL_TEXT},
    {"supernet", "supernet_name", CELL_TEXT},
    {"its checkpoint", "checkpoint", CELL_TEXT},
    {"space", "space", CELL_TEXT},
    {"state", "state", CELL_TEXT},
    {"stage", "stage", CELL_TEXT},
    {"strategy", "strategy", CELL_TEXT},
    {"baseline", "baseline", CELL_TEXT},
    {"evaluations", "evaluations_done", CELL_INT},
    {"of", "evaluations", CELL_INT},
    {"front", "front_size", CELL_INT},
    {"hypervolume of the newest front", "hypervolume", CELL_REAL},
    {"hypervolume at the end of the search", "result.hypervolume", CELL_REAL},
    {"  of the baseline, at equal budget", "result.hypervolume_random", CELL_REAL},
    {"  both by values that are", "result.hypervolume_stage", CELL_TEXT},
    {"accuracy predictor's Kendall tau", "predictor.kendall_tau", CELL_REAL},
    {"  of a line through MACs alone", "predictor.baseline_kendall_tau", CELL_REAL},
    {"  mean absolute error", "predictor.mae", CELL_REAL},
    {"job", "job", CELL_TEXT},
    {"created", "created_at", CELL_TIME}};
static const struct resource searches = RESOURCE("/searches", list, fields);

static int ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &searches, argc, argv);
}

static void print_option(const cJSON *option) {
    char left[96], right[512];
    snprintf(left, sizeof(left), "    %.40s=%.6g", cli_text(option, "name"),
             cli_number(option, "default"));
    snprintf(right, sizeof(right), "%.400s (%s%.8g to %.8g)", cli_text(option, "help"),
             strcmp(cli_text(option, "kind"), "int") ? "" : "whole, ", cli_number(option, "min"),
             cli_number(option, "max"));
    options_print_columns(stdout, left, right, 28);
}

static void print_strategy(const cJSON *strategy) {
    char when[512];
    const cJSON *option = NULL;
    options_print_columns(stdout, cli_text(strategy, "name"), cli_text(strategy, "help"), 16);
    snprintf(when, sizeof(when), "take it when: %.400s", cli_text(strategy, "when"));
    options_print_columns(stdout, "", when, 16);
    cJSON_ArrayForEach(option, cli_item(strategy, "options")) print_option(option);
}

static int strategies_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL, *item = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    if (code >= 0)
        return code;
    if (cli_get(cli, &err, &doc, "/strategies"))
        return cli_fail(&err);
    if (!cli_print_plain(cli, cli_item(doc, "items")))
        cJSON_ArrayForEach(item, cli_item(doc, "items")) print_strategy(item);
    cJSON_Delete(doc);
    return CLI_OK;
}

static void print_search(struct cli *cli, const cJSON *doc) {
    const cJSON *note;
    cli_fields(doc, searches.fields, searches.n_fields);
    resource_print_failure(cli, doc);
    if (cli_text(doc, "result.ending")[0])
        printf("ended early: %s\n", cli_shown(cli_text(doc, "result.ending")));
    cJSON_ArrayForEach(note, cli_item(doc, "notes"))
        printf("note: %s\n", cli_shown(note->valuestring));
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_page(cli, &(struct resource_word){"/searches/", ""}, print_search, argc, argv);
}

static int cancel_run(struct cli *cli, int argc, char **argv) {
    return resource_stop(cli, &searches, argc, argv);
}

static int pause_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &searches, "pause", argc, argv);
}

static int resume_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &searches, "resume", argc, argv);
}

static int rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &searches, "rm", argc, argv);
}

/* ---- export -------------------------------------------------------------------------------- */

static int export_run(struct cli *cli, int argc, char **argv) {
    const char *file = NULL, *checkpoint = NULL, *dataset = NULL, *format = NULL;
    bool raw = false;
    const struct option_row rows[] = {
        {"file", 'f', OPTION_TEXT, NULL, 0, 0, "", "write the network here (waits for it)", &file},
        {"format", 0, OPTION_TEXT, "onnx", 1, 31, "",
         "onnx, or c: a C99 header with weights, ops and a plain forward pass", &format},
        {"dataset", 'd', OPTION_TEXT, NULL, 0, 0, "",
         "recalibrate its BN statistics on this data set (default: the supernet's)", &dataset},
        {"raw", 0, OPTION_FLAG, NULL, 0, 0, "",
         "with the checkpoint's own BN statistics, without recalibration", &raw},
        {"checkpoint", 'c', OPTION_TEXT, NULL, 0, 0, "",
         "with weights of this checkpoint (default: the newest; of a search: espalier search show)",
         &checkpoint},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){2, 2}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "supernet", argv[first]);
    cJSON_AddStringToObject(body, "arch", argv[first + 1]);
    cJSON_AddStringToObject(body, "format", format);
    cli_put_text(body, "checkpoint", checkpoint);
    cli_put_text(body, "dataset", dataset);
    if (raw)
        cJSON_AddBoolToObject(body, "recalibrate", false);
    code = export_to_file(cli, body, file);
    cJSON_Delete(body);
    return code;
}

const struct cli_command cli_search_ls = {"search", "ls", "", "searches", ls_run};
const struct cli_command cli_search_show = {"search", "show", "SEARCH", "one search", show_run};
const struct cli_command cli_search_strategies = {"search", "strategies", "",
                                                  "how a search can be done", strategies_run};
const struct cli_command cli_search_cancel = {"search", "cancel", "SEARCH...",
                                              "stop searches; they can be resumed", cancel_run};
const struct cli_command cli_search_pause = {"search", "pause", "SEARCH...",
                                             "pause searches until they are resumed", pause_run};
const struct cli_command cli_search_resume = {"search", "resume", "SEARCH...",
                                              "go on with searches", resume_run};
const struct cli_command cli_search_rm = {"search", "rm", "SEARCH...", "remove searches", rm_run};
const struct cli_command cli_arch_export = {"arch", "export", "SUPERNET ARCH",
                                            "export a subnet as ONNX or as C", export_run};
