#include "daemon/cli/resource.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { STOP_POLL_US = 300000 };

/* The table of a list; or each page as it comes. */
static void print_page(void *cli, cJSON *items) {
    cli_print_plain(cli, items);
}

int resource_print_list(struct cli *cli, const char *path, const struct column *columns, int n) {
    struct err err = {0};
    cJSON *items = NULL;

    if (cli_streams(cli))
        return cli_each_page(cli, path, &err, print_page, cli) ? cli_fail(&err) : CLI_OK;
    if (cli_list(cli, path, &err, &items))
        return cli_fail(&err);
    cli_table(cli, items, columns, n);
    cJSON_Delete(items);
    return CLI_OK;
}

int resource_list(struct cli *cli, const struct resource *resource, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    return code >= 0 ? code
                     : resource_print_list(cli, resource->path, resource->list, resource->n_list);
}

int resource_get(struct cli *cli, const struct resource_word *word, int argc, char **argv,
                 cJSON **ret_doc) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    return cli_get(cli, &err, ret_doc, "%s%s%s", word->before, cli_encode(argv[first]), word->after)
               ? cli_fail(&err)
               : -1;
}

const char *resource_why_failed(struct cli *cli, const cJSON *doc, char text[RESOURCE_WHY]) {
    struct err err = {0};
    cJSON *job = NULL;

    text[0] = '\0';
    if (strcmp(cli_text(doc, "state"), "failed") != 0 || !cli_text(doc, "job")[0])
        return text;
    (void)cli_get(cli, &err, &job, "/jobs/%s", cli_encode(cli_text(doc, "job")));
    snprintf(text, RESOURCE_WHY, "%s", cli_shown(cli_text(job, "error.message")));
    cJSON_Delete(job);
    return text;
}

void resource_print_failure(struct cli *cli, const cJSON *doc) {
    char why[RESOURCE_WHY];
    if (resource_why_failed(cli, doc, why)[0])
        printf("failed: %s\n", why);
}

int resource_show(struct cli *cli, const struct resource *resource, int argc, char **argv) {
    char before[128];
    cJSON *doc = NULL;
    snprintf(before, sizeof(before), "%.120s/", resource->path);
    int code = resource_get(cli, &(struct resource_word){before, ""}, argc, argv, &doc);

    if (code >= 0)
        return code;
    if (!cli_print_plain(cli, doc)) {
        cli_fields(doc, resource->fields, resource->n_fields);
        resource_print_failure(cli, doc);
    }
    cJSON_Delete(doc);
    return CLI_OK;
}

/* Takes doc. Of one that is a list the items are what can be printed as they come. */
static int print_document(struct cli *cli, cJSON *doc,
                          void (*print)(struct cli *cli, const cJSON *doc)) {
    const cJSON *items = cli_streams(cli) ? cli_item(doc, "items") : NULL;
    if (!cli_print_plain(cli, cJSON_IsArray(items) ? items : doc))
        print(cli, doc);
    cJSON_Delete(doc);
    return CLI_OK;
}

int resource_page(struct cli *cli, const struct resource_word *word,
                  void (*print)(struct cli *cli, const cJSON *doc), int argc, char **argv) {
    cJSON *doc = NULL;
    int code = resource_get(cli, word, argc, argv, &doc);

    return code >= 0 ? code : print_document(cli, doc, print);
}

int resource_answer(struct cli *cli, const struct resource_request *request) {
    struct err err = {0};
    cJSON *doc = NULL;
    int rc = cli_send(cli, request->method, request->path, request->body, &err, &doc);

    cJSON_Delete(request->body);
    return rc ? cli_fail(&err) : print_document(cli, doc, request->print);
}

int resource_parts(struct cli *cli, const struct resource_part *part, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    char path[512];
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    snprintf(path, sizeof(path), "%.64s/%.300s/%.64s", part->path, cli_encode(argv[first]),
             part->part);
    return resource_print_list(cli, path, part->columns, part->n_columns);
}

/* What has become of a thing by an action, as a person would say it. */
static const char *done_word(const char *action) {
    static const struct {
        const char *action, *word;
    } words[] = {{"rm", "removed"},
                 {"retry", "runs again"},
                 {"cancel", "cancelled"},
                 {"pause", "paused"},
                 {"resume", "goes on"},
                 {"allow", "allowed"},
                 {"rotate", "is to make itself a new token"},
                 {"revoke", "its token was taken back"},
                 {"enable", "enabled"}};
    for (int i = 0; i < COUNT(words); i++)
        if (!strcmp(words[i].action, action))
            return words[i].word;
    return action;
}

/* "Remove night, day and 3 more?", to somebody who can be asked. -1 to go on, else the exit code.
 */
static int confirm_removal(const struct cli *cli, char *const *names, int n) {
    enum { NAMED = 5 };
    char question[NAMED * 80 + 64];
    int len = snprintf(question, sizeof(question), "Remove");
    if (cli_is_plain(cli) || !cli_can_ask())
        return -1;
    for (int i = 0; i < n && i < NAMED; i++)
        len += snprintf(question + len, sizeof(question) - (size_t)len, "%s %.70s", i ? "," : "",
                        names[i]);
    if (n > NAMED)
        len += snprintf(question + len, sizeof(question) - (size_t)len, " and %d more", n - NAMED);
    snprintf(question + len, sizeof(question) - (size_t)len, "?");
    cli_blank_controls(question);
    return cli_ask_removal(question);
}

