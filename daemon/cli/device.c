/* espalier device ls, set, check, rm; token add, ls, rm. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

enum { CHECK_POLL_US = 300000 };

static const struct column list[] = {{"ID", "id", CELL_TEXT},
                                     {"NAME", "name", CELL_TEXT},
                                     {"ONLINE", "online", CELL_TEXT},
                                     {"STATE", "state", CELL_TEXT},
                                     {"HEALTH", "health", CELL_TEXT},
                                     {"DOUBT", "doubt.kind", CELL_TEXT},
                                     {"RUNTIME", "profiles.0.runtime", CELL_TEXT},
                                     {"NOISE", "noise", CELL_PERCENT},
                                     {"QUEUE", "queue", CELL_INT},
                                     {"MEASURES", "lease.items", CELL_INT},
                                     {"LAST SEEN", "last_seen_at", CELL_TIME},
                                     {"NOTE", "noise_note", CELL_TEXT}};
static const struct resource devices = RESOURCE("/devices", list, list);

static const struct column token_list[] = {{"ID", "id", CELL_TEXT},
                                           {"KIND", "kind", CELL_TEXT},
                                           {"SCOPE", "scope", CELL_TEXT},
                                           {"LABEL", "label", CELL_TEXT},
                                           {"USES LEFT", "uses_left", CELL_INT},
                                           {"EXPIRES", "expires_at", CELL_TIME}};
static const struct resource tokens = RESOURCE("/tokens", token_list, token_list);

static int create_token(struct cli *cli, const char *scope, const char *label, int64_t expires_us) {
    struct err err = {0};
    cJSON *doc = NULL, *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "kind", "api");
    if (expires_us != CLI_UNSET)
        cli_put_real(body, "expires_in_s", (double)(expires_us / 1000000));
    cli_put_text(body, "label", label);
    cli_put_text(body, "scope", scope);
    int rc = cli_send(cli, "POST", "/tokens", body, &err, &doc);
    cJSON_Delete(body);
    if (rc)
        return cli_fail(&err);
    if (cli->output && !strcmp(cli->output, "name"))
        puts(cli_text(doc, "token")); /* what a script passes on */
    else if (!cli_print_plain(cli, doc))
        printf("%s\n", cli_text(doc, "token"));
    cJSON_Delete(doc);
    return CLI_OK;
}

static int token_add_run(struct cli *cli, int argc, char **argv) {
    const char *scope = NULL, *label = NULL;
    int64_t expires_us = CLI_UNSET;
    const struct option_row rows[] = {
        {"expires", 0, OPTION_DURATION, NULL, 0, 0, "",
         "how long it is good (not given: until it is revoked)", &expires_us},
        {"label", 'l', OPTION_TEXT, NULL, 0, 4096, "", "for your own memory", &label},
        {"scope", 's', OPTION_TEXT, NULL, 0, 0, "",
         "read: looks; submit (if not given): starts work and stops it; admin: everything", &scope},
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    return code >= 0 ? code : create_token(cli, scope, label, expires_us);
}

static int token_ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &tokens, argc, argv);
}

static int token_rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &tokens, "rm", argc, argv);
}

static int ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &devices, argc, argv);
}

static int rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &devices, "rm", argc, argv);
}

static int allow_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &devices, "allow", argc, argv);
}

static int rotate_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &devices, "rotate", argc, argv);
}

static int revoke_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &devices, "revoke", argc, argv);
}

static bool has_ended(const char *state) {
    return strcmp(state, "queued") != 0 && strcmp(state, "leased") != 0 &&
           strcmp(state, "running") != 0;
}

/* Until all of items (the answer of a check) have ended; 1: there is one that failed. */
static int wait_for_checks(struct cli *cli, const cJSON *items, struct err *err) {
    int64_t end_ns = clock_mono_ns() + cli->timeout_us * 1000;
    const cJSON *item;
    int code = CLI_OK;
    cJSON_ArrayForEach(item, items) {
        for (bool ended = false; !ended;) {
            cJSON *doc = NULL;
            if (cli_get_patiently(cli, err, &doc, "/measurements/%s",
                                  cli_encode(cli_text(item, "id"))))
                return cli_fail(err);
            ended = has_ended(cli_text(doc, "state"));
            if (ended && strcmp(cli_text(doc, "state"), "accepted") != 0) {
                fprintf(stderr, "espalier: %s is %s: %s\n", cli_text(doc, "id"),
                        cli_text(doc, "state"), cli_shown(cli_text(doc, "error.message")));
                code = CLI_FAILURE;
            }
            cJSON_Delete(doc);
            if (!ended && cli->timeout_us > 0 && clock_mono_ns() > end_ns) {
                fputs("espalier: not measured in the time given; it waits on\n", stderr);
                return CLI_TIMEOUT;
            }
            if (!ended)
                clock_sleep_us(CHECK_POLL_US);
        }
    }
    return code;
}

