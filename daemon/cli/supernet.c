/* espalier supernet train, ls, show, checkpoints, evaluate, rm; checkpoint rm. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
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

/* What --set and the options below put into "train"; what is not given, the daemon chooses. */
enum { TIME_DEFAULT_S = 240 };
struct train_options {
    int64_t time_us, batch, seed;
    double epochs, learning_rate, drop_connect;
    const char *regime, *arch, *set;
};

/* The object of --set with what the other options say; NULL if it is none. */
static cJSON *train_body(const struct train_options *o) {
    cJSON *train = NULL;
    if (!o->set)
        train = cJSON_CreateObject();
    else if (json_parse(o->set, strlen(o->set), &json_limits_default, NULL, &train) != 0)
        return NULL;
    bool timed =
        cJSON_HasObjectItem(train, "epochs") || cJSON_HasObjectItem(train, "time_budget_s");
    if (!cJSON_IsObject(train)) {
        cJSON_Delete(train);
        return NULL;
    }
    cli_put_real(train, "epochs", o->epochs);
    if (o->time_us != CLI_UNSET)
        cli_put_real(train, "time_budget_s", (double)o->time_us / 1e6);
    else if (isnan(o->epochs) && !timed)
        cli_put_real(train, "time_budget_s", TIME_DEFAULT_S);
    cli_put_int(train, "batch", o->batch);
    cli_put_real(train, "learning_rate", o->learning_rate);
    cli_put_real(train, "drop_connect", o->drop_connect);
    cli_put_int(train, "seed", o->seed);
    cli_put_text(train, "regime", o->regime);
    cli_put_text(train, "arch", o->arch);
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
    struct train_options o = {.time_us = CLI_UNSET,
                              .batch = CLI_UNSET,
                              .seed = CLI_UNSET,
                              .epochs = CLI_UNSET_REAL,
                              .learning_rate = CLI_UNSET_REAL,
                              .drop_connect = CLI_UNSET_REAL};
    struct new_supernet new = {NULL, NULL, NULL};
    const struct option_row rows[] = {
        {"space", 's', OPTION_TEXT, NULL, 0, 0, "", "search space (a new supernet needs it)",
         &new.space},
        {"dataset", 'd', OPTION_TEXT, NULL, 0, 0, "", "data set (a new supernet needs it)",
         &new.dataset},
        {"init-from", 0, OPTION_TEXT, NULL, 0, 0, "",
         "a new supernet begins with the weights of SUPERNET[@CHECKPOINT], whose space and data "
         "set are the defaults; other classes get a new classifier",
         &new.init_from},
        {"regime", 'r', OPTION_TEXT, NULL, 0, 0, "",
         "sandwich (default), progressive, coupled, single", &o.regime},
        {"arch", 'a', OPTION_TEXT, NULL, 0, 0, "", "train this one arch alone (regime single)",
         &o.arch},
        {"time", 't', OPTION_DURATION, NULL, 0, 0, "",
         "train about this long (4m when neither this nor --epochs is given)", &o.time_us},
        {"epochs", 'e', OPTION_REAL, NULL, 0, 0, "", "or this many epochs, such as 12 or 0.5",
         &o.epochs},
        {"batch", 0, OPTION_INT, NULL, 0, 0, "", "images of a step", &o.batch},
        {"learning-rate", 0, OPTION_REAL, NULL, 0, 0, "", "peak learning rate", &o.learning_rate},
        {"drop-connect", 0, OPTION_REAL, NULL, 0, 0, "",
         "share of images that do without the last residual block, less for those before it",
         &o.drop_connect},
        {"seed", 0, OPTION_INT, NULL, 0, 0, "", "of the run", &o.seed},
        {"set", 0, OPTION_TEXT, NULL, 2, 65536, "",
         "more settings, as JSON: '{\"weight_decay\": 4e-4, \"random_subnets\": 1}' "
         "(docs/TRAINING.md)",
         &o.set},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *body = NULL, *doc = NULL;
    char path[512] = "/supernets";
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (o.time_us != CLI_UNSET && !isnan(o.epochs))
        return cli_usage("--time and --epochs exclude each other");
    if (!new.init_from && !new.space != !new.dataset)
        return cli_usage("a new supernet needs --space and --dataset, or --init-from; one that "
                         "exists takes none of them");
    cJSON *train = train_body(&o);
    if (!train)
        return cli_usage("--set takes a JSON object");
    body = new.space || new.init_from ? supernet_body(argv[first], &new) : cJSON_CreateObject();
    cJSON_AddItemToObject(body, "train", train);
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

static int pause_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &supernets, "pause", argc, argv);
}

static int resume_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &supernets, "resume", argc, argv);
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

/* What was asked for, as the daemon understood it, and which checkpoint it went by. */
struct asked {
    const cJSON *archs;
    const char *supernet, *split, *dataset;
    const char *checkpoint; /* before the job: what was asked for; then its hash */
    const char *revision;   /* of the data set */
    int64_t recalibration;  /* images */
    bool report, raw;
};

static bool was_asked(const struct asked *asked, const cJSON *row) {
    const cJSON *arch = NULL;
    if (strcmp(cli_text(row, "checkpoint"), asked->checkpoint) ||
        strcmp(cli_text(row, "dataset_revision"), asked->revision) ||
        cJSON_GetNumberValue(cli_item(row, "recalibration_images")) != (double)asked->recalibration)
        return false;
    if (asked->report && cJSON_IsNumber(cli_item(row, "top1_raw")))
        return true; /* reports alone look both ways */
    cJSON_ArrayForEach(arch, asked->archs) if (!strcmp(cli_text(row, "arch"),
                                                       cJSON_GetStringValue(arch))) return true;
    return false;
}

