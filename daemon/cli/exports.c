/* espalier export ls, show, rm: what was written to files. */
#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

static const struct column list[] = {{"ID", "id", CELL_TEXT},
                                     {"FORMAT", "format", CELL_TEXT},
                                     {"STATE", "state", CELL_TEXT},
                                     {"SIZE", "bytes", CELL_BYTES},
                                     {"SUPERNET", "supernet_name|supernet", CELL_TEXT},
                                     {"ARCH", "arch", CELL_TEXT}};
static const struct column fields[] = {
    {"id", "id", CELL_TEXT},       {"format", "format", CELL_TEXT},
    {"state", "state", CELL_TEXT}, {"size", "bytes", CELL_BYTES},
    {"hash", "hash", CELL_TEXT},   {"supernet", "supernet_name|supernet", CELL_TEXT},
    {"arch", "arch", CELL_TEXT},   {"path", "path", CELL_TEXT},
    {"job", "job", CELL_TEXT},     {"created", "created_at", CELL_TIME}};
static const struct resource exports = RESOURCE("/exports", list, fields);

static int ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &exports, argc, argv);
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_show(cli, &exports, argc, argv);
}

static int rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &exports, "rm", argc, argv);
}

const struct cli_command cli_export_ls = {"export", "ls", "",
                                          "networks, weights and logits in files", ls_run};
const struct cli_command cli_export_show = {"export", "show", "EXPORT", "one export", show_run};
const struct cli_command cli_export_rm = {"export", "rm", "EXPORT...",
                                          "remove exports with their files", rm_run};
