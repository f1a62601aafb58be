/* espalier dataset add, ls, show, rm. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"
#include "daemon/cli/upload.h"

enum { CLASSES_SHOWN = 100 };

static const struct column list[] = {
    {"ID", "id", CELL_TEXT},         {"NAME", "name", CELL_TEXT},
    {"FORMAT", "format", CELL_TEXT}, {"STATE", "state", CELL_TEXT},
    {"TRAIN", "n_train", CELL_INT},  {"VALIDATION", "n_validation", CELL_INT},
    {"TEST", "n_test", CELL_INT},    {"CLASSES", "n_classes", CELL_INT}};
static const struct column fields[] = {{"id", "id", CELL_TEXT},
                                       {"name", "name", CELL_TEXT},
                                       {"path", "path", CELL_TEXT},
                                       {"format", "format", CELL_TEXT},
                                       {"state", "state", CELL_TEXT},
                                       {"error", "error.message", CELL_TEXT},
                                       {"channels", "channels", CELL_INT},
                                       {"height", "height", CELL_INT},
                                       {"width", "width", CELL_INT},
                                       {"classes", "n_classes", CELL_INT},
                                       {"train", "n_train", CELL_INT},
                                       {"validation", "n_validation", CELL_INT},
                                       {"test", "n_test", CELL_INT},
                                       {"files", "n_files", CELL_INT},
                                       {"skipped", "n_skipped", CELL_INT},
                                       {"enlarged", "n_enlarged", CELL_INT},
                                       {"revision", "revision", CELL_TEXT},
                                       {"created", "created_at", CELL_TIME}};
static const struct resource datasets = RESOURCE("/datasets", list, fields);

struct add_options {
    const char *format;
    int64_t validation, seed, side;
    double max_skipped;
    bool upload;
    const char *resume;
};

static cJSON *make_body(const char *name, const struct add_options *options) {
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", name);
    cli_put_text(body, "format", options->format);
    cli_put_int(body, "validation", options->validation);
    cli_put_int(body, "side", options->side);
    cli_put_real(body, "max_skipped", options->max_skipped);
    cli_put_int(body, "split_seed", options->seed);
    return body;
}

/* A path that only this machine has. */
static void hint(struct err *err, const char *path) {
    char text[sizeof(err->message)];
    if (strcmp(err->pointer, "/path") != 0 ||
        (err->code != ESP_ENOTFOUND && err->code != ESP_EFORBIDDEN))
        return;
    snprintf(text, sizeof(text), "%.380s; --upload copies %.100s there", err->message, path);
    snprintf(err->message, sizeof(err->message), "%s", text);
}

static int add(struct cli *cli, const char *name, const char *path, bool here,
               const struct add_options *options) {
    struct err err = {0};
    cJSON *doc = NULL, *body = make_body(name, options);
    char upload[64];
    int rc = 0;
    if (options->upload || options->resume) {
        rc = cli_upload(cli, path, options->resume, &err, upload);
        if (rc == 0)
            cJSON_AddStringToObject(body, "upload", upload);
    } else {
        cJSON_AddStringToObject(body, "path", path);
    }
    if (rc == 0)
        rc = cli_send(cli, "POST", "/datasets", body, &err, &doc);
    if (rc != 0 && (options->upload || options->resume) && err.code == ESP_ECONFLICT)
        err_prefix(&err, rc, "the upload is kept (--resume %s)", upload);
    if (rc != 0 && here && !options->upload)
        hint(&err, path);
    cJSON_Delete(body);
    return rc ? cli_fail(&err) : cli_started(cli, doc, "dataset");
}

static int add_run(struct cli *cli, int argc, char **argv) {
    struct add_options options = {.validation = CLI_UNSET, .side = CLI_UNSET};
    const struct option_row rows[] = {
        {"format", 'f', OPTION_TEXT, NULL, 0, 0, "",
         "idx, cifar10, cifar100, folder (default: by the look of it)", &options.format},
        {"validation", 0, OPTION_INT, NULL, 0, 0, "",
         "training images held out for validation (default: a tenth, 5,000 at most)",
         &options.validation},
        {"split-seed", 0, OPTION_INT, "1", 0, 0, "", "seed that chooses them", &options.seed},
        {"side", 0, OPTION_INT, NULL, 0, 0, "pixels",
         "side that images of a folder are kept at (default: by the files, 256 at most)",
         &options.side},
        {"max-skipped", 0, OPTION_REAL, "0.05", 0, 0, "",
         "share of a folder's images that may be unusable", &options.max_skipped},
        {"upload", 0, OPTION_FLAG, NULL, 0, 0, "",
         "copy the folder to the daemon first, from this machine", &options.upload},
        {"resume", 0, OPTION_TEXT, NULL, 0, 0, "", "go on with an upload that was broken off",
         &options.resume},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    char path[4096];
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 2}, &first);

    if (code >= 0)
        return code;
    /* Where it is opened by the daemon, a path means something there only: made absolute here, or
     * passed on as it is when it is none of this machine's. */
    const char *given = argv[argc - 1];
    bool here = realpath(given, path) != NULL;
    if (!here && (given[0] != '/' || options.upload))
        return cli_usage("%s: no such folder on this machine", given);
    if (!here)
        snprintf(path, sizeof(path), "%s", given);
    const char *name = argc - first > 1 ? argv[first] : strrchr(path, '/') + 1;
    return add(cli, name, path, here, &options);
}

static int ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &datasets, argc, argv);
}

static void print_classes(const cJSON *dataset) {
    const cJSON *classes = cJSON_GetObjectItem(dataset, "classes"), *name;
    int n = 0;
    cJSON_ArrayForEach(name, classes) {
        if (n == CLASSES_SHOWN)
            break;
        printf("%s%s", n++ ? ", " : "classes: ", cli_shown(cJSON_GetStringValue(name)));
    }
    if (n > 0)
        printf("%s\n", n < cJSON_GetArraySize(classes) ? ", … (--json shows all)" : "");
}

static void print_skipped(const cJSON *dataset) {
    const cJSON *skipped = cJSON_GetObjectItem(dataset, "skipped"), *row;
    int shown = cJSON_GetArraySize(skipped);
    cJSON_ArrayForEach(row, skipped) printf("skipped: %s: %s\n", cli_shown(cli_text(row, "name")),
                                            cli_shown(cli_text(row, "reason")));
    if (shown > 0 && cli_number(dataset, "n_skipped") > shown)
        printf("skipped: … and %.0f more\n", cli_number(dataset, "n_skipped") - shown);
}

static void print_dataset(struct cli *cli, const cJSON *doc) {
    cli_fields(doc, datasets.fields, datasets.n_fields);
    print_classes(doc);
    print_skipped(doc);
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_page(cli, &(struct resource_word){"/datasets/", ""}, print_dataset, argc, argv);
}

static int rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &datasets, "rm", argc, argv);
}

const struct cli_command cli_dataset_add = {"dataset", "add", "[NAME] PATH",
                                            "register a folder of labelled images", add_run};
const struct cli_command cli_dataset_ls = {"dataset", "ls", "", "data sets", ls_run};
const struct cli_command cli_dataset_show = {"dataset", "show", "DATASET", "one data set",
                                             show_run};
const struct cli_command cli_dataset_rm = {"dataset", "rm", "DATASET...",
                                           "forget data sets (their files stay)", rm_run};
