/* What commands share that ask for candidates by conditions. */
#pragma once

#include "daemon/cli/cli.h"

/* path with the parts, joined by commas, as its parameter; nothing without parts. Returns -1 to go
 * on, else the exit code of a command line with too much of them. */
enum { QUERY_PATH_MAX = 8192 };
int query_add(char path[QUERY_PATH_MAX], const char *parameter, const struct option_list *parts);
/* Has a refusal of the parameter name the option (such as "--objective") that it was made of. */
void query_name_option(const char *parameter, const char *option, struct err *err);
/* The candidates of a page's columns as JSON, an object a line, as search export prints them. */
int export_lines(const cJSON *columns, FILE *file, struct err *err);
void query_add_text(char path[QUERY_PATH_MAX], const char *parameter, const char *value);
