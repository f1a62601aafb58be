/* Candidates as the API answers with them: a column for each thing, metrics of any number. */
#pragma once

#include "daemon/store_sql.h"

/* What a statement selects for candidate_columns_add. */
#define CANDIDATE_COLUMNS                                                                          \
    "arch_id || ':' || strategy, arch_id, arch, strategy, generation, feasible, on_front, "        \
    "metrics, "                                                                                    \
    "revision, origin, first_parent, second_parent"
enum { CANDIDATE_REVISION = 8 }; /* the revision's place */

struct candidate_columns;
/* origins: with columns origin, first_parent and second_parent. ESP_ENOMEM. */
int candidate_columns_create(bool origins, struct err *err, struct candidate_columns **ret_columns);
void candidate_columns_destroy(struct candidate_columns *columns); /* takes NULL */
void candidate_columns_add(struct candidate_columns *columns, const struct sql_rows *rows);
int candidate_columns_n(const struct candidate_columns *columns);
/* {"columns", "total", "cursor", "next"}: next is cursor, or null without more. cursor is plain
 * text. Owned; NULL on memory exhaustion. */
char *candidate_columns_print(struct candidate_columns *columns, int64_t total, const char *cursor,
                              bool more);
