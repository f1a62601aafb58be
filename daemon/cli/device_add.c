/* espalier device add: the one line that makes a board the daemon's. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/cli/commands.h"

enum { POLL_US = 300000 };

struct ask {
    const char *name, *label, *address;
    int64_t uses, expires_us;
    bool service;
};

static cJSON *ask_body(const struct ask *ask) {
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "kind", "enrolment");
    cJSON_AddNumberToObject(body, "uses", (double)ask->uses);
    cJSON_AddNumberToObject(body, "expires_in_s", (double)(ask->expires_us / 1000000));
    if (ask->name)
        cJSON_AddStringToObject(body, "name", ask->name);
    if (ask->label)
        cJSON_AddStringToObject(body, "label", ask->label);
    if (ask->address)
        cJSON_AddStringToObject(body, "address", ask->address);
    if (ask->service)
        cJSON_AddTrueToObject(body, "service");
    return body;
}

static void print_for_people(const cJSON *doc) {
    static const struct column expires = {"", "expires_at", CELL_TIME};
    const cJSON *notice;
    char until[32];
    cli_cell(doc, &expires, until, sizeof(until));
    printf(
        "Run this on the board:\n\n  %s\n\nThe token in it is shown once; it expires at %s UTC.\n",
        cli_text(doc, "command"), until);
    cJSON_ArrayForEach(notice, cli_item(doc, "notices"))
        fprintf(stderr, "espalier: %s.\n", cJSON_GetStringValue(notice));
}

/* Until a board has enrolled with the token of this id, which is good for expires_us from now on:
 * by this machine's clock, as the daemon's may be another. */
static int wait_for_board(struct cli *cli, const char *id, int64_t expires_us) {
    int64_t begun_ns = clock_mono_ns();
    struct err err = {0};
    for (;;) {
        int64_t passed_us = (clock_mono_ns() - begun_ns) / 1000;
        cJSON *doc = NULL;
        if (cli_get_patiently(cli, &err, &doc, "/tokens/%s", id))
            return cli_fail(&err);
        bool there = cli_text(doc, "device")[0] != '\0';
        if (there)
            fprintf(stderr, "espalier: the board has registered: %s\n", cli_text(doc, "device"));
        cJSON_Delete(doc);
        if (there)
            return CLI_OK;
        if (passed_us > expires_us) {
            fputs("espalier: no board has registered, and the token has expired\n", stderr);
            return CLI_FAILURE;
        }
        if (cli->timeout_us > 0 && passed_us > cli->timeout_us) {
            fputs("espalier: no board has registered in time\n", stderr);
            return CLI_TIMEOUT;
        }
        clock_sleep_us(POLL_US);
    }
}

static int add_board(struct cli *cli, const struct ask *ask) {
    struct err err = {0};
    cJSON *doc = NULL, *body = ask_body(ask);
    int rc = cli_send(cli, "POST", "/tokens", body, &err, &doc);
    cJSON_Delete(body);
    if (rc)
        return cli_fail(&err);
    if (cli->output && !strcmp(cli->output, "name"))
        puts(cli_text(doc, "token")); /* what a script passes on */
    else if (!cli_print_plain(cli, doc))
        print_for_people(doc);
    fflush(stdout);
    int code = cli->wait ? wait_for_board(cli, cli_text(doc, "id"), ask->expires_us) : CLI_OK;
    cJSON_Delete(doc);
    return code;
}

static int run(struct cli *cli, int argc, char **argv) {
    struct ask ask = {.name = NULL};
    const struct option_row rows[] = {
        {"name", 'n', OPTION_TEXT, NULL, 0, 0, "", "what the board shall be called", &ask.name},
        {"label", 'l', OPTION_TEXT, NULL, 0, 4096, "", "a word about it, kept as the board's note",
         &ask.label},
        {"expires", 0, OPTION_DURATION, "15m", 0, 0, "", "how long the token is good",
         &ask.expires_us},
        {"uses", 0, OPTION_INT, "1", 0, 0, "", "boards that may enrol with it", &ask.uses},
        {"address", 'a', OPTION_TEXT, NULL, 0, 0, "",
         "what the board dials, http://HOST:PORT (default: --url, or the daemon's guess)",
         &ask.address},
        {"service", 0, OPTION_FLAG, NULL, 0, 0, "",
         "the command sets up a systemd user service instead of running in the foreground",
         &ask.service},
        {"wait", 'w', OPTION_FLAG, NULL, 0, 0, "", "wait until a board has registered with it",
         &cli->wait},
        {"timeout", 0, OPTION_DURATION, "0", 0, 1e13, "",
         "give up waiting after this time (0: never)", &cli->timeout_us},
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    if (code >= 0)
        return code;
    if (!ask.address && !strncmp(cli->url, "https://", 8)) /* which the daemon cannot know */
        ask.address = cli->url;
    return add_board(cli, &ask);
}

const struct cli_command cli_device_add = {"device", "add", "",
                                           "print the command that adds a board", run};
