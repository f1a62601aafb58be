/* How answers look to people: cells, tables and field lists. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/utf8.h"
#include "daemon/cli/cli.h"

enum { CELL_SIZE = 1024, COLUMNS_MAX = 40, SHOWN_SLOTS = 8, SHOWN_SIZE = 4096 };
#define BLANKS " \t\r\n"

static void scaled(double value, const char *unit, char *text, int size) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T"};
    int i = 0;

    while (value >= 1000 && i < 4) {
        value /= 1000;
        i++;
    }
    const char *gap = i > 0 || unit[0] ? " " : "";
    snprintf(text, (size_t)size, "%.*f%s%s%s", i > 0 ? 2 : 0, value, gap, prefixes[i], unit);
}

const char *cli_exact(double value, char text[CLI_EXACT]) {
    for (int digits = 15; digits <= 17;
         digits++) { /* 15 are right of every text, 17 of every number */
        snprintf(text, CLI_EXACT, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return text;
}

const struct cli_unit *cli_latency_unit(double largest_us) {
    static const struct cli_unit micro = {"us", 1}, milli = {"ms", 1000};
    return largest_us >= 1000 ? &milli : &micro;
}

const char *cli_latency(double us, const struct cli_unit *unit, char text[CLI_LATENCY]) {
    double value = us / unit->us;
    int digits = value == 0 ? 0 : 3 - (int)floor(log10(fabs(value)));
    digits = digits < 0 ? 0 : digits > 9 ? 9 : digits;
    snprintf(text, CLI_LATENCY, "%.*f", digits, value);
    return text;
}

static void format_latency(double us, double largest_us, char *text, int size) {
    const struct cli_unit *unit = cli_latency_unit(largest_us);
    char value[CLI_LATENCY];
    snprintf(text, (size_t)size, "%s %s", cli_latency(us, unit, value), unit->name);
}

static void format_number(double value, enum cell_kind kind, char *text, int size) {
    switch (kind) {
    case CELL_PERCENT:
        snprintf(text, (size_t)size, "%.2f %%", 100 * value);
        break;
    case CELL_LATENCY:
        format_latency(value, fabs(value), text, size);
        break;
    case CELL_MACS:
        scaled(value, "", text, size);
        break;
    case CELL_BYTES:
        scaled(value, "B", text, size);
        break;
    case CELL_REAL:
        snprintf(text, (size_t)size, "%.4g", value);
        break;
    case CELL_INT:
    case CELL_WORDS:
    case CELL_TEXT:
    case CELL_TIME:
        snprintf(text, (size_t)size, "%.0f", value);
        break;
    }
}

/* "hot, throttled"; "-" where there is none. */
static void format_words(const cJSON *list, char *text, int size) {
    const cJSON *item = NULL;
    int len = snprintf(text, (size_t)size, "%s", cJSON_GetArraySize(list) > 0 ? "" : "-");

    cJSON_ArrayForEach(item, list) {
        if (cJSON_IsString(item) && len < size)
            len += snprintf(text + len, (size_t)(size - len), "%s%s", len > 0 ? ", " : "",
                            item->valuestring);
    }
}

/* C1 controls are two bytes in UTF-8. */
void cli_blank_controls(char *text) {
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            *c = ' ';
        else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
            c[0] = c[1] = ' ';
}

const char *cli_shown(const char *text) {
    static char slots[SHOWN_SLOTS][SHOWN_SIZE];
    static int next;
    char *shown = slots[next];

    next = (next + 1) % SHOWN_SLOTS;
    snprintf(shown, SHOWN_SIZE, "%s", text ? text : "");
    shown[utf8_trim(shown, strlen(shown))] = 0;
    cli_blank_controls(shown);
    return shown;
}

static void format_cell(const cJSON *value, enum cell_kind kind, char *text, int size) {
    if (cJSON_IsNumber(value))
        format_number(value->valuedouble, kind, text, size);
    else if (cJSON_IsString(value) && kind == CELL_TIME)
        snprintf(text, (size_t)size, "%.10s %.8s", value->valuestring,
                 strlen(value->valuestring) > 11 ? value->valuestring + 11 : "");
    else if (cJSON_IsString(value))
        snprintf(text, (size_t)size, "%s", value->valuestring[0] ? value->valuestring : "-");
    else if (cJSON_IsBool(value))
        snprintf(text, (size_t)size, "%s", cJSON_IsTrue(value) ? "yes" : "no");
    else if (cJSON_IsArray(value) && kind == CELL_WORDS)
        format_words(value, text, size);
    else if (cJSON_IsArray(value))
        snprintf(text, (size_t)size, "%d", cJSON_GetArraySize(value));
    else
        snprintf(text, (size_t)size, "-");
}

static bool is_known(const cJSON *value) {
    return value && !cJSON_IsNull(value) && !(cJSON_IsString(value) && !value->valuestring[0]);
}

/* At the first of the column's paths that has one. */
static const cJSON *value_at(const cJSON *item, const struct column *column) {
    char path[256];
    const cJSON *value = NULL;
    for (const char *at = column->path; at && !is_known(value);) {
        size_t len = strcspn(at, "|");
        snprintf(path, sizeof(path), "%.*s", (int)len, at);
        value = cli_item(item, path);
        at = at[len] ? at + len + 1 : NULL;
    }
    return value;
}

void cli_cell(const cJSON *item, const struct column *column, char *text, int size) {
    format_cell(value_at(item, column), column->kind, text, size);
    text[utf8_trim(text, strlen(text))] = 0;
    cli_blank_controls(text);
}

