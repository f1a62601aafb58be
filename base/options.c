#include "base/options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/terminal.h"

enum { TEXT_MAX = 4096, NAME_MAX_BYTES = 64 };

struct unit {
    const char *name;
    double factor;
};

static const struct unit durations[] = {
    {"us", 1},     {"ms", 1e3},   {"s", 1e6},     {"m", 60e6},
    {"min", 60e6}, {"h", 3600e6}, {"d", 86400e6}, {NULL, 0},
};

static const struct unit sizes[] = {
    {"", 1},
    {"B", 1},
    {"K", 1024.0},
    {"KiB", 1024.0},
    {"M", 1048576.0},
    {"MiB", 1048576.0},
    {"G", 1073741824.0},
    {"GiB", 1073741824.0},
    {"T", 1099511627776.0},
    {"TiB", 1099511627776.0},
    {"kB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"TB", 1e12},
    {NULL, 0},
};

/* A decimal number and one of the units, rounded to a whole number of base units below 2^53. */
static int parse_with_unit(const char *text, const struct unit *units, int64_t *ret) {
    char *end;
    if (!isdigit((unsigned char)text[0]) || strpbrk(text, "xX"))
        return ESP_EINVAL;
    double value = strtod(text, &end);
    for (const struct unit *unit = units; unit->name; unit++) {
        if (strcmp(unit->name, end) != 0)
            continue;
        if (!(value * unit->factor <= 0x1p53))
            return ESP_EINVAL;
        *ret = (int64_t)llround(value * unit->factor);
        return 0;
    }
    return ESP_EINVAL;
}

int options_parse_duration(const char *text, int64_t *ret_us) {
    if (strcmp(text, "0") == 0) {
        *ret_us = 0;
        return 0;
    }
    return parse_with_unit(text, durations, ret_us);
}

int options_parse_size(const char *text, int64_t *ret_bytes) {
    return parse_with_unit(text, sizes, ret_bytes);
}

static int parse_int(const char *text, int64_t *ret) {
    char *end;
    if (!isdigit((unsigned char)text[0]) && text[0] != '-')
        return ESP_EINVAL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        return ESP_EINVAL;
    *ret = value;
    return 0;
}

static int parse_real(const char *text, double *ret) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        return ESP_EINVAL;
    *ret = value;
    return 0;
}

static int parse_flag(const char *text, bool *ret) {
    static const char *const yes[] = {"1", "true", "yes", "on", NULL};
    static const char *const no[] = {"0", "false", "no", "off", NULL};
    for (int i = 0; yes[i]; i++) {
        if (strcmp(text, yes[i]) && strcmp(text, no[i]))
            continue;
        *ret = strcmp(text, yes[i]) == 0;
        return 0;
    }
    return ESP_EINVAL;
}

static const char *expected(enum option_kind kind) {
    switch (kind) {
    case OPTION_FLAG:
        return "true or false";
    case OPTION_INT:
        return "a whole number";
    case OPTION_REAL:
        return "a number";
    case OPTION_TEXT:
    case OPTION_LIST:
        return "a text";
    case OPTION_SIZE:
        return "a size such as 512K, 10M or 2GiB";
    case OPTION_DURATION:
        return "a duration such as 500ms, 30s or 5m";
    }
    return "a value";
}

static bool in_range(const struct option_row *row, double value) {
    return (row->min == 0 && row->max == 0) || (value >= row->min && value <= row->max);
}

static const struct unit *units_of(enum option_kind kind) {
    return kind == OPTION_DURATION ? durations : kind == OPTION_SIZE ? sizes : NULL;
}

/* As a person would write it: "90s", "1GiB", in the largest unit that leaves a whole number. */
static void format_bound(const struct option_row *row, double value, char *text, size_t size) {
    const struct unit *best = NULL;
    for (const struct unit *unit = units_of(row->kind); unit != NULL && unit->name; unit++)
        if (fmod(value, unit->factor) == 0 && value >= unit->factor &&
            (best == NULL || unit->factor > best->factor))
            best = unit;
    snprintf(text, size, "%.15g%s", best != NULL ? value / best->factor : value,
             best != NULL ? best->name : "");
}

