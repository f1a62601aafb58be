/* espalier search import: results of another program as a finished search. */
#include "daemon/cli/commands.h"
#include "daemon/cli/upload.h"

static int import_run(struct cli *cli, int argc, char **argv) {
    const char *file = NULL, *space = NULL, *cost = NULL;
    bool upload = false;
    const struct option_row rows[] = {
        {"dynast", 0, OPTION_TEXT, NULL, 0, 0, "", "CSV file of results of DyNAS-T (needed)",
         &file},
        {"space", 's', OPTION_TEXT, NULL, 0, 0, "", "space that its subnets are of (needed)",
         &space},
        {"cost", 0, OPTION_TEXT, NULL, 0, 0, "",
         "objective beside top1: macs, params or latency_us (default: macs)", &cost},
        {"upload", 0, OPTION_FLAG, NULL, 0, 0, "", "copy it to the daemon first, from this machine",
         &upload},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (!file || !space)
        return cli_usage("an import needs --dynast and --space");
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", argv[first]);
    cJSON_AddStringToObject(body, "space", space);
    cli_put_text(body, "cost", cost);
    int rc = cli_add_source(cli, file, upload, &err, body);
    if (rc == 0)
        rc = cli_send(cli, "POST", "/results", body, &err, &doc);
    cJSON_Delete(body);
    return rc ? cli_fail(&err) : cli_started(cli, doc, "search");
}

const struct cli_command cli_search_import = {
    "search", "import", "NAME", "take over results of another program as a search", import_run};
