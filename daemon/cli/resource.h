/* What most nouns share: list, show, remove and act on resources of one path. */
#pragma once

#include "daemon/cli/cli.h"

struct resource {
    const char *path; /* "/datasets" */
    const struct column *list, *fields;
    int n_list, n_fields;
};

/* The list at path, which may have a query, as the options say. Returns an exit code. */
int resource_print_list(struct cli *cli, const char *path, const struct column *columns, int n);
int resource_list(struct cli *cli, const struct resource *resource, int argc, char **argv);
/* Parses argv, which names one thing, and GETs before/WORD/after into *ret_doc, which the caller
 * deletes. Returns -1 to go on, else the exit code to return. */
struct resource_word {
    const char *before, *after; /* "/devices", "/history"; "" */
};
int resource_get(struct cli *cli, const struct resource_word *word, int argc, char **argv,
                 cJSON **ret_doc);
enum { RESOURCE_WHY = 1024 };
/* Of a thing whose state is "failed": why, as its job has it, for people; "": nobody knows. */
const char *resource_why_failed(struct cli *cli, const cJSON *doc, char text[RESOURCE_WHY]);
/* Prints that, where it is known. */
void resource_print_failure(struct cli *cli, const cJSON *doc);
int resource_show(struct cli *cli, const struct resource *resource, int argc, char **argv);
/* The same as a whole command: print shows the document to people, where neither JSON nor a member
 * of it is asked for. */
int resource_page(struct cli *cli, const struct resource_word *word,
                  void (*print)(struct cli *cli, const cJSON *doc), int argc, char **argv);
/* Sends a request and prints its answer in the same way; takes the body (NULL: none). Returns the
 * exit code. */
struct resource_request {
    const char *method, *path;
    cJSON *body;
    void (*print)(struct cli *cli, const cJSON *doc);
};
int resource_answer(struct cli *cli, const struct resource_request *request);
/* The list of parts that belongs to the resource named by the one word: PATH/ID/part. */
struct resource_part {
    const char *path, *part; /* "/tables", "entries" */
    const struct column *columns;
    int n_columns;
};
int resource_parts(struct cli *cli, const struct resource_part *part, int argc, char **argv);
/* POST PATH/ID/action for each word, or DELETE PATH/ID for action "rm", which asks on a terminal
 * unless --yes is given (docs/decisions/0080-removal-asks-on-a-terminal.md). */
int resource_act(struct cli *cli, const struct resource *resource, const char *action, int argc,
                 char **argv);
/* POST PATH/ID/cancel for each word: its job stops at its next step; with --wait until it has. */
int resource_stop(struct cli *cli, const struct resource *resource, int argc, char **argv);

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define RESOURCE(path, list, fields)                                                               \
    { path, list, fields, COUNT(list), COUNT(fields) }