/* Of the column's numbers; 0 when there are none. */
static double largest_of(const cJSON *items, const struct column *column) {
    const cJSON *item = NULL;
    double largest = 0;
    cJSON_ArrayForEach(item, items) largest =
        fmax(largest, fabs(cli_number(item, column->path))); /* fmax passes NaN over */
    return largest;
}

/* A cell of a table whose largest number in this column is known. */
static void table_cell(const cJSON *item, const struct column *column, double largest, char *text) {
    const cJSON *value = cli_item(item, column->path);
    if (column->kind == CELL_LATENCY && cJSON_IsNumber(value))
        format_latency(value->valuedouble, largest, text, CELL_SIZE);
    else
        cli_cell(item, column, text, CELL_SIZE);
}

/* Characters on the screen: bytes less the continuation bytes of UTF-8. */
static int screen_width(const char *text) {
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void pad(const char *text, int width, bool right) {
    int gap = width - screen_width(text);
    printf("%*s%s%*s", right && gap > 0 ? gap : 0, "", text, !right && gap > 0 ? gap : 0, "");
}

static void print_aligned(const cJSON *items, const struct column *columns, int n_columns,
                          bool headers) {
    int width[COLUMNS_MAX] = {0};
    double largest[COLUMNS_MAX];
    char text[CELL_SIZE];
    const cJSON *item = NULL;

    for (int i = 0; i < n_columns; i++) {
        largest[i] = largest_of(items, &columns[i]);
        width[i] = headers ? screen_width(columns[i].title) : 0;
        cJSON_ArrayForEach(item, items) {
            table_cell(item, &columns[i], largest[i], text);
            width[i] = width[i] > screen_width(text) ? width[i] : screen_width(text);
        }
    }
    for (int i = 0; headers && i < n_columns; i++) {
        pad(columns[i].title, i + 1 < n_columns ? width[i] : 0,
            columns[i].kind != CELL_TEXT && columns[i].kind != CELL_TIME);
        fputs(i + 1 < n_columns ? "  " : "\n", stdout);
    }
    cJSON_ArrayForEach(item, items) {
        for (int i = 0; i < n_columns; i++) {
            bool number = columns[i].kind != CELL_TEXT && columns[i].kind != CELL_TIME;
            table_cell(item, &columns[i], largest[i], text);
            pad(text, i + 1 < n_columns || number ? width[i] : 0, number);
            fputs(i + 1 < n_columns ? "  " : "\n", stdout);
        }
    }
}

static void print_tabs(const cJSON *items, const struct column *columns, int n_columns,
                       bool headers) {
    char text[CELL_SIZE];
    double largest[COLUMNS_MAX];
    const cJSON *item = NULL;

    for (int i = 0; i < n_columns; i++)
        largest[i] = largest_of(items, &columns[i]);
    for (int i = 0; headers && i < n_columns; i++)
        printf("%s%c", columns[i].title, i + 1 < n_columns ? '\t' : '\n');
    cJSON_ArrayForEach(item, items) {
        for (int i = 0; i < n_columns; i++) {
            table_cell(item, &columns[i], largest[i], text);
            printf("%s%c", text, i + 1 < n_columns ? '\t' : '\n');
        }
    }
}

static bool for_people(void) {
    return isatty(STDOUT_FILENO) || getenv("ESPALIER_TABLE");
}

bool cli_is_plain(const struct cli *cli) {
    return cli->json || cli->jsonl || cli->get || cli->output;
}

FILE *cli_remarks(const struct cli *cli) {
    return for_people() && !cli_is_plain(cli) ? stdout : stderr;
}

bool cli_can_ask(void) {
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* "y" or "yes" in any case, with blanks around it. */
static bool is_yes(const char *line) {
    static const char *const words[] = {"y", "yes"};
    line += strspn(line, BLANKS);
    size_t len = strcspn(line, BLANKS);
    if (line[len + strspn(line + len, BLANKS)])
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (len == strlen(words[i]) && !strncasecmp(line, words[i], len))
            return true;
    return false;
}

int cli_ask_removal(const char *question) {
    char *line = NULL;
    size_t size = 0;
    fprintf(stderr, "%s [y/N] ", question);
    bool yes = getline(&line, &size, stdin) > 0 && is_yes(line);
    free(line);
    if (yes)
        return -1;
    fputs("Nothing was removed.\n", stderr);
    return CLI_FAILURE;
}

void cli_table(struct cli *cli, const cJSON *items, const struct column *columns, int n_columns) {
    if (cli_print_plain(cli, items))
        return;
    if (for_people())
        print_aligned(items, columns, n_columns, !cli->no_headers);
    else
        print_tabs(items, columns, n_columns, !cli->no_headers);
}

static bool has_value(const cJSON *doc, const struct column *column) {
    const cJSON *value = value_at(doc, column);
    if (cJSON_IsString(value))
        return value->valuestring[0];
    if (cJSON_IsArray(value) && column->kind == CELL_WORDS)
        return cJSON_GetArraySize(value) > 0;
    return cJSON_IsNumber(value) || cJSON_IsBool(value) || cJSON_IsArray(value);
}

void cli_fields(const cJSON *doc, const struct column *columns, int n_columns) {
    char text[1024];
    int width = 0;
    bool aligned = for_people();

    for (int i = 0; i < n_columns; i++)
        if (has_value(doc, &columns[i]) && (int)strlen(columns[i].title) > width)
            width = (int)strlen(columns[i].title);
    for (int i = 0; i < n_columns; i++) {
        if (!has_value(doc, &columns[i]))
            continue;
        cli_cell(doc, &columns[i], text, sizeof(text));
        printf("%-*s%s%s\n", aligned ? width : 0, columns[i].title, aligned ? "  " : "\t", text);
    }
}
