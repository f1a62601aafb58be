/* The command line client: `espalier NOUN VERB`. One file per noun, each with its commands as const
 * structs; it speaks only the HTTP API. */
#pragma once

#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/http_client.h"
#include "base/options.h"

/* Exit codes, as docs/CLI.md lists them. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILURE = 1,
    CLI_USAGE = 2,
    CLI_NOT_FOUND = 3,
    CLI_CONFLICT = 4,
    CLI_UNREACHABLE = 5,
    CLI_JOB_FAILED = 6,
    CLI_TIMEOUT = 124,
    CLI_INTERRUPTED = 130
};

struct cli {
    const struct cli_command *command;
    /* Not NULL: cli_start hands it the rows and goes no further (daemon/cli/visit.h). */
    void (*visit)(const struct cli_command *command, const struct option_row *rows);
    struct http_client *client; /* made by cli_start */
    const char *url, *token, *ca_file, *pinned_key, *output, *get;
    const char *nameless; /* an --output that is refused */
    /* Where these come from: the line alone contradicts itself, and goes before the environment. */
    enum option_origin json_from, jsonl_from, output_from, get_from;
    bool insecure_lan, json, jsonl, no_headers, wait, help;
    bool missing;                      /* what --get named was not there */
    int64_t timeout_us;                /* of --wait; 0: none */
    const volatile sig_atomic_t *stop; /* not 0: requests end with ESP_ECANCELED; NULL: none do */
};

struct cli_command {
    const char *noun, *verb; /* verb NULL: the noun alone is the command */
    const char *words;       /* "NAME PATH" for usage; "" */
    const char *help;        /* one line */
    /* argv[0] is the verb (or the noun). Returns an exit code. */
    int (*run)(struct cli *cli, int argc, char **argv);
};
extern const struct cli_command *const cli_commands[]; /* ends with NULL */

/* The rows of how answers are printed are of commands that heed them all, and no others: who takes
 * these prints by cli_print_plain or cli_table, who has text alone takes CLI_TEXT_ROWS, or where no
 * daemon is asked CLI_HELP_ROW. CLI_LOCAL_ROWS are the last of the table of a command that asks no
 * daemon. */
#define CLI_LOCAL_ROWS(cli)                                                                        \
    CLI_JSON_ROWS(cli), CLI_OUTPUT_ROW(cli, 16, "\"name\": print ids only", output),               \
        CLI_MEMBER_ROWS(cli)
/* The same of a command whose answer has nothing to name: it refuses --output. */
#define CLI_NAMELESS_ROWS(cli)                                                                     \
    CLI_JSON_ROWS(cli), CLI_OUTPUT_ROW(cli, 0, "refused: there are no names", nameless),           \
        CLI_MEMBER_ROWS(cli)
#define CLI_OUTPUT_ROW(cli, most, help, member)                                                    \
    { "output", 'o', OPTION_TEXT, NULL, 0, most, "", help, &(cli)->member, &(cli)->output_from }
#define CLI_MEMBER_ROWS(cli)                                                                       \
    {"get",       'g',                                                                             \
     OPTION_TEXT, NULL,                                                                            \
     0,           0,                                                                               \
     "",          "print one member of the JSON, such as result.seconds",                          \
     &(cli)->get, &(cli)->get_from},                                                               \
        {"no-headers",      0, OPTION_FLAG, NULL, 0, 0, "", "tables without their first line",     \
         &(cli)->no_headers},                                                                      \
        CLI_HELP_ROW(cli)
#define CLI_JSON_ROWS(cli)                                                                         \
    {"json", 'j', OPTION_FLAG, NULL, 0, 0, "", "print JSON", &(cli)->json, &(cli)->json_from}, {   \
        "jsonl", 0, OPTION_FLAG, NULL, 0, 0, "", "print JSON, of a list an object a line",         \
            &(cli)->jsonl, &(cli)->jsonl_from                                                      \
    }
#define CLI_HELP_ROW(cli)                                                                          \
    {"help", 'h', OPTION_FLAG, NULL, 0, 0, "", "this text", &(cli)->help}, {                       \
        NULL                                                                                       \
    }
