/* espalier supernet estimate, estimates: what inherited weights are worth. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

static void print_tau(FILE *out, const cJSON *found, const char *key) {
    const cJSON *interval = cli_item(cli_item(found, "kendall_tau_interval"), key);
    fprintf(out, " %.3f", cli_number(cli_item(found, "kendall_tau"), key));
    if (cJSON_GetArraySize(interval) == 2)
        fprintf(out, " (%.2f to %.2f)", cJSON_GetArrayItem(interval, 0)->valuedouble,
                cJSON_GetArrayItem(interval, 1)->valuedouble);
}

static void print_taus(const struct cli *cli, const cJSON *found) {
    static const struct {
        const char *key, *text;
    } rows[] = {{"inherited_scratch", "inherited to scratch"},
                {"fine_tuned_scratch", "fine-tuned to scratch"},
                {"inherited_fine_tuned", "inherited to fine-tuned"}};
    FILE *out = cli_remarks(cli);
    fprintf(out, "\nKendall tau of %.0f networks, 90 %% interval:", cli_number(found, "n"));
    for (int i = 0; i < COUNT(rows); i++) {
        fprintf(out, "%s %s", i > 0 ? "," : "", rows[i].text);
        print_tau(out, found, rows[i].key);
    }
    fprintf(out,
            "\nspent: inherited %.1f s, fine-tuned %.1f s on %.0f images, scratch %.1f s on %.0f "
            "images\n",
            cli_number(found, "spent.inherited.seconds"),
            cli_number(found, "spent.fine_tuned.seconds"),
            cli_number(found, "spent.fine_tuned.images"),
            cli_number(found, "spent.scratch.seconds"), cli_number(found, "spent.scratch.images"));
}

static int print_estimates(struct cli *cli, const cJSON *found) {
    static const struct column columns[] = {{"MACS", "macs", CELL_MACS},
                                            {"INHERITED", "inherited", CELL_PERCENT},
                                            {"FINE-TUNED", "fine_tuned", CELL_PERCENT},
                                            {"SCRATCH", "scratch", CELL_PERCENT},
                                            {"ARCH", "arch", CELL_TEXT}};
    if (cli_print_plain(cli, found))
        return CLI_OK;
    cli_table(cli, cli_item(found, "networks"), columns, COUNT(columns));
    if (!cli->no_headers)
        print_taus(cli, found);
    return CLI_OK;
}

/* A JSON object of that option into body; NULL: the daemon's default. */
static bool put_training(cJSON *body, const char *member, const char *text, double epochs) {
    cJSON *train = NULL;
    if (!text && isnan(epochs))
        return true;
    if (text && json_parse(text, strlen(text), &json_limits_default, NULL, &train) != 0)
        return false;
    if (!text)
        train = cJSON_CreateObject();
    cli_put_real(train, "epochs", epochs);
    cJSON_AddItemToObject(body, member, train);
    return cJSON_IsObject(train);
}

struct asked {
    int64_t n, seed;
    double scratch_epochs, fine_tune_epochs;
    const char *scratch, *fine_tune, *dataset, *checkpoint;
};

static int send(struct cli *cli, const struct asked *asked, char **words, int n) {
    struct err err = {0};
    cJSON *body = cJSON_CreateObject(), *doc = NULL;
    cJSON_AddStringToObject(body, "supernet", words[0]);
    cli_put_text(body, "checkpoint", asked->checkpoint);
    cli_put_text(body, "dataset", asked->dataset);
    cli_put_int(body, "n", asked->n);
    cli_put_int(body, "seed", asked->seed);
    if (n > 1)
        cJSON_AddItemToObject(body, "archs",
                              cJSON_CreateStringArray((const char *const *)words + 1, n - 1));
    if (!put_training(body, "scratch", asked->scratch, asked->scratch_epochs) ||
        !put_training(body, "fine_tune", asked->fine_tune, asked->fine_tune_epochs)) {
        cJSON_Delete(body);
        return cli_usage("--scratch and --fine-tune take a JSON object");
    }
    int rc = cli_send(cli, "POST", "/estimations", body, &err, &doc);
    cJSON_Delete(body);
    if (rc)
        return cli_fail(&err);
    if (!cli->wait)
        return cli_started(cli, doc, "job");
    cJSON *job = NULL;
    int code = cli_wait_for_result(cli, doc, &job);
    if (code == CLI_OK)
        code = print_estimates(cli, cli_item(job, "result"));
    cJSON_Delete(job);
    cJSON_Delete(doc);
    return code;
}

static int estimate_run(struct cli *cli, int argc, char **argv) {
    struct asked asked = {CLI_UNSET, CLI_UNSET, CLI_UNSET_REAL, CLI_UNSET_REAL};
    const struct option_row rows[] = {
        {"networks", 'n', OPTION_INT, NULL, 0, 0, "",
         "so many, spread over the range of MACs, when none is named (12)", &asked.n},
        {"seed", 0, OPTION_INT, NULL, 0, 0, "", "of their choice", &asked.seed},
        {"epochs", 'e', OPTION_REAL, NULL, 0, 0, "", "of the training from scratch (4)",
         &asked.scratch_epochs},
        {"fine-tune-epochs", 0, OPTION_REAL, NULL, 0, 0, "",
         "of the training from inherited weights (1)", &asked.fine_tune_epochs},
        {"scratch", 0, OPTION_TEXT, NULL, 2, 65536, "",
         "settings of the former, as JSON (docs/TRAINING.md)", &asked.scratch},
        {"fine-tune", 0, OPTION_TEXT, NULL, 2, 65536, "",
         "settings of the latter (a tenth of the default learning rate)", &asked.fine_tune},
        {"dataset", 'd', OPTION_TEXT, NULL, 0, 0, "",
         "on this data set, of as many classes (default: the supernet's)", &asked.dataset},
        {"checkpoint", 'c', OPTION_TEXT, NULL, 0, 0, "",
         "weights of this checkpoint (default: the newest)", &asked.checkpoint},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 101}, &first);

    return code >= 0 ? code : send(cli, &asked, argv + first, argc - first);
}

/* The newest one; --json: all. */
static int estimates_run(struct cli *cli, int argc, char **argv) {
    static const struct resource_word word = {"/estimations?supernet=", ""};
    cJSON *doc = NULL;
    int code = resource_get(cli, &word, argc, argv, &doc);

    if (code >= 0)
        return code;
    const cJSON *items = cli_item(doc, "items"), *newest = cJSON_GetArrayItem(items, 0);
    bool plain = cli_print_plain(cli, cli_streams(cli) ? items : doc);
    if (!plain && newest)
        print_estimates(cli, newest);
    else if (!plain)
        fprintf(stderr, "nothing was compared yet: espalier supernet estimate does it\n");
    cJSON_Delete(doc);
    return CLI_OK;
}

const struct cli_command cli_supernet_estimate = {
    "supernet", "estimate", "SUPERNET [ARCH...]",
    "train subnets alone, to see what inherited weights are worth", estimate_run};
const struct cli_command cli_supernet_estimates = {"supernet", "estimates", "SUPERNET",
                                                   "the newest of these comparisons (--json: all)",
                                                   estimates_run};
