/* espalier webhook add, ls, show, set, rotate, enable, disable, test, deliveries, rm: who is told
 * when a job has ended, or a board has gone away. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

enum { POLL_US = 200000, NEWEST = 1000 };
#define EVENT_HELP                                                                                 \
    "job.done, job.failed, job.canceled, device.offline, device.online, separated by commas"

static const struct column list[] = {{"ID", "id", CELL_TEXT},
                                     {"STATE", "state", CELL_TEXT},
                                     {"LABEL", "label", CELL_TEXT},
                                     {"EVENTS", "events", CELL_WORDS},
                                     {"KINDS", "kinds", CELL_WORDS},
                                     {"WAITING", "pending", CELL_INT},
                                     {"LAST SUCCESS", "last_success_at", CELL_TIME},
                                     {"URL", "url", CELL_TEXT}};
static const struct column fields[] = {{"id", "id", CELL_TEXT},
                                       {"url", "url", CELL_TEXT},
                                       {"label", "label", CELL_TEXT},
                                       {"events", "events", CELL_WORDS},
                                       {"kinds", "kinds", CELL_WORDS},
                                       {"state", "state", CELL_TEXT},
                                       {"because", "disabled_reason", CELL_TEXT},
                                       {"waiting", "pending", CELL_INT},
                                       {"last success", "last_success_at", CELL_TIME},
                                       {"last failure", "last_failure_at", CELL_TIME},
                                       {"last error", "last_error", CELL_TEXT},
                                       {"created", "created_at", CELL_TIME}};
static const struct resource webhooks = RESOURCE("/webhooks", list, fields);
static const struct column deliveries[] = {{"ID", "id", CELL_TEXT},
                                           {"TYPE", "type", CELL_TEXT},
                                           {"JOB", "job", CELL_TEXT},
                                           {"STATE", "state", CELL_TEXT},
                                           {"ATTEMPTS", "attempts", CELL_INT},
                                           {"STATUS", "status", CELL_INT},
                                           {"NEXT", "next_at", CELL_TIME},
                                           {"CREATED", "created_at", CELL_TIME},
                                           {"ERROR", "error", CELL_TEXT}};

/* "a,b" as a list; the daemon says which words there are. */
static void put_words(cJSON *body, const char *key, const char *words) {
    if (!words)
        return;
    cJSON *array = cJSON_AddArrayToObject(body, key);
    while (*words) {
        char word[64];
        size_t len = strcspn(words, ",");
        snprintf(word, sizeof(word), "%.*s", (int)len, words);
        cJSON_AddItemToArray(array, cJSON_CreateString(word));
        words += len + (words[len] == ',');
    }
}

static void print_secret(const cJSON *doc) {
    printf("webhook %s\nsecret %s\n\nThe secret signs each delivery and is shown once.\n",
           cli_text(doc, "id"), cli_text(doc, "secret"));
}

/* POSTs the body, which it takes, and prints the secret that the answer has. */
static int make_secret(struct cli *cli, const char *path, cJSON *body) {
    struct err err = {0};
    cJSON *doc = NULL;
    int rc = cli_send(cli, "POST", path, body, &err, &doc);
    cJSON_Delete(body);
    if (rc)
        return cli_fail(&err);
    if (cli->output)
        puts(cli_text(doc, "secret")); /* what a script passes on */
    else if (!cli_print_plain(cli, doc))
        print_secret(doc);
    cJSON_Delete(doc);
    return CLI_OK;
}

