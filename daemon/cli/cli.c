#include "daemon/cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "daemon/cli/settings.h"

enum { ANSWER_BYTES_MAX = 64 << 20 }; /* 20,000 candidates of 40 metrics */
enum { PATH_LIMIT = 8192, ENCODED_SLOTS = 8, ENCODED_SIZE = 4096 };

int cli_stream_error(FILE *stream) {
    errno = 0;
    if (fflush(stream) != 0)
        return errno ? errno : EIO;
    return ferror(stream) ? EIO : 0; /* an earlier write, whose reason is not kept */
}

int cli_fail(const struct err *err) {
    struct err shown = *err;
    cli_blank_controls(shown.message);
    cli_blank_controls(shown.pointer);
    fprintf(stderr, "espalier: %s", shown.message);
    if (shown.pointer[0] && shown.pointer[0] != '?') /* the text names a parameter */
        fprintf(stderr, " (%s)", shown.pointer);
    if (err->code == ESP_EUNAUTHORIZED)
        fputs("; --token or ESPALIER_TOKEN gives one", stderr);
    fputc('\n', stderr);
    switch (err->code) {
    case ESP_ENOTFOUND:
        return CLI_NOT_FOUND;
    case ESP_ECONFLICT:
    case ESP_EPRECONDITION:
    case ESP_ECANCELED:
    case ESP_EMISSING:
        return CLI_CONFLICT;
    case ESP_EUNREACHABLE:
        return CLI_UNREACHABLE;
    case ESP_ETIMEOUT:
        return CLI_TIMEOUT;
    default:
        return CLI_FAILURE;
    }
}

