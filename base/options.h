/* Command line, environment and file options from one table: range, unit, default and help stand in
 * one row. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum option_kind {
    OPTION_FLAG,
    OPTION_INT,
    OPTION_REAL,
    OPTION_TEXT,
    OPTION_SIZE /* 10M, 2GiB */,
    OPTION_DURATION /* 30s, 5m: microseconds */,
    OPTION_LIST /* texts: one each time it is given; those of the command line replace others */
};

enum { OPTION_LIST_MAX = 32 };
/* Zero-initialise. */
struct option_list {
    int n;
    bool by_hand; /* from the command line */
    const char *items[OPTION_LIST_MAX];
};

/* Where an option's value came from. */
enum option_origin { OPTION_DEFAULT, OPTION_ENVIRONMENT, OPTION_BY_HAND };

struct option_row {
    const char *name; /* "listen-port": --listen-port, environment ESPALIER_LISTEN_PORT */
    char letter;      /* short form, or 0 */
    enum option_kind kind;
    const char *fallback; /* default, as text; NULL: unset */
    double min, max;      /* of numbers, in the base unit (both 0: any); texts: of the length (both
                             0: 1..4096) */
    const char *unit;     /* for help; "" if none */
    const char *help;     /* one line */
    void *target; /* bool*, int64_t*, double*, const char** (owned by the options), int64_t*,
                     struct option_list* */
    enum option_origin *origin; /* written when the target is; NULL: nobody asks */
};

/* Order of precedence: command line, environment (an empty variable counts as unset), defaults.
 * argv[0] is the program's or command's name and argv[argc] NULL. Takes --name=value, --name value,
 * --flag, --no-flag, -x value, -xvalue; ends at
 * "--" and, when stop_at_word, at the first word without a dash; otherwise such words are moved
 * behind the options in their order. rows end with name NULL. *ret_rest is the index in argv of the
 * first word not taken. Targets may have been written to when it fails. Errors: ESP_EINVAL. */
int options_parse(const struct option_row *rows, int argc, char **argv, bool stop_at_word,
                  struct err *err, int *ret_rest);
/* "listen-port" as "ESPALIER_LISTEN_PORT". */
void options_environment_name(const char *name, char *text, size_t size);
void options_print_help(const struct option_row *rows); /* to stdout */
/* One row of a help text: left in a column of so many characters behind two blanks, then right,
 * broken at its blanks so that no line is longer than OPTIONS_HELP_COLUMNS, or than a narrower
 * terminal that file is, while that leaves OPTIONS_HELP_LEAST for right. */
enum { OPTIONS_HELP_COLUMNS = 100, OPTIONS_HELP_LEAST = 24 };
void options_print_columns(FILE *file, const char *left, const char *right, int width);
/* For manual pages in mdoc: text as roff takes it (to stdout), and a row as the item of a list with
 * its sentence. */
void options_print_roff(const char *text);
void options_print_mdoc(const struct option_row *row);
/* The manual page of a program that has options alone. Texts are plain, a paragraph a line. */
struct options_manual {
    const char *name, *title, *date; /* "espalierd", "ESPALIERD", "November 29, 2026" */
    int section;
    const char *what; /* it is, in half a line */
    const char *description, *files, *exits;
    struct {
        const char *name;
        int section;
    } see[4]; /* ends with name NULL */
};
void options_print_manual(const struct options_manual *manual, const struct option_row *rows);
/* A number with us, ms, s, m or min, h, d; bare only 0. ESP_EINVAL. */
int options_parse_duration(const char *text, int64_t *ret_us);
/* A number, bare (bytes) or with K, M, G, T, KiB… (powers of 1024), kB, MB, GB, TB (of 1000).
 * ESP_EINVAL. */
int options_parse_size(const char *text, int64_t *ret_bytes);