static int add_run(struct cli *cli, int argc, char **argv) {
    const char *label = NULL, *events = NULL, *kinds = NULL;
    const struct option_row rows[] = {
        {"label", 'l', OPTION_TEXT, NULL, 0, 4096, "", "for your own memory", &label},
        {"events", 'e', OPTION_TEXT, NULL, 0, 256, "", EVENT_HELP " (not given: all)", &events},
        {"kinds", 'k', OPTION_TEXT, NULL, 0, 256, "",
         "kinds of jobs, such as search,train (not given: all)", &kinds},
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cli_put_text(body, "url", argv[first]);
    cli_put_text(body, "label", label);
    put_words(body, "events", events);
    put_words(body, "kinds", kinds);
    return make_secret(cli, "/webhooks", body);
}

/* "all": null. */
static void put_words_or_all(cJSON *body, const char *key, const char *words) {
    if (words && !strcmp(words, "all"))
        cJSON_AddNullToObject(body, key);
    else
        put_words(body, key, words);
}

/* PATCHes one webhook with the body, which it takes. */
static int change(struct cli *cli, const char *webhook, cJSON *body) {
    struct err err = {0};
    cJSON *doc = NULL;
    char path[512];

    snprintf(path, sizeof(path), "/webhooks/%.300s", cli_encode(webhook));
    int rc = cli_send(cli, "PATCH", path, body, &err, &doc);
    cJSON_Delete(body);
    if (rc)
        return cli_fail(&err);
    if (!cli_print_plain(cli, doc))
        printf("%s: %s, %s\n", webhook, cli_text(doc, "state"), cli_shown(cli_text(doc, "url")));
    cJSON_Delete(doc);
    return CLI_OK;
}

static int set_run(struct cli *cli, int argc, char **argv) {
    const char *url = NULL, *label = NULL, *events = NULL, *kinds = NULL;
    const struct option_row rows[] = {
        {"to", 0, OPTION_TEXT, NULL, 0, 4096, "", "the URL; what waits goes there, too", &url},
        {"label", 'l', OPTION_TEXT, NULL, 0, 4096, "", "for your own memory", &label},
        {"events", 'e', OPTION_TEXT, NULL, 0, 256, "", EVENT_HELP ", or all", &events},
        {"kinds", 'k', OPTION_TEXT, NULL, 0, 256, "", "kinds of jobs, such as search,train, or all",
         &kinds},
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (!url && !label && !events && !kinds)
        return cli_usage("name what to change: --to, --label, --events or --kinds");
    cJSON *body = cJSON_CreateObject();
    cli_put_text(body, "url", url);
    cli_put_text(body, "label", label);
    put_words_or_all(body, "events", events);
    put_words_or_all(body, "kinds", kinds);
    return change(cli, argv[first], body);
}

static int disable_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cli_put_text(body, "state", "disabled");
    return change(cli, argv[first], body);
}

static int rotate_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    char path[512];
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    snprintf(path, sizeof(path), "/webhooks/%.300s/rotate", cli_encode(argv[first]));
    return make_secret(cli, path, cJSON_CreateObject());
}

/* The delivery of this id, when its attempt has been made; else NULL in *ret. ESP_EGONE: it is not
 * among the newest. */
static int look_for(struct cli *cli, const char *webhook, const char *id, struct err *err,
                    cJSON **ret) {
    cJSON *page = NULL, *item;
    int rc = cli_get_patiently(cli, err, &page, "/webhooks/%s/deliveries?page_size=%d",
                               cli_encode(webhook), NEWEST);
    cJSON *items = cJSON_GetObjectItem(page, "items");

    cJSON_ArrayForEach(item, items) {
        if (!strcmp(cli_text(item, "id"), id))
            break;
    }
    if (rc == 0 && !item)
        rc = err_set(err, ESP_EGONE, NULL, "the delivery %.64s is no longer among the newest %d",
                     id, NEWEST);
    else if (rc == 0 && strcmp(cli_text(item, "state"), "pending"))
        *ret = cJSON_DetachItemViaPointer(items, item);
    cJSON_Delete(page);
    return rc;
}

static int look_whether_enabled(struct cli *cli, const char *webhook, struct err *err, bool *ret) {
    cJSON *doc = NULL;
    int rc = cli_get_patiently(cli, err, &doc, "/webhooks/%s", cli_encode(webhook));

    if (rc == 0)
        *ret = strcmp(cli_text(doc, "state"), "disabled") != 0;
    cJSON_Delete(doc);
    return rc;
}

/* A test has one attempt, which the daemon ends in time, unless somebody disables the webhook
 * before it. */
