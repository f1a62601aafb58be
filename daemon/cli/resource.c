#include "daemon/cli/resource.h"

#include <stdio.h>
#include <string.h>

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

int resource_show(struct cli *cli, const struct resource *resource, int argc, char **argv) {
    char before[128];
    cJSON *doc = NULL;
    snprintf(before, sizeof(before), "%.120s/", resource->path);
    int code = resource_get(cli, &(struct resource_word){before, ""}, argc, argv, &doc);

    if (code >= 0)
        return code;
    if (!cli_print_plain(cli, doc))
        cli_fields(doc, resource->fields, resource->n_fields);
    cJSON_Delete(doc);
    return CLI_OK;
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
                 {"cancel", "cancelled"},
                 {"retry", "runs again"},
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

int resource_act(struct cli *cli, const struct resource *resource, const char *action, int argc,
                 char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    char path[1024];
    bool remove = !strcmp(action, "rm");
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 100}, &first);

    for (int i = first; code < 0 && i < argc; i++) {
        cJSON *doc = NULL, *body = remove ? NULL : cJSON_CreateObject();
        snprintf(path, sizeof(path), "%s/%s%s%s", resource->path, cli_encode(argv[i]),
                 remove ? "" : "/", remove ? "" : action);
        if (cli_send(cli, remove ? "DELETE" : "POST", path, body, &err, &doc))
            code = cli_fail(&err);
        else if (!doc || !cli_print_plain(cli, doc))
            printf("%s: %s\n", argv[i], done_word(action));
        cJSON_Delete(doc);
        cJSON_Delete(body);
    }
    return code < 0 ? CLI_OK : code;
}
