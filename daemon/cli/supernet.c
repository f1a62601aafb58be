/* espalier supernet train, ls, show, checkpoints, evaluate, rm. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

static const struct column list[] = {{"ID", "id", CELL_TEXT},
                                     {"NAME", "name", CELL_TEXT},
                                     {"SPACE", "space", CELL_TEXT},
                                     {"DATASET", "dataset_name", CELL_TEXT},
                                     {"STATE", "state", CELL_TEXT},
                                     {"STEP", "step", CELL_INT},
                                     {"LARGEST", "top1_largest", CELL_PERCENT},
                                     {"SMALLEST", "top1_smallest", CELL_PERCENT}};
static const struct column fields[] = {
    {"id", "id", CELL_TEXT},
    {"name", "name", CELL_TEXT},
    {"space", "space", CELL_TEXT},
    {"fingerprint", "space_fingerprint", CELL_TEXT},
    {"data set", "dataset_name", CELL_TEXT},
    {"state", "state", CELL_TEXT},
    {"step", "step", CELL_INT},
    {"epoch", "epoch", CELL_INT},
    {"images", "images", CELL_INT},
    {"top-1 largest (validation)", "top1_largest", CELL_PERCENT},
    {"top-1 smallest (validation)", "top1_smallest", CELL_PERCENT},
    {"checkpoint", "checkpoint", CELL_TEXT},
    {"job", "job", CELL_TEXT},
    {"created", "created_at", CELL_TIME}};
static const struct resource supernets = RESOURCE("/supernets", list, fields);

/* What --set and the options below put into "train"; 0 or unset: the daemon's default. */
enum { TIME_DEFAULT_S = 240 };
struct train_options {
    int64_t time_us, epochs, batch, seed;
    double learning_rate;
    const char *regime, *arch;
};

static cJSON *train_body(const struct train_options *o) {
    cJSON *train = cJSON_CreateObject();

    if (o->epochs > 0)
        cJSON_AddNumberToObject(train, "epochs", (double)o->epochs);
    else
        cJSON_AddNumberToObject(train, "time_budget_s",
                                o->time_us > 0 ? (double)o->time_us / 1e6 : TIME_DEFAULT_S);
    if (o->batch > 0)
        cJSON_AddNumberToObject(train, "batch", (double)o->batch);
    if (o->learning_rate > 0)
        cJSON_AddNumberToObject(train, "learning_rate", o->learning_rate);
    if (o->seed >= 0)
        cJSON_AddNumberToObject(train, "seed", (double)o->seed);
    if (o->regime)
        cJSON_AddStringToObject(train, "regime", o->regime);
    if (o->arch)
        cJSON_AddStringToObject(train, "arch", o->arch);
    return train;
}

/* SUPERNET[@CHECKPOINT] */
static cJSON *init_body(const char *text) {
    cJSON *init = cJSON_CreateObject();
    const char *at = strrchr(text, '@');
    char supernet[256];

    snprintf(supernet, sizeof(supernet), "%.*s", at ? (int)(at - text) : 255, text);
    cJSON_AddStringToObject(init, "supernet", supernet);
    if (at)
        cJSON_AddStringToObject(init, "checkpoint", at + 1);
    return init;
}

struct new_supernet {
    const char *space, *dataset, *init_from;
};

static cJSON *supernet_body(const char *name, const struct new_supernet *new) {
    cJSON *body = cJSON_CreateObject();

    cJSON_AddStringToObject(body, "name", name);
    if (new->space)
        cJSON_AddStringToObject(body, "space", new->space);
    if (new->dataset)
        cJSON_AddStringToObject(body, "dataset", new->dataset);
    if (new->init_from)
        cJSON_AddItemToObject(body, "init_from", init_body(new->init_from));
    return body;
}

static int train_run(struct cli *cli, int argc, char **argv) {
    struct train_options o = {.seed = -1};
    struct new_supernet new = {NULL, NULL, NULL};
    const struct option_row rows[] = {
        {"space", 's', OPTION_TEXT, NULL, 1, 63, "", "search space (a new supernet needs it)",
         &new.space},
        {"dataset", 'd', OPTION_TEXT, NULL, 1, 63, "", "data set (a new supernet needs it)",
         &new.dataset},
        {"init-from", 0, OPTION_TEXT, NULL, 1, 200, "",
         "a new supernet begins with the weights of SUPERNET[@CHECKPOINT], whose space and data "
         "set are the defaults; other classes get a new classifier",
         &new.init_from},
        {"regime", 'r', OPTION_TEXT, NULL, 1, 63, "",
         "sandwich (default), progressive, coupled, single", &o.regime},
        {"arch", 'a', OPTION_TEXT, NULL, 1, 1023, "", "train this one arch alone (regime single)",
         &o.arch},
        {"time", 't', OPTION_DURATION, NULL, 1e6, 1e12, "",
         "train about this long (4m when neither this nor --epochs is given)", &o.time_us},
        {"epochs", 'e', OPTION_INT, "0", 0, 100000, "", "or this many epochs (0: by time)",
         &o.epochs},
        {"batch", 0, OPTION_INT, "0", 0, 65536, "images", "images of a step (0: default)",
         &o.batch},
        {"learning-rate", 0, OPTION_REAL, "0", 0, 100, "", "peak learning rate (0: default)",
         &o.learning_rate},
        {"seed", 0, OPTION_INT, "-1", -1, 9e15, "", "of the run", &o.seed},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *body = NULL, *doc = NULL;
    char path[512] = "/supernets";
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (o.time_us > 0 && o.epochs > 0)
        return cli_usage("--time and --epochs exclude each other");
    if (!new.init_from && !new.space != !new.dataset)
        return cli_usage("a new supernet needs --space and --dataset, or --init-from; one that "
                         "exists takes none of them");
    body = new.space || new.init_from ? supernet_body(argv[first], &new) : cJSON_CreateObject();
    cJSON_AddItemToObject(body, "train", train_body(&o));
    if (!new.space && !new.init_from) {
        snprintf(path, sizeof(path), "/supernets/%.300s/train", cli_encode(argv[first]));
    }
    int rc = cli_send(cli, "POST", path, body, &err, &doc);
    cJSON_Delete(body);
    return rc ? cli_fail(&err) : cli_started(cli, doc, "supernet");
}

static int ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &supernets, argc, argv);
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_show(cli, &supernets, argc, argv);
}

