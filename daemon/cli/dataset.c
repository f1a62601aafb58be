/* espalier dataset add, ls, show, rm. */
#include <math.h>
#include <stdlib.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

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
                                       {"revision", "revision", CELL_TEXT},
                                       {"created", "created_at", CELL_TIME}};
static const struct resource datasets = RESOURCE("/datasets", list, fields);

static int add_run(struct cli *cli, int argc, char **argv) {
    const char *format = NULL;
    int64_t validation = 5000, seed = 1;
    const struct option_row rows[] = {
        {"format", 'f', OPTION_TEXT, NULL, 0, 32, "",
         "idx, cifar10, cifar100 (default: by the look of the folder)", &format},
        {"validation", 0, OPTION_INT, "5000", 1, 10000000, "images",
         "training images held out for validation", &validation},
        {"split-seed", 0, OPTION_INT, "1", 0, 9e15, "", "seed that chooses them", &seed},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *body = NULL, *doc = NULL;
    char path[4096];
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){2, 2}, &first);

    if (code >= 0)
        return code;
    /* The daemon opens the path, so it is made absolute here, where it means something. */
    if (!realpath(argv[first + 1], path))
        return cli_usage("%s: no such folder on this machine; --upload is not offered yet, name a "
                         "folder below the daemon's data root",
                         argv[first + 1]);
    body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", argv[first]);
    cJSON_AddStringToObject(body, "path", path);
    if (format)
        cJSON_AddStringToObject(body, "format", format);
    cJSON_AddNumberToObject(body, "validation", (double)validation);
    cJSON_AddNumberToObject(body, "split_seed", (double)seed);
    int rc = cli_send(cli, "POST", "/datasets", body, &err, &doc);
    cJSON_Delete(body);
    return rc ? cli_fail(&err) : cli_started(cli, doc, "dataset");
}

static int ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &datasets, argc, argv);
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_show(cli, &datasets, argc, argv);
}

static int rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &datasets, "rm", argc, argv);
}

const struct cli_command cli_dataset_add = {"dataset", "add", "NAME PATH",
                                            "register a folder of labelled images", add_run};
const struct cli_command cli_dataset_ls = {"dataset", "ls", "", "data sets", ls_run};
const struct cli_command cli_dataset_show = {"dataset", "show", "DATASET", "one data set",
                                             show_run};
const struct cli_command cli_dataset_rm = {"dataset", "rm", "DATASET...",
                                           "forget data sets (their files stay)", rm_run};