/* "--wait: must be from 1s to 1h, not 0". A bound beyond 1e15 is no choice but the end of the
 * numbers, and is not named. */
static int out_of_range(const struct option_row *row, const char *text, const char *source,
                        struct err *err) {
    char min[64], max[64];
    bool named = row->max < 1e15;
    format_bound(row, row->min, min, sizeof(min));
    format_bound(row, row->max, max, sizeof(max));
    return err_set(err, ESP_EINVAL, NULL, "%s: must be %s %s%s%s, not %.100s", source,
                   named ? "from" : "at least", min, named ? " to " : "", named ? max : "", text);
}

static int set_number(const struct option_row *row, const char *text, const char *source,
                      struct err *err) {
    int64_t whole = 0;
    double real = 0;
    int code = row->kind == OPTION_INT    ? parse_int(text, &whole)
               : row->kind == OPTION_SIZE ? options_parse_size(text, &whole)
               : row->kind == OPTION_REAL ? parse_real(text, &real)
                                          : options_parse_duration(text, &whole);
    if (code < 0)
        return err_set(err, ESP_EINVAL, NULL, "%s: \"%.100s\" is not %s", source, text,
                       expected(row->kind));
    if (row->kind != OPTION_REAL)
        real = (double)whole;
    if (!in_range(row, real))
        return out_of_range(row, text, source, err);
    if (row->kind == OPTION_REAL)
        *(double *)row->target = real;
    else
        *(int64_t *)row->target = whole;
    return 0;
}

static int check_length(const struct option_row *row, const char *text, const char *source,
                        struct err *err) {
    bool any = row->min == 0 && row->max == 0;
    double least = any ? 1 : row->min, most = any ? TEXT_MAX : row->max, len = (double)strlen(text);
    if (len < least || len > most)
        return err_set(err, ESP_EINVAL, NULL, "%s: must have from %.0f to %.0f bytes, not %.0f",
                       source, least, most, len);
    return 0;
}

static int set_text(const struct option_row *row, const char *text, const char *source,
                    struct err *err) {
    int code = check_length(row, text, source, err);
    if (code == 0)
        *(const char **)row->target = text;
    return code;
}

static int add_text(const struct option_row *row, const char *text, const char *source,
                    struct err *err) {
    struct option_list *list = row->target;
    bool by_hand = source[0] == '-';
    int code = check_length(row, text, source, err);
    if (code < 0)
        return code;
    if (list->by_hand != by_hand)
        list->n = 0;
    list->by_hand = by_hand;
    if (list->n == OPTION_LIST_MAX)
        return err_set(err, ESP_EINVAL, NULL, "%s: at most %d times", source, OPTION_LIST_MAX);
    list->items[list->n++] = text;
    return 0;
}

/* source names the value in messages: "--port", "ESPALIER_PORT"; of a default it is the row's name.
 */
static int set_value(const struct option_row *row, const char *text, const char *source,
                     struct err *err) {
    if (row->origin)
        *row->origin = source[0] == '-'      ? OPTION_BY_HAND
                       : source == row->name ? OPTION_DEFAULT
                                             : OPTION_ENVIRONMENT;
    if (row->kind == OPTION_TEXT)
        return set_text(row, text, source, err);
    if (row->kind == OPTION_LIST)
        return add_text(row, text, source, err);
    if (row->kind != OPTION_FLAG)
        return set_number(row, text, source, err);
    if (parse_flag(text, row->target) < 0)
        return err_set(err, ESP_EINVAL, NULL, "%s: \"%.100s\" is not %s", source, text,
                       expected(row->kind));
    return 0;
}

/* ", did you mean --name?" behind an unknown option. */
static int unknown_option(const struct option_row *rows, const char *word, struct err *err) {
    const struct option_row *best = NULL;
    size_t len = strcspn(word + 2, "=");
    char name[NAME_MAX_BYTES];
    int least = INT_MAX;
    snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : 0), word + 2);
    for (; rows->name; rows++) {
        int distance = nearest_distance(name, rows->name);
        if (distance < least) {
            least = distance;
            best = rows;
        }
    }
    bool slip = best != NULL && nearest_is_slip(name, least);
    return err_set(err, ESP_EINVAL, NULL, "unknown option %.100s%s%s%s", word,
                   slip ? "; did you mean --" : "", slip ? best->name : "", slip ? "?" : "");
}

