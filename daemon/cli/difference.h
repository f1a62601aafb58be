/* How two JSON documents differ. */
#pragma once

#include "daemon/cli/cli.h"

/* Appends a row {"pointer", "have", "want"} (have or want not there: absent) for each innermost
 * value that differs, at most DIFFERENCES_MAX rows in all; numbers are equal by value, members in
 * any order, and null, [] and {} are like what is not there. at is the pointer of the two
 * documents; NULL is a document that is not there. */
enum { DIFFERENCES_MAX = 100 };
void difference_add(cJSON *rows, const char *at, const cJSON *have, const cJSON *want);
/* "/evaluations: 200 there, 4000 in the file" */
void difference_print(FILE *file, const cJSON *row);
