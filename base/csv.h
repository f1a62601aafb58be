/* Tables of comma-separated values (RFC 4180): a header line, fields that may stand in quotes, LF
 * or CRLF. Blanks around a field, outside of its quotes, do not count. Read whole. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { CSV_BYTES_MAX = 256 << 20, CSV_COLUMNS_MAX = 4096, CSV_FIELDS_MAX = 20000000 };

struct csv;
/* Every row must have as many fields as the header; empty lines do not count. Errors: those of
 * file_read; ESP_EPARSE (names the line), ESP_ELIMIT, ESP_ENOMEM. */
int csv_open(const char *path, struct err *err, struct csv **ret_csv);
/* The same of text, which is copied. */
int csv_parse(const char *text, size_t len, struct err *err, struct csv **ret_csv);
void csv_close(struct csv *csv); /* takes NULL */

/* For the end of an error's sentence: " (…)" if the header looks as if it had another separator
 * than commas, else "". */
const char *csv_separator_hint(const struct csv *csv);
const char *csv_name(const struct csv *csv); /* of the file, without folders; "table" of text */
size_t csv_rows(const struct csv *csv);      /* without the header */
int csv_columns(const struct csv *csv);
const char *csv_title(const struct csv *csv, int column);
int csv_find(const struct csv *csv, const char *title); /* the first so called; -1: none */
const char *csv_field(const struct csv *csv, size_t row, int column);
size_t csv_line(const struct csv *csv, size_t row); /* of the file, from 1, where the row begins */
/* False unless the text is a finite decimal number and nothing but blanks around it: no words such
 * as inf, no 0x10. */
bool csv_read_number(const char *text, double *ret_number);
bool csv_number(const struct csv *csv, size_t row, int column, double *ret_number); /* a field */