void options_environment_name(const char *name, char *text, size_t size) {
    snprintf(text, size, "ESPALIER_%s", name);
    for (char *at = text; *at; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

static int set_defaults(const struct option_row *rows, struct err *err) {
    for (const struct option_row *row = rows; row->name; row++) {
        char name[NAME_MAX_BYTES + 16];
        options_environment_name(row->name, name, sizeof(name));
        const char *from_environment = getenv(name);
        if (from_environment && !from_environment[0])
            from_environment = NULL;
        const char *text = from_environment ? from_environment : row->fallback;
        int code = text ? set_value(row, text, from_environment ? name : row->name, err) : 0;
        if (code < 0)
            return code;
    }
    return 0;
}

static const struct option_row *find_name(const struct option_row *rows, const char *name,
                                          size_t len) {
    for (; rows->name; rows++)
        if (strlen(rows->name) == len && memcmp(rows->name, name, len) == 0)
            return rows;
    return NULL;
}

static const struct option_row *find_letter(const struct option_row *rows, char letter) {
    for (; rows->name; rows++)
        if (rows->letter && rows->letter == letter)
            return rows;
    return NULL;
}

/* --name=value, --name value, --flag, --no-flag. *ret_words: how many of argv it took. */
static int take_long(const struct option_row *rows, char **argv, struct err *err, int *ret_words) {
    const char *name = argv[0] + 2, *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_row *row = find_name(rows, name, len);
    *ret_words = 1;
    if (!row && strncmp(name, "no-", 3) == 0 && !equals) {
        row = find_name(rows, name + 3, len - 3);
        if (row && row->kind == OPTION_FLAG)
            return set_value(row, "false", argv[0], err);
        row = NULL;
    }
    if (!row)
        return unknown_option(rows, argv[0], err);
    char source[NAME_MAX_BYTES + 16];
    snprintf(source, sizeof(source), "--%s", row->name);
    if (equals)
        return set_value(row, equals + 1, source, err);
    if (row->kind == OPTION_FLAG)
        return set_value(row, "true", source, err);
    if (!argv[1])
        return err_set(err, ESP_EINVAL, NULL, "%s needs %s", source, expected(row->kind));
    *ret_words = 2;
    return set_value(row, argv[1], source, err);
}

/* -fv, -ovalue, -o value. */
static int take_short(const struct option_row *rows, char **argv, struct err *err, int *ret_words) {
    *ret_words = 1;
    for (const char *letter = argv[0] + 1; *letter; letter++) {
        const struct option_row *row = find_letter(rows, *letter);
        const char source[] = {'-', *letter, '\0'};
        if (!row)
            return err_set(err, ESP_EINVAL, NULL, "unknown option %s", source);
        if (row->kind != OPTION_FLAG) {
            const char *value = letter[1] ? letter + 1 : argv[1];
            if (!value)
                return err_set(err, ESP_EINVAL, NULL, "%s needs %s", source, expected(row->kind));
            *ret_words = letter[1] ? 1 : 2;
            return set_value(row, value, source, err);
        }
        int code = set_value(row, "true", source, err);
        if (code < 0)
            return code;
    }
    return 0;
}

/* Moves the words [from, from + count) in front of those from `to` on; order within both stays. */
static void move_forward(char **argv, int to, int from, int count) {
    for (; count > 0; count--, to++, from++) {
        char *word = argv[from];
        memmove(argv + to + 1, argv + to, (size_t)(from - to) * sizeof(char *));
        argv[to] = word;
    }
}

int options_parse(const struct option_row *rows, int argc, char **argv, bool stop_at_word,
                  struct err *err, int *ret_rest) {
    int code = set_defaults(rows, err);
    int taken = argc > 0 ? 1 : 0; /* argv[1..taken) are options; plain words gather behind them */
    for (int i = taken; i < argc && code == 0;) {
        const char *word = argv[i];
        if (strcmp(word, "--") == 0) {
            move_forward(argv, taken, i, 1);
            taken++;
            break;
        }
        if (word[0] != '-' || word[1] == '\0') {
            if (stop_at_word)
                break;
            i++;
            continue;
        }
        int words;
        code = (word[1] == '-' ? take_long : take_short)(rows, argv + i, err, &words);
        if (code < 0)
            break;
        move_forward(argv, taken, i, words);
        taken += words;
        i += words;
    }
    if (code == 0)
        *ret_rest = taken;
    return code;
}

static const char *argument_name(enum option_kind kind) {
    switch (kind) {
    case OPTION_FLAG:
        return "";
    case OPTION_INT:
    case OPTION_REAL:
        return " NUMBER";
    case OPTION_TEXT:
    case OPTION_LIST:
        return " TEXT";
    case OPTION_SIZE:
        return " SIZE";
    case OPTION_DURATION:
        return " TIME";
    }
    return "";
}

/* What stands in the left column. */
static int format_left(const struct option_row *row, char *text, size_t size) {
    char letter[8] = "    ";
    if (row->letter)
        snprintf(letter, sizeof(letter), "-%c, ", row->letter);
    return snprintf(text, size, "%s--%s%s", letter, row->name, argument_name(row->kind));
}

static void format_help(const struct option_row *row, char *text, size_t size) {
    bool unit = row->unit && row->unit[0];
    bool fallback = row->fallback && row->fallback[0] && row->kind != OPTION_FLAG;
    snprintf(text, size, "%s%s%s%s%s%s%s", row->help, unit ? " (" : "", unit ? row->unit : "",
             unit ? ")" : "", fallback ? " [" : "", fallback ? row->fallback : "",
             fallback ? "]" : "");
}

/* What begins a line as a request would is kept from being one. */
static void begin_roff_line(const char *text) {
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
}

void options_print_roff(const char *text) {
    enum { WIDTH = 72 };
    int column = 0;
    bool ends = false; /* a sentence, which begins a line in mdoc */
    begin_roff_line(text);
    for (; *text; ends = *text == '.', text++, column++)
        if (*text == ' ' && (ends || column + (int)strcspn(text + 1, " ") > WIDTH)) {
            putchar('\n');
            begin_roff_line(text + 1);
            column = -1;
        } else if (*text == '\\') {
            fputs("\\e", stdout);
        } else if (*text == '-') {
            fputs("\\-", stdout);
            column++;
        } else {
            putchar(*text);
        }
}

void options_print_mdoc(const struct option_row *row) {
    char help[512];
    fputs(".It ", stdout);
    if (row->letter)
        printf("Fl %c , ", row->letter);
    fputs("Fl \\-", stdout);
    options_print_roff(row->name);
    if (row->kind != OPTION_FLAG)
        printf(" Ar%s", argument_name(row->kind));
    format_help(row, help, sizeof(help));
    putchar('\n');
    options_print_roff(help);
    fputs(".\n", stdout);
}

static int help_columns(FILE *file, int width) {
    int columns = terminal_columns(fileno(file)), least = width + 2 + OPTIONS_HELP_LEAST;
    if (columns <= 0 || columns > OPTIONS_HELP_COLUMNS)
        return OPTIONS_HELP_COLUMNS;
    return columns < least ? least : columns;
}

void options_print_columns(FILE *file, const char *left, const char *right, int width) {
    const int columns = help_columns(file, width);
    fprintf(file, "  %-*s", width, left);
    for (int column = width + 2; *right;) {
        int len = (int)strcspn(right, " ");
        if (column > width + 2 && column + 1 + len > columns) {
            fprintf(file, "\n  %-*s", width, "");
            column = width + 2;
        }
        fprintf(file, "%s%.*s", column > width + 2 ? " " : "  ", len, right);
        column += len + (column > width + 2 ? 1 : 2);
        right += len + strspn(right + len, " ");
    }
    fputc('\n', file);
}

void options_print_help(const struct option_row *rows) {
    char left[NAME_MAX_BYTES + 32], right[1024];
    int width = 0;
    for (const struct option_row *row = rows; row->name; row++) {
        int len = format_left(row, left, sizeof(left));
        width = len > width ? len : width;
    }
    for (; rows->name; rows++) {
        format_left(rows, left, sizeof(left));
        format_help(rows, right, sizeof(right));
        options_print_columns(stdout, left, right, width);
    }
}