/* The rows that most other commands have; the last of the table. */
#define CLI_COMMON_ROWS(cli) CLI_DAEMON_ROWS(cli), CLI_LOCAL_ROWS(cli)
#define CLI_TEXT_ROWS(cli) CLI_DAEMON_ROWS(cli), CLI_HELP_ROW(cli)
/* Of them those that say how to reach the daemon. */
#define CLI_DAEMON_ROWS(cli)                                                                        \
    {"url",      'u', OPTION_TEXT, "http://127.0.0.1:8080",                                         \
     0,          0,   "",          "address of the daemon, or unix:PATH of its socket",             \
     &(cli)->url},                                                                                  \
        {"token",      0, OPTION_TEXT, NULL, 0, 0, "", "API token, needed beyond this machine",     \
         &(cli)->token},                                                                            \
        {"ca-file",      0, OPTION_TEXT, NULL, 0, 0, "", "certificate authorities for https",       \
         &(cli)->ca_file},                                                                          \
        {"pinned-key",      0, OPTION_TEXT, NULL, 0, 0, "", "public key that the daemon must show", \
         &(cli)->pinned_key},                                                                       \
    {                                                                                               \
        "insecure-lan", 0, OPTION_FLAG, NULL, 0, 0, "", "allow plain http beyond this machine",     \
            &(cli)->insecure_lan                                                                    \
    }
/* For commands that start a job. */
#define CLI_WAIT_ROWS(cli)                                                                         \
    {"wait",      'w', OPTION_FLAG, NULL, 0, 0, "", "wait for the job and show its progress",      \
     &(cli)->wait},                                                                                \
    {                                                                                              \
        "timeout", 0, OPTION_DURATION, "0", 0, 1e13, "",                                           \
            "give up waiting after this time (0: never)", &(cli)->timeout_us                       \
    }

/* Parses argv by rows, prints help or usage errors, connects the client. Takes from min_words to
 * max_words plain words, the first at argv[*ret_first]. Returns -1 to go on, else the exit code to
 * return. */
struct cli_words {
    int min, max;
};
int cli_start(struct cli *cli, const struct option_row *rows, int argc, char **argv,
              struct cli_words words, int *ret_first);

/* What went wrong with all that was written to the stream until now, as errno; 0: nothing. */
int cli_stream_error(FILE *stream);
/* Prints "espalier: message (pointer)" to stderr and returns the exit code that belongs to the
 * error. */
int cli_fail(const struct err *err);
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Requests. path is a printf format below /api/v1; arguments that are text must be encoded by
 * cli_encode first. */