static int rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &supernets, "rm", argc, argv);
}

static int checkpoints_run(struct cli *cli, int argc, char **argv) {
    static const struct column columns[] = {{"ID", "id", CELL_TEXT},
                                            {"STEP", "step", CELL_INT},
                                            {"EPOCH", "epoch", CELL_INT},
                                            {"SIZE", "bytes", CELL_BYTES},
                                            {"LARGEST", "top1_largest", CELL_PERCENT},
                                            {"SMALLEST", "top1_smallest", CELL_PERCENT},
                                            {"CREATED", "created_at", CELL_TIME}};
    static const struct resource_part part = {"/supernets", "checkpoints", columns, COUNT(columns)};

    return resource_parts(cli, &part, argc, argv);
}

static int print_evaluations(struct cli *cli, const char *supernet, const char *split) {
    static const struct column columns[] = {
        {"TOP-1", "top1", CELL_PERCENT}, {"WITHOUT RECALIBRATION", "top1_raw", CELL_PERCENT},
        {"LOSS", "loss", CELL_REAL},     {"IMAGES", "images", CELL_INT},
        {"SPLIT", "split", CELL_TEXT},   {"ARCH", "arch", CELL_TEXT}};
    struct err err = {0};
    cJSON *items = NULL;
    char path[512];

    snprintf(path, sizeof(path), "/evaluations?supernet=%s&split=%s", cli_encode(supernet),
             cli_encode(split));
    if (cli_list(cli, path, &err, &items))
        return cli_fail(&err);
    cli_table(cli, items, columns, COUNT(columns));
    cJSON_Delete(items);
    return CLI_OK;
}

static int evaluate_run(struct cli *cli, int argc, char **argv) {
    bool test = false, report = false;
    const struct option_row rows[] = {
        {"test", 0, OPTION_FLAG, NULL, 0, 0, "",
         "on the test images (for networks that are pinned or exported)", &test},
        {"report", 'r', OPTION_FLAG, NULL, 0, 0, "",
         "largest, smallest and random subnets, with and without recalibration", &report},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1000}, &first);

    if (code >= 0)
        return code;
    if (argc - first < 2 && !report)
        return cli_usage("name archs to evaluate, or --report");
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "supernet", argv[first]);
    cJSON_AddStringToObject(body, "split", test ? "test" : "validation");
    if (report)
        cJSON_AddBoolToObject(body, "report", true);
    if (argc - first > 1)
        cJSON_AddItemToObject(
            body, "archs",
            cJSON_CreateStringArray((const char *const *)argv + first + 1, argc - first - 1));
    int rc = cli_send(cli, "POST", "/evaluations", body, &err, &doc);
    cJSON_Delete(body);
    if (rc)
        return cli_fail(&err);
    if (!cli->wait)
        return cli_started(cli, doc, "job");
    code = cli_wait(cli, cli_text(doc, "job.id"));
    cJSON_Delete(doc);
    return code ? code : print_evaluations(cli, argv[first], test ? "test" : "validation");
}

const struct cli_command cli_supernet_train = {
    "supernet", "train", "NAME", "train a new supernet, or one that exists further", train_run};
const struct cli_command cli_supernet_ls = {"supernet", "ls", "", "supernets", ls_run};
const struct cli_command cli_supernet_show = {"supernet", "show", "SUPERNET", "one supernet",
                                              show_run};
const struct cli_command cli_supernet_checkpoints = {"supernet", "checkpoints", "SUPERNET",
                                                     "its checkpoints", checkpoints_run};
const struct cli_command cli_supernet_evaluate = {"supernet", "evaluate", "SUPERNET [ARCH...]",
                                                  "top-1 of subnets, BN statistics recalibrated",
                                                  evaluate_run};
const struct cli_command cli_supernet_rm = {"supernet", "rm", "SUPERNET...",
                                            "remove supernets with their checkpoints", rm_run};
