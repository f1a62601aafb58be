/* espalier device pause, drain, release, quarantine, maintain: a person's word on what a board is
 * for. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

enum { POLL_US = 300000 };

/* The board after the change; *ret_doc owned. */
static int set_state(struct cli *cli, const char *device, const char *state, struct err *err,
                     cJSON **ret_doc) {
    char path[512];
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "state", state);
    snprintf(path, sizeof(path), "/devices/%.300s", cli_encode(device));
    int rc = cli_send(cli, "PATCH", path, body, err, ret_doc);
    cJSON_Delete(body);
    return rc;
}

/* Until the board has ended what it held: nothing else turns draining into paused. */
static int wait_drained(struct cli *cli, const char *device, struct err *err) {
    int64_t end_ns = clock_mono_ns() + cli->timeout_us * 1000;
    for (;;) {
        cJSON *doc = NULL;
        if (cli_get_patiently(cli, err, &doc, "/devices/%s", cli_encode(device)))
            return cli_fail(err);
        bool drained = strcmp(cli_text(doc, "state"), "draining") != 0;
        cJSON_Delete(doc);
        if (drained)
            return CLI_OK;
        if (cli->timeout_us > 0 && clock_mono_ns() > end_ns) {
            fputs("espalier: the board still measures; it is drained when that is over\n", stderr);
            return CLI_TIMEOUT;
        }
        clock_sleep_us(POLL_US);
    }
}

static int change(struct cli *cli, const struct option_row *rows, const char *state, int argc,
                  char **argv) {
    struct err err = {0};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 100}, &first);

    for (int i = first; code < 0 && i < argc; i++) {
        cJSON *doc = NULL;
        if (set_state(cli, argv[i], state, &err, &doc))
            code = cli_fail(&err);
        else if (!cli_print_plain(cli, doc))
            printf("%s: %s, health %s\n", argv[i], cli_text(doc, "state"), cli_text(doc, "health"));
        cJSON_Delete(doc);
    }
    for (int i = first; code < 0 && cli->wait && i < argc; i++) {
        int waited = wait_drained(cli, argv[i], &err);
        code = waited == CLI_OK ? code : waited;
    }
    return code < 0 ? CLI_OK : code;
}

static int plain(struct cli *cli, const char *state, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    return change(cli, rows, state, argc, argv);
}

static int pause_run(struct cli *cli, int argc, char **argv) {
    return plain(cli, "paused", argc, argv);
}

static int drain_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {{"wait", 'w', OPTION_FLAG, NULL, 0, 0, "",
                                       "wait until it holds nothing any more", &cli->wait},
                                      {"timeout", 0, OPTION_DURATION, "0", 0, 1e13, "",
                                       "give up waiting after this time (0: never)",
                                       &cli->timeout_us},
                                      CLI_COMMON_ROWS(cli)};
    return change(cli, rows, "draining", argc, argv);
}

static int release_run(struct cli *cli, int argc, char **argv) {
    return plain(cli, "active", argc, argv);
}

static int quarantine_run(struct cli *cli, int argc, char **argv) {
    return plain(cli, "quarantined", argc, argv);
}

static int maintain_run(struct cli *cli, int argc, char **argv) {
    return plain(cli, "maintenance", argc, argv);
}

const struct cli_command cli_device_pause = {
    "device", "pause", "DEVICE...", "stop measuring at the next batch, give back what it holds",
    pause_run};
const struct cli_command cli_device_drain = {"device", "drain", "DEVICE...",
                                             "end what it holds, then pause", drain_run};
const struct cli_command cli_device_release = {
    "device", "release", "DEVICE...",
    "measure again: after a pause, a quarantine (on probation), maintenance", release_run};
const struct cli_command cli_device_quarantine = {"device", "quarantine", "DEVICE...",
                                                  "believe nothing of it until it is released",
                                                  quarantine_run};
const struct cli_command cli_device_maintain = {
    "device", "maintain", "DEVICE...",
    "out of service: nothing is measured, nothing held against it", maintain_run};