int cli_usage(const char *format, ...) {
    va_list args;
    fputs("espalier: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return CLI_USAGE;
}

static void print_usage(const struct cli_command *command) {
    printf("usage: espalier %s%s%s%s%s [options]\n\n%s\n\n", command->noun,
           command->verb ? " " : "", command->verb ? command->verb : "",
           command->words[0] ? " " : "", command->words, command->help);
}

/* Of words that were not parsed: whether one of them asks for help. */
static bool asks_for_help(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

/* Settings and options. Help needs no settings, and is given where these are wrong; on a line that
 * is wrong itself it is refused as all else is. -1 to go on, else the exit code. */
static int take_options(struct cli *cli, const struct option_row *rows, int argc, char **argv,
                        int *ret_first) {
    struct err err = {0}, ignored = {0};
    bool wrong_settings = settings_load(&err) != 0;

    if (wrong_settings || options_parse(rows, argc, argv, false, &err, ret_first)) {
        int code = cli_usage("%s", err.message);
        if (!wrong_settings) /* no file's, but an environment variable or the line */
            wrong_settings = options_parse(rows, 1, argv, false, &ignored, ret_first) != 0;
        if (!wrong_settings || !asks_for_help(argc, argv))
            return code;
    } else if (!cli->help) {
        return -1;
    }
    print_usage(cli->command);
    options_print_help(rows);
    return CLI_OK;
}

/* How the answer is printed, as the line says it. */
struct ways {
    bool json, jsonl, output, get;
};

static struct ways ways_by_hand(const struct cli *cli) {
    return (struct ways){cli->json && cli->json_from == OPTION_BY_HAND,
                         cli->jsonl && cli->jsonl_from == OPTION_BY_HAND,
                         cli->output && cli->output_from == OPTION_BY_HAND,
                         cli->get && cli->get_from == OPTION_BY_HAND};
}

bool cli_way_is_by_hand(const struct cli *cli) {
    struct ways ways = ways_by_hand(cli);
    return ways.json || ways.jsonl || ways.output || ways.get;
}

/* What the line says goes before the environment. Returns -1 where it says two things. */
static int choose_way(struct cli *cli) {
    struct ways ways = ways_by_hand(cli);
    int n = ways.json + ways.jsonl + ways.output + ways.get;
    if (n == 1) {
        cli->json = ways.json;
        cli->jsonl = ways.jsonl;
        cli->output = ways.output ? cli->output : NULL;
        cli->get = ways.get ? cli->get : NULL;
    }
    return n > 1 ? -1 : 0;
}

int cli_start(struct cli *cli, const struct option_row *rows, int argc, char **argv,
              struct cli_words words, int *ret_first) {
    struct err err = {0};
    int n = 0, code;

    if (cli->visit) {
        cli->visit(cli->command, rows);
        return CLI_OK;
    }
    code = take_options(cli, rows, argc, argv, ret_first);
    if (code >= 0)
        return code;
    n = argc - *ret_first;
    if (n < words.min || n > words.max)
        return cli_usage("%s %s takes: %s (see --help)", cli->command->noun,
                         cli->command->verb ? cli->command->verb : "",
                         cli->command->words[0] ? cli->command->words : "no words");
    if (cli->nameless && cli->output_from == OPTION_BY_HAND)
        return cli_usage("what %s%s%s prints has no names: --output is not for it (--get prints a "
                         "member, --json all)",
                         cli->command->noun, cli->command->verb ? " " : "",
                         cli->command->verb ? cli->command->verb : "");
    if (cli->output && strcmp(cli->output, "name") != 0)
        return cli_usage("--output is \"name\", not \"%.40s\"", cli->output);
    if (choose_way(cli) < 0)
        return cli_usage("one of --json, --jsonl, --get and --output name at a time");
    if (!cli->url || cli_connect(cli, &err, &cli->client) == 0)
        return -1;
    return err.code == ESP_EINVAL ? cli_usage("%s", err.message) : cli_fail(&err);
}

int cli_connect(const struct cli *cli, struct err *err, struct http_client **ret_client) {
    struct http_client_options options = {.base_url = cli->url,
                                          .token = cli->token,
                                          .ca_file = cli->ca_file,
                                          .pinned_key = cli->pinned_key,
                                          .user_agent = "espalier/" ESP_VERSION,
                                          .allow_plain = cli->insecure_lan};
    return http_client_create(&options, err, ret_client);
}

const char *cli_encode(const char *text) {
    static char slots[ENCODED_SLOTS][ENCODED_SIZE];
    static int next;
    char *out = slots[next];
    int len = 0;

    next = (next + 1) % ENCODED_SLOTS;
    for (; *text && len < ENCODED_SIZE - 4; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("-._~", c))
            out[len++] = (char)c;
        else
            len += snprintf(out + len, 4, "%%%02X", c);
    }
    out[len] = 0;
    return out;
}

int cli_send(struct cli *cli, const char *method, const char *path, const cJSON *body,
             struct err *err, cJSON **ret_doc) {
    char whole[PATH_LIMIT];
    int status = 0;

    if (snprintf(whole, sizeof(whole), "/api/v1%s", path) >= PATH_LIMIT)
        return err_set(err, ESP_ELIMIT, NULL, "the request is too long");
    struct http_exchange exchange = {.method = method,
                                     .path = whole,
                                     .body = body,
                                     .response_limit = ANSWER_BYTES_MAX,
                                     .stop = cli->stop};
    return http_client_json(cli->client, &exchange, err, &status, ret_doc);
}

int cli_get(struct cli *cli, struct err *err, cJSON **ret_doc, const char *format, ...) {
    char path[PATH_LIMIT - 16];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    if (len >= (int)sizeof(path))
        return err_set(err, ESP_ELIMIT, NULL, "the request is too long");
    return cli_send(cli, "GET", path, NULL, err, ret_doc);
}

int cli_each_page(struct cli *cli, const char *path, struct err *err,
                  void (*take)(void *context, cJSON *items), void *context) {
    char cursor[512] = "";
    int rc;

    do {
        cJSON *doc = NULL;
        rc = cli_get(cli, err, &doc, "%s%cpage_size=1000%s%s", path, strchr(path, '?') ? '&' : '?',
                     cursor[0] ? "&after=" : "", cursor[0] ? cli_encode(cursor) : "");
        if (rc == 0)
            take(context, cJSON_GetObjectItemCaseSensitive(doc, "items"));
        snprintf(cursor, sizeof(cursor), "%s", cli_text(doc, "next"));
        cJSON_Delete(doc);
    } while (rc == 0 && cursor[0]);
    return rc;
}

static void move_items(void *all, cJSON *items) {
    while (items && items->child)
        cJSON_AddItemToArray(all, cJSON_DetachItemViaPointer(items, items->child));
}

int cli_list(struct cli *cli, const char *path, struct err *err, cJSON **ret_items) {
    cJSON *all = cJSON_CreateArray();
    int rc = cli_each_page(cli, path, err, move_items, all);

    if (rc)
        cJSON_Delete(all);
    else
        *ret_items = all;
    return rc;
}

bool cli_streams(const struct cli *cli) {
    return !cli->get && !cli->json && (cli->jsonl || cli->output);
}

const cJSON *cli_item(const cJSON *doc, const char *path) {
    char name[64];

    while (doc && *path) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof(name))
            return NULL;
        memcpy(name, path, len);
        name[len] = 0;
        doc = isdigit((unsigned char)name[0]) && cJSON_IsArray(doc)
                  ? cJSON_GetArrayItem(doc, atoi(name))
                  : cJSON_GetObjectItemCaseSensitive(doc, name);
        path += len + (path[len] == '.');
    }
    return doc;
}