/* For programs, where the daemon answers nothing, as to a removal. */
static cJSON *done_document(const char *name, const char *action) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "name", name);
    cJSON_AddStringToObject(doc, "action", done_word(action));
    return doc;
}

int resource_act(struct cli *cli, const struct resource *resource, const char *action, int argc,
                 char **argv) {
    bool remove = !strcmp(action, "rm"), yes = false;
    const struct option_row rows[] = {
        {"yes", 'y', OPTION_FLAG, NULL, 0, 0, "", "do not ask on a terminal", &yes}, /* of rm */
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    char path[1024];
    int first = 0, code = cli_start(cli, remove ? rows : rows + 1, argc, argv,
                                    (struct cli_words){1, 100}, &first);

    if (code < 0 && remove && !yes)
        code = confirm_removal(cli, argv + first, argc - first);

    for (int i = first; code < 0 && i < argc; i++) {
        cJSON *doc = NULL, *body = remove ? NULL : cJSON_CreateObject();
        snprintf(path, sizeof(path), "%s/%s%s%s", resource->path, cli_encode(argv[i]),
                 remove ? "" : "/", remove ? "" : action);
        int rc = cli_send(cli, remove ? "DELETE" : "POST", path, body, &err, &doc);
        if (rc == 0 && !doc)
            doc = done_document(argv[i], action);
        if (rc)
            code = cli_fail(&err);
        else if (!cli_print_plain(cli, doc))
            printf("%s: %s\n", argv[i], done_word(action));
        cJSON_Delete(doc);
        cJSON_Delete(body);
    }
    return code < 0 ? CLI_OK : code;
}

/* ---- what takes a while to stop ------------------------------------------------------------- */

static bool is_over(const char *state) {
    return !strcmp(state, "done") || !strcmp(state, "failed") || !strcmp(state, "canceled");
}

/* Until the job has ended, or --timeout is over. *doc is the job, or holds it as "job": it is made
 * the one that has ended. */
static int wait_stopped(struct cli *cli, const char *id, struct err *err, cJSON **doc,
                        char ret_state[32]) {
    int64_t start_us = clock_wall_us();
    while (!is_over(ret_state)) {
        cJSON *job = NULL;
        if (cli->timeout_us > 0 && clock_wall_us() - start_us > cli->timeout_us)
            return 0;
        clock_sleep_us(STOP_POLL_US);
        int rc = cli_get_patiently(cli, err, &job, "/jobs/%s", cli_encode(id));
        if (rc != 0)
            return rc;
        snprintf(ret_state, 32, "%.31s", cli_text(job, "state"));
        if (!cJSON_IsObject(cli_item(*doc, "job"))) {
            cJSON_Delete(*doc);
            *doc = job;
        } else if (!cJSON_ReplaceItemInObjectCaseSensitive(*doc, "job", job)) {
            cJSON_Delete(job);
            return err_set(err, ESP_ENOMEM, NULL, "out of memory");
        }
    }
    return 0;
}

static int stop_one(struct cli *cli, const struct resource *resource, const char *name) {
    struct err err = {0};
    char path[1024], state[32], id[64];
    cJSON *doc = NULL, *body = cJSON_CreateObject();
    snprintf(path, sizeof(path), "%s/%s/cancel", resource->path, cli_encode(name));
    int rc = cli_send(cli, "POST", path, body, &err, &doc);
    cJSON_Delete(body);
    const cJSON *inner = cli_item(doc, "job"), *job = cJSON_IsObject(inner) ? inner : doc;
    snprintf(id, sizeof(id), "%.63s", cli_text(job, "id"));
    snprintf(state, sizeof(state), "%.31s", cli_text(job, "state"));
    if (rc == 0 && cli->wait)
        rc = wait_stopped(cli, id, &err, &doc, state);
    if (rc == 0 && !cli_print_plain(cli, doc))
        printf("%s: %s\n", name,
               !strcmp(state, "canceled") ? "cancelled"
               : is_over(state)           ? "had ended before"
                                          : "is being stopped");
    cJSON_Delete(doc);
    if (rc != 0)
        return cli_fail(&err);
    return cli->wait && !is_over(state) ? CLI_TIMEOUT : CLI_OK;
}

int resource_stop(struct cli *cli, const struct resource *resource, int argc, char **argv) {
    const struct option_row rows[] = {
        {"wait", 'w', OPTION_FLAG, NULL, 0, 0, "", "wait until each has stopped", &cli->wait},
        {"timeout", 0, OPTION_DURATION, "0", 0, 1e13, "",
         "give up waiting after this time (0: never)", &cli->timeout_us},
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 100}, &first);
    if (code >= 0)
        return code;
    code = CLI_OK;
    for (int i = first; code == CLI_OK && i < argc; i++)
        code = stop_one(cli, resource, argv[i]);
    return code;
}