static int print_evaluations(struct cli *cli, const struct asked *asked) {
    static const struct column columns[] = {
        {"TOP-1", "top1", CELL_PERCENT}, {"WITHOUT RECALIBRATION", "top1_raw", CELL_PERCENT},
        {"LOSS", "loss", CELL_REAL},     {"IMAGES", "images", CELL_INT},
        {"SPLIT", "split", CELL_TEXT},   {"ARCH", "arch", CELL_TEXT}};
    struct err err = {0};
    cJSON *items = NULL, *rows = cJSON_CreateArray();
    char path[512];

    snprintf(path, sizeof(path), "/evaluations?supernet=%.300s&split=%.30s",
             cli_encode(asked->supernet), cli_encode(asked->split));
    int rc = cli_list(cli, path, &err, &items);
    for (cJSON *item = rc ? NULL : items->child, *next; item; item = next) {
        next = item->next;
        if (was_asked(asked, item))
            cJSON_AddItemToArray(rows, cJSON_DetachItemViaPointer(items, item));
    }
    if (!rc)
        cli_table(cli, rows, columns, COUNT(columns));
    cJSON_Delete(items);
    cJSON_Delete(rows);
    return rc ? cli_fail(&err) : CLI_OK;
}

/* Waits for the evaluation that answer is about, and prints what it found. */
static int wait_for_evaluations(struct cli *cli, const cJSON *answer, struct asked *asked) {
    cJSON *job = NULL;
    int code = cli_wait_for_result(cli, answer, &job);

    if (code)
        return code;
    asked->archs = cli_item(answer, "archs");
    asked->checkpoint = cli_text(job, "result.checkpoint");
    asked->revision = cli_text(job, "result.dataset_revision");
    asked->recalibration =
        (int64_t)cJSON_GetNumberValue(cli_item(job, "result.recalibration_images"));
    code = print_evaluations(cli, asked);
    cJSON_Delete(job);
    return code;
}

static cJSON *evaluation_body(const struct asked *asked, const char *const *archs, int n) {
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "supernet", asked->supernet);
    cJSON_AddStringToObject(body, "split", asked->split);
    if (asked->checkpoint)
        cJSON_AddStringToObject(body, "checkpoint", asked->checkpoint);
    cli_put_text(body, "dataset", asked->dataset);
    if (asked->report)
        cJSON_AddBoolToObject(body, "report", true);
    if (asked->raw)
        cJSON_AddBoolToObject(body, "recalibrate", false);
    if (n > 0)
        cJSON_AddItemToObject(body, "archs", cJSON_CreateStringArray(archs, n));
    return body;
}

static int evaluate_run(struct cli *cli, int argc, char **argv) {
    struct asked asked = {NULL};
    bool test = false;
    const struct option_row rows[] = {
        {"test", 0, OPTION_FLAG, NULL, 0, 0, "",
         "on the test images (for networks that are pinned or exported)", &test},
        {"dataset", 'd', OPTION_TEXT, NULL, 0, 0, "",
         "on this data set, of as many classes (default: the supernet's)", &asked.dataset},
        {"raw", 0, OPTION_FLAG, NULL, 0, 0, "",
         "by the checkpoint's own BN statistics, without recalibration", &asked.raw},
        {"report", 'r', OPTION_FLAG, NULL, 0, 0, "",
         "largest, smallest and random subnets, with and without recalibration", &asked.report},
        {"checkpoint", 'c', OPTION_TEXT, NULL, 0, 0, "",
         "weights of this checkpoint (default: the newest)", &asked.checkpoint},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1000}, &first);

    if (code >= 0)
        return code;
    asked.supernet = argv[first];
    asked.split = test ? "test" : "validation";
    cJSON *body = evaluation_body(&asked, (const char *const *)argv + first + 1, argc - first - 1);
    int rc = cli_send(cli, "POST", "/evaluations", body, &err, &doc);
    cJSON_Delete(body);
    if (rc)
        return cli_fail(&err);
    if (!cli->wait)
        return cli_started(cli, doc, "job");
    code = wait_for_evaluations(cli, doc, &asked);
    cJSON_Delete(doc);
    return code;
}

static int checkpoint_rm_run(struct cli *cli, int argc, char **argv) {
    static const struct resource checkpoints = {.path = "/checkpoints"};
    return resource_act(cli, &checkpoints, "rm", argc, argv);
}

const struct cli_command cli_supernet_train = {
    "supernet", "train", "NAME", "train a new supernet, or one that exists further", train_run};
const struct cli_command cli_supernet_ls = {"supernet", "ls", "", "supernets", ls_run};
const struct cli_command cli_supernet_show = {"supernet", "show", "SUPERNET", "one supernet",
                                              show_run};
const struct cli_command cli_supernet_checkpoints = {"supernet", "checkpoints", "SUPERNET",
                                                     "its checkpoints", checkpoints_run};
const struct cli_command cli_supernet_evaluate = {
    "supernet", "evaluate", "SUPERNET [ARCH...]",
    "top-1 of subnets, BN statistics recalibrated or not; without ARCH of the one trained alone",
    evaluate_run};
const struct cli_command cli_supernet_pause = {"supernet", "pause", "SUPERNET...",
                                               "pause trainings until they are resumed", pause_run};
const struct cli_command cli_supernet_resume = {"supernet", "resume", "SUPERNET...",
                                                "go on with trainings", resume_run};
const struct cli_command cli_checkpoint_rm = {"checkpoint", "rm", "CHECKPOINT...",
                                              "remove checkpoints that nothing needs",
                                              checkpoint_rm_run};
const struct cli_command cli_supernet_rm = {"supernet", "rm", "SUPERNET...",
                                            "remove supernets with their checkpoints", rm_run};
