/* Command line, environment and file options from one table: range, unit, default and help stand in
 * one row. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum option_kind {
    OPTION_FLAG,
    OPTION_INT,
    OPTION_REAL,
    OPTION_TEXT,
    OPTION_SIZE /* 10M, 2GiB */,
    OPTION_DURATION /* 30s, 5m: microseconds */
};

struct option_row {
    const char *name; /* "listen-port": --listen-port, environment ESPALIER_LISTEN_PORT */
    char letter;      /* short form, or 0 */
    enum option_kind kind;
    const char *fallback; /* default, as text; NULL: unset */
    double min, max;      /* of numbers, in the base unit; text: of the length (both 0: 1..4096) */
    const char *unit;     /* for help; "" if none */
    const char *help;     /* one line */
    void *target; /* bool*, int64_t*, double*, const char** (owned by the options), int64_t* */
};

/* Order of precedence: command line, environment, defaults. Stops at "--" or the first word without
 * a dash when stop_at_word. rows end with name NULL. *ret_rest is the index in argv of the first
 * word not taken. Errors: ESP_EINVAL. */
int options_parse(const struct option_row *rows, int argc, char **argv, bool stop_at_word,
                  struct err *err, int *ret_rest);
void options_print_help(const struct option_row *rows); /* to stdout */
int options_parse_duration(const char *text, int64_t *ret_us);
int options_parse_size(const char *text, int64_t *ret_bytes);
