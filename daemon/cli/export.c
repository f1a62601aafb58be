#include "daemon/cli/export.h"

#include <stdio.h>

#include "daemon/cli/resource.h"
#include "daemon/cli/target.h"

static int write_piece(void *context, const char *data, size_t len) {
    return fwrite(data, 1, len, context) != len;
}

static int download(struct cli *cli, const char *export_id, const char *file, struct err *err) {
    char path[256];
    struct http_response response = {0};
    struct target target;
    int rc = target_begin(&target, file, err);

    if (rc)
        return rc;
    snprintf(path, sizeof(path), "/api/v1/exports/%.100s/file", export_id);
    struct http_request request = {
        .method = "GET", .path = path, .on_data = write_piece, .context = target.stream};
    rc = http_client_send(cli->client, &request, err, &response);
    if (ferror(target.stream)) /* which ended the transfer: the end tells why */
        rc = 0;
    else if (!rc && response.status != 200)
        rc = err_set(err, ESP_ENOTFOUND, NULL, "the daemon has no file of %s (status %d)",
                     export_id, response.status);
    http_response_finish(&response);
    return target_end(&target, rc, err);
}

int export_to_file(struct cli *cli, const cJSON *body, const char *file) {
    static const struct column columns[] = {{"id", "id", CELL_TEXT},
                                            {"state", "state", CELL_TEXT},
                                            {"arch", "arch", CELL_TEXT},
                                            {"size", "bytes", CELL_BYTES},
                                            {"path", "path", CELL_TEXT}};
    struct err err = {0};
    cJSON *doc = NULL;

    if (cli_send(cli, "POST", "/exports", body, &err, &doc))
        return cli_fail(&err);
    if (!file && !cli->wait)
        return cli_started(cli, doc, "export");
    int code = cli_wait_started(cli, doc, "export");
    if (!code && file && download(cli, cli_text(doc, "export.id"), file, &err))
        code = cli_fail(&err);
    if (cli_is_plain(cli))
        cli_print_started(cli, doc, "export");
    else if (!code)
        cli_fields(cli_item(doc, "export"), columns, COUNT(columns));
    cJSON_Delete(doc);
    return code;
}