static int wait_until_sent(struct cli *cli, const char *webhook, const char *id, struct err *err,
                           cJSON **ret) {
    int64_t begun_ns = clock_mono_ns();

    for (;;) {
        bool enabled = true;
        int rc = look_whether_enabled(cli, webhook, err, &enabled);
        if (rc == 0)
            rc = look_for(cli, webhook, id, err, ret);
        if (rc || *ret)
            return rc;
        if (!enabled)
            return err_set(err, ESP_EGONE, NULL,
                           "the webhook was disabled before the delivery was sent");
        if (cli->timeout_us > 0 && clock_mono_ns() - begun_ns > cli->timeout_us * 1000)
            return err_set(err, ESP_ETIMEOUT, NULL, "the delivery was not sent in the time given");
        clock_sleep_us(POLL_US);
    }
}

static int say_ended(struct cli *cli, const cJSON *delivery) {
    bool arrived = !strcmp(cli_text(delivery, "state"), "delivered");

    if (!cli_print_plain(cli, delivery) && arrived)
        printf("delivered: the receiver answered %.0f after %.0f ms\n",
               cli_number(delivery, "status"), cli_number(delivery, "duration_us") / 1e3);
    if (!arrived)
        fprintf(stderr, "espalier: not delivered: %s\n", cli_shown(cli_text(delivery, "error")));
    return arrived ? CLI_OK : CLI_FAILURE;
}

static int test_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {{"timeout", 0, OPTION_DURATION, "0", 0, 1e13, "",
                                       "give up waiting after this time (0: never)",
                                       &cli->timeout_us},
                                      CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *queued = NULL, *ended = NULL, *body;
    char path[512];
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    snprintf(path, sizeof(path), "/webhooks/%.300s/test", cli_encode(argv[first]));
    int rc = cli_send(cli, "POST", path, body = cJSON_CreateObject(), &err, &queued);
    cJSON_Delete(body);
    if (rc == 0)
        rc = wait_until_sent(cli, argv[first], cli_text(queued, "id"), &err, &ended);
    code = rc ? cli_fail(&err) : say_ended(cli, ended);
    cJSON_Delete(queued);
    cJSON_Delete(ended);
    return code;
}

static int ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &webhooks, argc, argv);
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_show(cli, &webhooks, argc, argv);
}

static int enable_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &webhooks, "enable", argc, argv);
}

static int rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &webhooks, "rm", argc, argv);
}

static int deliveries_run(struct cli *cli, int argc, char **argv) {
    static const struct resource_part part = {"/webhooks", "deliveries", deliveries,
                                              COUNT(deliveries)};
    return resource_parts(cli, &part, argc, argv);
}

const struct cli_command cli_webhook_add = {"webhook", "add", "URL",
                                            "have a URL told when a job has ended or a board has "
                                            "gone away",
                                            add_run};
const struct cli_command cli_webhook_ls = {"webhook", "ls", "", "webhooks, without their secrets",
                                           ls_run};
const struct cli_command cli_webhook_show = {"webhook", "show", "WEBHOOK",
                                             "one webhook, and why it is disabled", show_run};
const struct cli_command cli_webhook_test = {
    "webhook", "test", "WEBHOOK", "send a delivery and say whether it arrived", test_run};
const struct cli_command cli_webhook_deliveries = {
    "webhook", "deliveries", "WEBHOOK", "what was sent to it and what waits", deliveries_run};
const struct cli_command cli_webhook_enable = {
    "webhook", "enable", "WEBHOOK...", "send again to webhooks that were disabled", enable_run};
const struct cli_command cli_webhook_set = {"webhook", "set", "WEBHOOK",
                                            "change its URL, label, events or kinds", set_run};
const struct cli_command cli_webhook_disable = {
    "webhook", "disable", "WEBHOOK", "send nothing to it until it is enabled", disable_run};
const struct cli_command cli_webhook_rotate = {
    "webhook", "rotate", "WEBHOOK", "make a new secret, which is shown once", rotate_run};
const struct cli_command cli_webhook_rm = {"webhook", "rm", "WEBHOOK...",
                                           "remove webhooks with their deliveries", rm_run};
