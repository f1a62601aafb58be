/* espalier supernet import, export, logits: weights from and for other programs, and what they
 * answer. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/export.h"

/* The daemon opens the file itself: it gets the whole path where that is known here. */
static void add_path(cJSON *body, const char *key, const char *file) {
    char *whole = realpath(file, NULL);

    cJSON_AddStringToObject(body, key, whole ? whole : file);
    free(whole);
}

static int import_run(struct cli *cli, int argc, char **argv) {
    const char *space = NULL, *file = NULL, *dataset = NULL;
    const struct option_row rows[] = {
        {"space", 's', OPTION_TEXT, NULL, 0, 0, "", "search space of the weights (needed)", &space},
        {"file", 'f', OPTION_TEXT, NULL, 0, 0, "",
         ".pth or .safetensors, below a data root of the daemon (needed)", &file},
        {"dataset", 'd', OPTION_TEXT, NULL, 0, 0, "",
         "data set to evaluate and search it on; its classes must be those of the file (each "
         "evaluation and search may name another)",
         &dataset},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (!space || !file)
        return cli_usage("an import needs --space and --file");
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", argv[first]);
    cJSON_AddStringToObject(body, "space", space);
    add_path(body, "path", file);
    if (dataset)
        cJSON_AddStringToObject(body, "dataset", dataset);
    int rc = cli_send(cli, "POST", "/imports", body, &err, &doc);
    cJSON_Delete(body);
    return rc ? cli_fail(&err) : cli_started(cli, doc, "supernet");
}

static int export_run(struct cli *cli, int argc, char **argv) {
    const char *file = NULL, *format = NULL, *checkpoint = NULL;
    const struct option_row rows[] = {
        {"format", 0, OPTION_TEXT, "safetensors", 1, 31, "", "of the file", &format},
        {"file", 'f', OPTION_TEXT, NULL, 0, 0, "", "write the weights here (waits for them)",
         &file},
        {"checkpoint", 'c', OPTION_TEXT, NULL, 0, 0, "", "of this checkpoint (default: newest)",
         &checkpoint},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "supernet", argv[first]);
    cJSON_AddStringToObject(body, "format", format);
    if (checkpoint)
        cJSON_AddStringToObject(body, "checkpoint", checkpoint);
    code = export_to_file(cli, body, file);
    cJSON_Delete(body);
    return code;
}

static int logits_run(struct cli *cli, int argc, char **argv) {
    const char *file = NULL, *checkpoint = NULL, *dataset = NULL, *input = NULL;
    int64_t images = CLI_UNSET;
    bool raw = false;
    const struct option_row rows[] = {
        {"file", 'f', OPTION_TEXT, NULL, 0, 0, "",
         "write them here, as safetensors (waits for them)", &file},
        {"input", 'i', OPTION_TEXT, NULL, 0, 0, "",
         "file of tensors with the images [N, C, H, W], below a data root of the daemon", &input},
        {"dataset", 'd', OPTION_TEXT, NULL, 0, 0, "",
         "or the validation images of this data set (default: the supernet's)", &dataset},
        {"images", 'n', OPTION_INT, NULL, 0, 0, "", "the first so many of them (default: 16)",
         &images},
        {"raw", 0, OPTION_FLAG, NULL, 0, 0, "",
         "by the checkpoint's own BN statistics, without recalibration", &raw},
        {"checkpoint", 'c', OPTION_TEXT, NULL, 0, 0, "", "of this checkpoint (default: newest)",
         &checkpoint},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){2, 2}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "supernet", argv[first]);
    cJSON_AddStringToObject(body, "arch", argv[first + 1]);
    cJSON_AddStringToObject(body, "format", "logits");
    cli_put_text(body, "checkpoint", checkpoint);
    cli_put_text(body, "dataset", dataset);
    cli_put_int(body, "images", images);
    if (input)
        add_path(body, "input", input);
    if (raw)
        cJSON_AddBoolToObject(body, "recalibrate", false);
    code = export_to_file(cli, body, file);
    cJSON_Delete(body);
    return code;
}

const struct cli_command cli_supernet_import = {
    "supernet", "import", "NAME", "make a supernet of another program's weights", import_run};
const struct cli_command cli_supernet_export = {"supernet", "export", "SUPERNET",
                                                "write all its weights to a file", export_run};
const struct cli_command cli_supernet_logits = {"supernet", "logits", "SUPERNET ARCH",
                                                "what a subnet answers to images, to a file",
                                                logits_run};