const char *cli_text(const cJSON *doc, const char *path) {
    const char *text = cJSON_GetStringValue(cli_item(doc, path));
    return text ? text : "";
}

double cli_number(const cJSON *doc, const char *path) {
    const cJSON *item = cli_item(doc, path);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

void cli_put_real(cJSON *body, const char *key, double value) {
    if (isnan(value))
        return;
    cJSON_DeleteItemFromObjectCaseSensitive(body, key);
    cJSON_AddNumberToObject(body, key, value);
}

void cli_put_int(cJSON *body, const char *key, int64_t value) {
    cli_put_real(body, key, value == CLI_UNSET ? NAN : (double)value);
}

void cli_put_text(cJSON *body, const char *key, const char *value) {
    if (!value)
        return;
    cJSON_DeleteItemFromObjectCaseSensitive(body, key);
    cJSON_AddStringToObject(body, key, value);
}

static void print_json(const cJSON *doc) {
    char *text = doc ? cJSON_Print(doc) : NULL;
    puts(text ? text : "null");
    free(text);
}

/* Texts as they are, all else as JSON. */
static void print_member(struct cli *cli, const cJSON *doc) {
    const cJSON *item = cli_item(doc, cli->get);
    char number[CLI_EXACT];
    if (item == NULL) {
        fprintf(stderr, "espalier: the answer has no member \"%s\"\n", cli->get);
        cli->missing = true;
    } else if (cJSON_IsString(item))
        puts(item->valuestring);
    else if (cJSON_IsNumber(item))
        puts(cli_exact(item->valuedouble, number));
    else
        print_json(item);
}

static void print_line(const cJSON *doc) {
    char *text = doc ? json_print(doc) : NULL;
    puts(text ? text : "null");
    free(text);
}

/* Its id, or what else it is told from others by. */
static void print_name(const cJSON *item) {
    static const char *const members[] = {"id",   "name",   "signature", "arch_id",
                                          "arch", "metric", "kind",      "what"};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if (cli_text(item, members[i])[0]) {
            puts(cli_text(item, members[i]));
            return;
        }
    puts("-");
}

static void print_each(const cJSON *doc, void (*print)(const cJSON *item)) {
    const cJSON *item = NULL;
    if (!cJSON_IsArray(doc))
        print(doc);
    else
        cJSON_ArrayForEach(item, doc) print(item);
}

bool cli_print_plain(struct cli *cli, const cJSON *doc) {
    if (cli->get)
        print_member(cli, doc);
    else if (cli->json)
        print_json(doc);
    else if (cli->jsonl)
        print_each(doc, print_line);
    else if (cli->output)
        print_each(doc, print_name);
    else
        return false;
    return true;
}