int cli_get(struct cli *cli, struct err *err, cJSON **ret_doc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int cli_send(struct cli *cli, const char *method, const char *path, const cJSON *body,
             struct err *err, cJSON **ret_doc); /* ret_doc may be NULL; path below /api/v1 */
const char *cli_encode(const char *text); /* percent-encoded; valid until the eighth next call */
/* GETs a whole list through its pages into one array. The caller frees *ret_items. */
int cli_list(struct cli *cli, const char *path, struct err *err, cJSON **ret_items);
/* The same page by page, however many there are: take is given each page's items, which it may
 * empty. */
int cli_each_page(struct cli *cli, const char *path, struct err *err,
                  void (*take)(void *context, cJSON *items), void *context);
/* Whether the items of a list can be printed as they come (--jsonl, -o name). */
bool cli_streams(const struct cli *cli);
/* Another connection like cli->client, for what goes on beside it; the caller destroys it. */
int cli_connect(const struct cli *cli, struct err *err, struct http_client **ret_client);

/* Members of answers; "" or 0 when absent. path is "a.b.c". */
const char *cli_text(const cJSON *doc, const char *path);
double cli_number(const cJSON *doc, const char *path); /* NaN when absent */
const cJSON *cli_item(const cJSON *doc, const char *path);

/* Values of options that were not given: the daemon's defaults hold. Whoever leaves ranges to the
 * daemon begins with these, so that 0 and negative numbers get there and are refused there. */
#define CLI_UNSET INT64_MIN
#define CLI_UNSET_REAL NAN
void cli_put_int(cJSON *body, const char *key, int64_t value);      /* nothing for CLI_UNSET */
void cli_put_real(cJSON *body, const char *key, double value);      /* nothing for NaN */
void cli_put_text(cJSON *body, const char *key, const char *value); /* nothing for NULL */

/* Prints doc as JSON (--json; --jsonl: in a line, of an array each item), one member (--get; one
 * that is not there is said on stderr and makes the command exit with CLI_NOT_FOUND) or its id (-o
 * name) and returns true; false: the caller prints it for people. */
bool cli_print_plain(struct cli *cli, const cJSON *doc);

/* Whether the answer is for a program: --json, --jsonl, -o, --get. */
bool cli_is_plain(const struct cli *cli);
/* Whether the line says so, and not the environment. */
bool cli_way_is_by_hand(const struct cli *cli);
/* Whether somebody is at a terminal who can be asked. */
bool cli_can_ask(void);
/* Asks that somebody whether what the question names is to be removed. -1: yes, go on; else it is
 * said that nothing was, and this is the exit code. */
int cli_ask_removal(const char *question);

/* cli_get of a wait: a daemon that restarts goes on with its jobs, so while it cannot be reached it
 * is asked again, for some 24 s. */
int cli_get_patiently(struct cli *cli, struct err *err, cJSON **ret_doc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Waits for the job with a progress bar on stderr (when stderr is no terminal: a
 * line for each phase, for the first thing done in it, then every 10 s).
 * CLI_OK, CLI_JOB_FAILED, CLI_TIMEOUT, CLI_INTERRUPTED (the job goes on). */
int cli_wait(struct cli *cli, const char *job_id);
/* Waits for the job of an answer {"job": …} and GETs it as it ended, into *ret_job, which the
 * caller deletes. Codes of cli_wait. */
int cli_wait_for_result(struct cli *cli, const cJSON *answer, cJSON **ret_job);
/* Says on stderr that what a job did did not end well, "WHAT failed: why" or "WHAT was cancelled";
 * job has the reason, NULL: nobody knows. CLI_JOB_FAILED. */
int cli_say_failed(const char *what, const char *state, const cJSON *job);
/* Appends before and "ETA 1:02:03" or "ETA 2:03"; nothing for NaN. */
struct buf;
void cli_put_eta(struct buf *out, const char *before, double seconds);
/* For answers {"X": …, "job": …} of what starts a job. Waits for its job; X (named name) and the
 * job in doc are then what they have become, unless the wait was interrupted. Returns its code. */
int cli_wait_started(struct cli *cli, cJSON *doc, const char *name);
/* Prints the resource; a member for --get that it does not have, such as job.id, is one of the
 * whole answer. */
void cli_print_started(struct cli *cli, const cJSON *doc, const char *name);
/* Both: prints the resource, waits when asked to. Programs get it as it has become by the end of
 * the wait, however that ended. Takes doc. */
int cli_started(struct cli *cli, cJSON *doc, const char *name);

/* Tables and fields for people: columns aligned on a terminal, separated by tabs elsewhere. The
 * latencies of a column share a unit. */
enum cell_kind {
    CELL_TEXT,
    CELL_INT,
    CELL_WORDS, /* a list of texts; of other kinds a list is shown by its length */
    CELL_PERCENT /* share */,
    CELL_LATENCY /* from us */,
    CELL_MACS,
    CELL_BYTES,
    CELL_TIME,
    CELL_REAL
};
struct column {
    const char *title, *path; /* "name|id": the first that there is */
    enum cell_kind kind;
};
void cli_table(struct cli *cli, const cJSON *items, const struct column *columns, int n_columns);
/* Where sentences about what is printed go: beside it for people, to stderr where a program reads
 * it or it is plain (cli_print_plain). */
FILE *cli_remarks(const struct cli *cli);
/* Labels, notes and messages may have tabs, line breaks and what a terminal would obey: makes them
 * blanks, so that a row stays a row. */
void cli_blank_controls(char *text);
/* The same of a copy, cut at 4,095 bytes, for what is printed apart from tables and fields; valid
 * until the eighth next call. NULL is "". */
const char *cli_shown(const char *text);
void cli_cell(const cJSON *item, const struct column *column, char *text, int size);
/* The unit that fits latencies up to largest_us: us below a millisecond, else ms. */
struct cli_unit {
    const char *name;
    double us; /* in one */
};
const struct cli_unit *cli_latency_unit(double largest_us);
/* A number as a text that reads back as it: of 15 digits where they do, else of as many as it
 * takes. */
enum { CLI_EXACT = 32 };
const char *cli_exact(double value, char text[CLI_EXACT]);
enum { CLI_LATENCY = 32 };
/* Four significant digits, without the unit's name. */
const char *cli_latency(double us, const struct cli_unit *unit, char text[CLI_LATENCY]);
/* The fields of one resource, a line each; what has no value is left out. */
void cli_fields(const cJSON *doc, const struct column *columns, int n_columns);
