/* espalier prune: removes what is old and not used, after it has shown what that is. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

static const struct column columns[] = {{"KIND", "kind", CELL_TEXT},
                                        {"COUNT", "count", CELL_INT},
                                        {"BYTES", "bytes", CELL_BYTES},
                                        {"OLDEST", "oldest_at", CELL_TIME}};

struct prune_options {
    bool dry_run, yes;
    const char *kinds;
    int64_t age_us;
};

/* kinds: "jobs,exports". */
static cJSON *make_body(const struct prune_options *options) {
    cJSON *body = cJSON_CreateObject(), *kinds;
    cJSON_AddNumberToObject(body, "older_than_s", (double)(options->age_us / 1000000));
    if (options->kinds == NULL)
        return body;
    kinds = cJSON_AddArrayToObject(body, "kinds");
    for (const char *word = options->kinds; *word != '\0';) {
        char kind[32];
        size_t len = strcspn(word, ",");
        snprintf(kind, sizeof(kind), "%.*s", (int)len, word);
        cJSON_AddItemToArray(kinds, cJSON_CreateString(kind));
        word += len + (word[len] == ',');
    }
    return body;
}

static double count_of(const cJSON *doc) {
    const cJSON *kind;
    double count = 0;
    cJSON_ArrayForEach(kind, cJSON_GetObjectItem(doc, "kinds")) count += cli_number(kind, "count");
    return count;
}

/* -1: go on; else the exit code. */
static int confirm(double count) {
    char question[64];
    if (!cli_can_ask())
        return cli_usage("what is shown above would be removed: say --yes, or --dry-run to look");
    snprintf(question, sizeof(question), "Remove these %.0f for good?", count);
    return cli_ask_removal(question);
}

/* What one more call removed is added to the sums. */
static void add_up(cJSON *sum, const cJSON *doc) {
    cJSON *total;
    int i = 0;
    cJSON_ArrayForEach(total, cJSON_GetObjectItem(sum, "kinds")) {
        const cJSON *part = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "kinds"), i++);
        for (int member = 0; member < 2; member++) {
            static const char *const names[] = {"count", "bytes"};
            cJSON *value = cJSON_GetObjectItem(total, names[member]);
            cJSON_SetNumberValue(value, value->valuedouble + cli_number(part, names[member]));
        }
        if (cJSON_IsNull(cJSON_GetObjectItem(total, "oldest_at")))
            cJSON_ReplaceItemInObject(
                total, "oldest_at", cJSON_Duplicate(cJSON_GetObjectItem(part, "oldest_at"), true));
    }
    cJSON_ReplaceItemInObject(sum, "more", cJSON_Duplicate(cJSON_GetObjectItem(doc, "more"), true));
}

/* Slice by slice, until one finds nothing. */
static int prune_all(struct cli *cli, const cJSON *body, struct err *err, cJSON **ret_sum) {
    cJSON *sum = NULL, *doc = NULL;
    int rc = cli_send(cli, "POST", "/prune", body, err, &sum);
    while (rc == 0 && cJSON_IsTrue(cJSON_GetObjectItem(sum, "more"))) {
        rc = cli_send(cli, "POST", "/prune", body, err, &doc);
        if (rc == 0)
            add_up(sum, doc);
        cJSON_Delete(doc);
        doc = NULL;
    }
    if (rc == 0)
        *ret_sum = sum;
    else
        cJSON_Delete(sum);
    return rc;
}

static void show(struct cli *cli, const cJSON *doc) {
    if (!cli_print_plain(cli, doc))
        cli_table(cli, cli_item(doc, "kinds"), columns, COUNT(columns));
}

static int look(struct cli *cli, cJSON *body, struct err *err, cJSON **ret_doc) {
    cJSON_AddBoolToObject(body, "dry_run", true);
    int rc = cli_send(cli, "POST", "/prune", body, err, ret_doc);
    cJSON_DeleteItemFromObject(body, "dry_run");
    return rc;
}

static int prune(struct cli *cli, const struct prune_options *options, cJSON *body) {
    struct err err = {0};
    cJSON *found = NULL, *removed = NULL;
    int code = -1, rc = options->yes && !options->dry_run ? 0 : look(cli, body, &err, &found);
    if (rc == 0 && found != NULL)
        show(cli, found);
    if (rc == 0 && options->dry_run)
        code = CLI_OK;
    else if (rc == 0 && found != NULL && count_of(found) == 0)
        code = CLI_OK;
    else if (rc == 0 && found != NULL)
        code = confirm(count_of(found));
    if (rc == 0 && code < 0)
        rc = prune_all(cli, body, &err, &removed);
    if (removed != NULL && found != NULL)
        puts("\nRemoved:");
    if (removed != NULL)
        show(cli, removed);
    cJSON_Delete(found);
    cJSON_Delete(removed);
    return rc != 0 ? cli_fail(&err) : code >= 0 ? code : CLI_OK;
}

static int prune_run(struct cli *cli, int argc, char **argv) {
    struct prune_options options = {0};
    const struct option_row rows[] = {
        {"dry-run", 'n', OPTION_FLAG, NULL, 0, 0, "", "only show what would go", &options.dry_run},
        {"kind", 'k', OPTION_TEXT, NULL, 0, 0, "",
         "of these kinds, separated by commas: jobs, exports, checkpoints, samples, leases, "
         "measurements, evaluations; searches (failed and cancelled ones) only if named",
         &options.kinds},
        {"older-than", 0, OPTION_DURATION, "30d", 0, 3.2e15, "", "only what is older than this",
         &options.age_us},
        {"yes", 'y', OPTION_FLAG, NULL, 0, 0, "", "do not ask", &options.yes},
        CLI_DAEMON_ROWS(cli),
        CLI_NAMELESS_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    if (code >= 0)
        return code;
    if (cli_is_plain(cli) && !options.yes && !options.dry_run)
        return cli_usage("with --json, --jsonl and --get nobody is shown what would go: say "
                         "--yes, or --dry-run to look");
    cJSON *body = make_body(&options);
    code = prune(cli, &options, body);
    cJSON_Delete(body);
    return code;
}

const struct cli_command cli_prune = {
    "prune", NULL, "", "remove what is old and not used, after showing it", prune_run};
