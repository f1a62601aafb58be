/* Identifiers of stored things: "job_" + 26 characters that sort by time of creation. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { ID_MAX = 40 };

/* prefix as "job_". Two ids made by one process in the same millisecond still sort by the order in
 * which they were made. Thread-safe. */
void id_make(const char *prefix, char ret_id[ID_MAX]);
/* Sorts before every id that was made within the last age_s seconds, and behind older ones. */
void id_make_past(const char *prefix, int64_t age_s, char ret_id[ID_MAX]);
/* Whether text has the form that id_make gives, behind this prefix. */
bool id_is(const char *text, const char *prefix);
/* The same behind a prefix of any kind of thing. */
bool id_is_any(const char *text);
/* The id that a name begins with: a folder's, or a file's as "ex_….onnx.partial". */
bool id_leads(const char *name, const char *prefix, char ret_id[ID_MAX]);
bool id_has_prefix(const char *id, const char *prefix);
