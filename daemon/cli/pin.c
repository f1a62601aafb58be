/* espalier arch pin, unpin, ls: networks that are kept. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

static const struct column columns[] = {{"TOP-1", "top1", CELL_PERCENT},
                                        {"TEST", "test_top1", CELL_PERCENT},
                                        {"PINNED", "created_at", CELL_TIME},
                                        {"ARCH", "arch", CELL_TEXT}};

static void print_pins(struct cli *cli, const cJSON *doc) {
    cli_table(cli, cli_item(doc, "items"), columns, COUNT(columns));
}

static int act(struct cli *cli, const char *action, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    char path[512];
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){2, 1001}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddItemToObject(
        body, "archs",
        cJSON_CreateStringArray((const char *const *)argv + first + 1, argc - first - 1));
    snprintf(path, sizeof(path), "/supernets/%.200s/%s", cli_encode(argv[first]), action);
    return resource_answer(cli, &(struct resource_request){"POST", path, body, print_pins});
}

static int pin_run(struct cli *cli, int argc, char **argv) {
    return act(cli, "pins", argc, argv);
}

static int unpin_run(struct cli *cli, int argc, char **argv) {
    return act(cli, "unpin", argc, argv);
}

static int ls_run(struct cli *cli, int argc, char **argv) {
    static const struct resource_part part = {"/supernets", "pins", columns, COUNT(columns)};

    return resource_parts(cli, &part, argc, argv);
}

const struct cli_command cli_arch_pin = {"arch", "pin", "SUPERNET ARCH...",
                                         "keep subnets: they may be scored on the test images",
                                         pin_run};
const struct cli_command cli_arch_unpin = {"arch", "unpin", "SUPERNET ARCH...",
                                           "keep subnets no longer", unpin_run};
const struct cli_command cli_arch_ls = {"arch", "ls", "SUPERNET", "its subnets that are pinned",
                                        ls_run};
