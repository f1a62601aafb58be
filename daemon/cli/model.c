/* espalier latency import, predictor import, model ls, show, rm: what other programs know of a
 * space. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"
#include "daemon/cli/upload.h"

static const struct column list[] = {
    {"ID", "id", CELL_TEXT},       {"NAME", "name", CELL_TEXT},   {"KIND", "kind", CELL_TEXT},
    {"SPACE", "space", CELL_TEXT}, {"STATE", "state", CELL_TEXT}, {"SOURCE", "source", CELL_TEXT}};
static const struct column fields[] = {
    {"id", "id", CELL_TEXT},
    {"name", "name", CELL_TEXT},
    {"kind", "kind", CELL_TEXT},
    {"space", "space", CELL_TEXT},
    {"state", "state", CELL_TEXT},
    {"source", "source", CELL_TEXT},
    {"units known", "summary.entries", CELL_INT},
    {"units missing", "summary.missing", CELL_INT},
    {"keys of another space", "summary.foreign", CELL_INT},
    {"top-1 of the smallest", "summary.smallest_top1", CELL_PERCENT},
    {"top-1 of the largest", "summary.largest_top1", CELL_PERCENT},
    {"job", "job", CELL_TEXT},
    {"created", "created_at", CELL_TIME}};
static const struct resource models = RESOURCE("/models", list, fields);
static const struct column files[] = {{"FILE", "name", CELL_TEXT},
                                      {"PIXELS", "resolution", CELL_INT},
                                      {"KEYS", "keys", CELL_INT},
                                      {"UNITS", "entries", CELL_INT},
                                      {"MISSING", "missing", CELL_INT},
                                      {"FOREIGN", "foreign", CELL_INT},
                                      {"SMALLEST NET", "smallest_us", CELL_LATENCY},
                                      {"LARGEST NET", "largest_us", CELL_LATENCY}};

struct import_options {
    const char *space, *source, *resolutions;
    bool upload;
};

/* What of a file fits the space, and the first keys of what does not. */
static void print_fit(FILE *to, const cJSON *file) {
    fprintf(to, "%s: %.0f units of the space known", cli_shown(cli_text(file, "name")),
            cli_number(file, "entries"));
    if (cli_number(file, "missing") > 0)
        fprintf(to, "; %.0f missing, the first for want of \"%s\"", cli_number(file, "missing"),
                cli_shown(cli_text(file, "first_missing")));
    if (cli_number(file, "foreign") > 0)
        fprintf(to, "; %.0f of %.0f keys are of no unit of the space, the first \"%s\"",
                cli_number(file, "foreign"), cli_number(file, "keys"),
                cli_shown(cli_text(file, "first_foreign")));
    fputc('\n', to);
}

/* What became of a model that is imported. */
static int tell_fit(struct cli *cli, const char *model) {
    FILE *to = cli_remarks(cli);
    struct err err = {0};
    cJSON *doc = NULL;
    const cJSON *file;
    if (cli_get(cli, &err, &doc, "/models/%s", cli_encode(model)))
        return cli_fail(&err);
    cJSON_ArrayForEach(file, cli_item(doc, "summary.files")) print_fit(to, file);
    cJSON_Delete(doc);
    return CLI_OK;
}

/* "128,160": numbers; what they mean the daemon says. */
static int add_resolutions(const char *text, cJSON *body) {
    cJSON *numbers = text ? cJSON_AddArrayToObject(body, "resolutions") : NULL;
    for (const char *at = text; at && *at;) {
        char *end;
        double value = strtod(at, &end);
        if (end == at || (*end && *end != ','))
            return cli_usage("--resolutions: \"%.100s\" is no list of numbers", text);
        cJSON_AddItemToArray(numbers, cJSON_CreateNumber(value));
        at = *end ? end + 1 : end;
    }
    return CLI_OK;
}

static int import(struct cli *cli, const char *name, const char *kind,
                  const struct import_options *options) {
    struct err err = {0};
    cJSON *doc = NULL, *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", name);
    cJSON_AddStringToObject(body, "kind", kind);
    cJSON_AddStringToObject(body, "space", options->space);
    int code = add_resolutions(options->resolutions, body);
    if (code != CLI_OK) {
        cJSON_Delete(body);
        return code;
    }
    int rc = cli_add_source(cli, options->source, options->upload, &err, body);
    if (rc == 0)
        rc = cli_send(cli, "POST", "/models", body, &err, &doc);
    cJSON_Delete(body);
    if (rc)
        return cli_fail(&err);
    char model[64];
    snprintf(model, sizeof model, "%s", cli_text(doc, "model.id"));
    code = cli_started(cli, doc, "model");
    return code == CLI_OK && cli->wait ? tell_fit(cli, model) : code;
}

static int latency_import_run(struct cli *cli, int argc, char **argv) {
    struct import_options options = {.space = NULL};
    const struct option_row rows[] = {
        {"ofa", 0, OPTION_TEXT, NULL, 0, 0, "",
         "YAML table of once-for-all or ProxylessNAS, or a folder of them, one for each resolution "
         "(needed)",
         &options.source},
        {"space", 's', OPTION_TEXT, NULL, 0, 0, "", "space whose units are looked up (needed)",
         &options.space},
        {"upload", 0, OPTION_FLAG, NULL, 0, 0, "", "copy it to the daemon first, from this machine",
         &options.upload},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (!options.space || !options.source)
        return cli_usage("an import needs --space and --ofa");
    return import(cli, argv[first], "latency", &options);
}

static int predictor_import_run(struct cli *cli, int argc, char **argv) {
    struct import_options options = {.space = NULL};
    const struct option_row rows[] = {
        {"file", 'f', OPTION_TEXT, NULL, 0, 0, "",
         "once-for-all's acc_predictor.pth, one that its library saved, or as safetensors (needed)",
         &options.source},
        {"space", 's', OPTION_TEXT, NULL, 0, 0, "", "space that it is of (needed)", &options.space},
        {"resolutions", 0, OPTION_TEXT, NULL, 0, 0, "",
         "of a library's predictor, in the order that it was trained with, such as 128,160,192,224 "
         "(default by their number, see docs/API.md)",
         &options.resolutions},
        {"upload", 0, OPTION_FLAG, NULL, 0, 0, "", "copy it to the daemon first, from this machine",
         &options.upload},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (!options.space || !options.source)
        return cli_usage("an import needs --space and --file");
    return import(cli, argv[first], "accuracy", &options);
}

static int ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &models, argc, argv);
}

static void print_model(struct cli *cli, const cJSON *doc) {
    cli_fields(doc, models.fields, models.n_fields);
    resource_print_failure(cli, doc);
    if (cli_item(doc, "summary.files"))
        cli_table(cli, cli_item(doc, "summary.files"), files, COUNT(files));
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_page(cli, &(struct resource_word){"/models/", ""}, print_model, argc, argv);
}

static int rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &models, "rm", argc, argv);
}

const struct cli_command cli_latency_import = {
    "latency", "import", "NAME", "take over latency tables of once-for-all", latency_import_run};
const struct cli_command cli_predictor_import = {"predictor", "import", "NAME",
                                                 "take over once-for-all's accuracy predictor",
                                                 predictor_import_run};
const struct cli_command cli_model_ls = {"model", "ls", "",
                                         "imported latency models and accuracy predictors", ls_run};
const struct cli_command cli_model_show = {"model", "show", "MODEL", "one of them", show_run};
const struct cli_command cli_model_rm = {"model", "rm", "MODEL...", "remove them", rm_run};