static int show_noise(struct cli *cli, const char *device) {
    static const struct column columns[] = {{"PROFILE", "name", CELL_TEXT},
                                            {"NOISE", "noise", CELL_PERCENT},
                                            {"DOUBT", "noise_doubt", CELL_TEXT}};
    struct err err = {0};
    cJSON *doc = NULL;
    if (cli_get(cli, &err, &doc, "/devices/%s", cli_encode(device)))
        return cli_fail(&err);
    cli_table(cli, cli_item(doc, "profiles"), columns, COUNT(columns));
    cJSON_Delete(doc);
    return CLI_OK;
}

static int check_run(struct cli *cli, int argc, char **argv) {
    static const struct column columns[] = {
        {"ID", "id", CELL_TEXT}, {"PROFILE", "profile", CELL_TEXT}, {"STATE", "state", CELL_TEXT}};
    const struct option_row rows[] = {{"wait", 'w', OPTION_FLAG, NULL, 0, 0, "",
                                       "wait until it is measured, and show it", &cli->wait},
                                      {"timeout", 0, OPTION_DURATION, "0", 0, 1e13, "",
                                       "give up waiting after this time (0: never)",
                                       &cli->timeout_us},
                                      CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL;
    char path[512];
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 2}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    if (argc - first > 1)
        cJSON_AddStringToObject(body, "profile", argv[first + 1]);
    snprintf(path, sizeof(path), "/devices/%.300s/check", cli_encode(argv[first]));
    int rc = cli_send(cli, "POST", path, body, &err, &doc);
    cJSON_Delete(body);
    if (rc)
        return cli_fail(&err);
    code = CLI_OK;
    if (!cli->wait)
        cli_table(cli, cli_item(doc, "items"), columns, COUNT(columns));
    else if ((code = wait_for_checks(cli, cli_item(doc, "items"), &err)) == CLI_OK)
        code = show_noise(cli, argv[first]);
    cJSON_Delete(doc);
    return code;
}

static void print_device(struct cli *cli, const cJSON *doc) {
    printf("%s: %s, health %s%s%s\n", cli_shown(cli_text(doc, "name")), cli_text(doc, "state"),
           cli_text(doc, "health"), *cli_text(doc, "note") ? ", " : "",
           cli_shown(cli_text(doc, "note")));
}

static int set_run(struct cli *cli, int argc, char **argv) {
    const char *name = NULL, *state = NULL, *note = NULL;
    const struct option_row rows[] = {
        {"name", 'n', OPTION_TEXT, NULL, 0, 0, "", "new name", &name},
        {"state", 's', OPTION_TEXT, NULL, 0, 0, "",
         "active, draining, paused, quarantined or maintenance", &state},
        {"note", 0, OPTION_TEXT, NULL, 0, 4096, "", "a note for people", &note},
        CLI_COMMON_ROWS(cli)};
    char path[512];
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    if (name)
        cJSON_AddStringToObject(body, "name", name);
    if (state)
        cJSON_AddStringToObject(body, "state", state);
    if (note)
        cJSON_AddStringToObject(body, "note", note);
    snprintf(path, sizeof(path), "/devices/%.300s", cli_encode(argv[first]));
    return resource_answer(cli, &(struct resource_request){"PATCH", path, body, print_device});
}

const struct cli_command cli_device_ls = {"device", "ls", "", "boards", ls_run};
const struct cli_command cli_device_set = {"device", "set", "DEVICE",
                                           "rename a board, note, set its state", set_run};
const struct cli_command cli_device_check = {"device", "check", "DEVICE [PROFILE]",
                                             "measure the noise floor again", check_run};
const struct cli_command cli_device_allow = {
    "device", "allow", "DEVICE...",
    "let in who was refused: the next start, or enrolment, with another identity", allow_run};
const struct cli_command cli_device_rotate = {"device", "rotate", "DEVICE...",
                                              "let the worker make itself a new token", rotate_run};
const struct cli_command cli_device_revoke = {
    "device", "revoke", "DEVICE...", "take the worker's token back; allow it, to enrol it again",
    revoke_run};
const struct cli_command cli_device_rm = {"device", "rm", "DEVICE...",
                                          "remove boards (their measurements stay)", rm_run};
const struct cli_command cli_token_add = {"token", "add", "", "make an API token", token_add_run};
const struct cli_command cli_token_ls = {"token", "ls", "", "tokens, without their secrets",
                                         token_ls_run};
const struct cli_command cli_token_rm = {"token", "rm", "TOKEN...", "revoke tokens", token_rm_run};
