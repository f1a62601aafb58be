#include "base/csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum { CSV_NAME_MAX = 256 };
#define BLANKS " \t"

struct csv {
    char *text; /* the file, cut into fields in place */
    char **fields;
    size_t n_fields, capacity;
    size_t *lines; /* where rows begin, the header's too */
    size_t n_lines, line_capacity;
    int columns;
    char name[CSV_NAME_MAX];
};

struct reader {
    struct csv *csv;
    char *at, *end;
    size_t line;
};

static int add_field(struct csv *csv, char *field, struct err *err) {
    if (csv->n_fields == CSV_FIELDS_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "a table has at most %d fields", CSV_FIELDS_MAX);
    if (csv->n_fields == csv->capacity) {
        size_t capacity = csv->capacity ? 2 * csv->capacity : 1024;
        char **fields = realloc(csv->fields, capacity * sizeof *fields);
        if (!fields)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for a table");
        csv->fields = fields;
        csv->capacity = capacity;
    }
    csv->fields[csv->n_fields++] = field;
    return 0;
}

static int add_line(struct csv *csv, size_t line, struct err *err) {
    if (csv->n_lines == csv->line_capacity) {
        size_t capacity = csv->line_capacity ? 2 * csv->line_capacity : 256;
        size_t *lines = realloc(csv->lines, capacity * sizeof *lines);
        if (!lines)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for a table");
        csv->lines = lines;
        csv->line_capacity = capacity;
    }
    csv->lines[csv->n_lines++] = line;
    return 0;
}

/* Unquotes in place; the reader is then behind the closing quote. */
static int quoted(struct reader *reader, struct err *err) {
    size_t began = reader->line;
    char *to = reader->at++;
    while (reader->at < reader->end) {
        if (*reader->at == '"' && *++reader->at != '"') {
            *to = 0;
            return 0;
        }
        reader->line += *reader->at == '\n';
        *to++ = *reader->at++;
    }
    return err_set(err, ESP_EPARSE, NULL, "line %zu: a quote that is not closed", began);
}

/* One field, without the blanks around it; *ret_last: the row ends behind it. */
static int field(struct reader *reader, struct err *err, bool *ret_last) {
    char *begin = reader->at += strspn(reader->at, BLANKS);
    bool in_quotes = *begin == '"';
    if (in_quotes) {
        int code = quoted(reader, err);
        if (code < 0)
            return code;
    } else {
        reader->at += strcspn(reader->at, ",\r\n");
    }
    char *stop = reader->at;
    if (in_quotes)
        reader->at += strspn(reader->at, BLANKS);
    while (!in_quotes && stop > begin && strchr(BLANKS, stop[-1]))
        stop--;
    if (reader->at[0] == '\r' && reader->at[1] == '\n')
        reader->at++;
    char next = reader->at < reader->end ? *reader->at : '\n';
    if (next != ',' && next != '\n')
        return err_set(err, ESP_EPARSE, NULL, "line %zu: a stray character behind a field",
                       reader->line);
    *ret_last = next == '\n';
    reader->line += *ret_last;
    if (reader->at < reader->end)
        reader->at++;
    *stop = 0;
    return add_field(reader->csv, begin, err);
}

static int row(struct reader *reader, struct err *err) {
    struct csv *csv = reader->csv;
    size_t line = reader->line, before = csv->n_fields;
    int code = add_line(csv, line, err);
    for (bool last = false; code == 0 && !last;)
        code = field(reader, err, &last);
    if (code < 0)
        return code;
    size_t n = csv->n_fields - before;
    if (before == 0 && n > CSV_COLUMNS_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "a table has at most %d columns", CSV_COLUMNS_MAX);
    if (before == 0)
        csv->columns = (int)n;
    if (n != (size_t)csv->columns)
        return err_set(err, ESP_EPARSE, NULL, "line %zu: %zu fields instead of the header's %d%s",
                       line, n, csv->columns, csv_separator_hint(csv));
    return 0;
}

static int read_rows(struct csv *csv, size_t len, struct err *err) {
    struct reader reader = {csv, csv->text, csv->text + len, 1};
    if (memchr(csv->text, 0, len))
        return err_set(err, ESP_EPARSE, NULL, "a zero byte in a table");
    if (len >= 3 && memcmp(csv->text, "\xef\xbb\xbf", 3) == 0)
        reader.at += 3;
    while (reader.at < reader.end) {
        size_t empty = strspn(reader.at, "\r\n");
        for (size_t i = 0; i < empty; i++)
            reader.line += reader.at[i] == '\n';
        reader.at += empty;
        int code = reader.at < reader.end ? row(&reader, err) : 0;
        if (code < 0)
            return code;
    }
    return csv->columns ? 0 : err_set(err, ESP_EPARSE, NULL, "a table without a header line");
}

/* Takes text, which has a NUL behind its len bytes. */
static int parse(char *text, size_t len, struct err *err, struct csv **ret_csv) {
    struct csv *csv = calloc(1, sizeof *csv);
    if (!csv) {
        free(text);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a table");
    }
    csv->text = text;
    snprintf(csv->name, sizeof csv->name, "table");
    int code = read_rows(csv, len, err);
    if (code < 0) {
        csv_close(csv);
        return code;
    }
    *ret_csv = csv;
    return 0;
}

int csv_open(const char *path, struct err *err, struct csv **ret_csv) {
    char *text = NULL;
    size_t len = 0;
    int code = file_read(path, CSV_BYTES_MAX, err, &text, &len);
    if (code == 0) {
        code = parse(text, len, err, ret_csv);
        const char *slash = strrchr(path, '/');
        if (code < 0)
            err_prefix(err, code, "%s", path);
        else
            snprintf((*ret_csv)->name, CSV_NAME_MAX, "%s", slash ? slash + 1 : path);
    }
    return code;
}

int csv_parse(const char *text, size_t len, struct err *err, struct csv **ret_csv) {
    char *copy = len > CSV_BYTES_MAX ? NULL : malloc(len + 1);
    if (!copy)
        return err_set(err, len > CSV_BYTES_MAX ? ESP_ELIMIT : ESP_ENOMEM, NULL,
                       "no memory for a table of %zu bytes", len);
    memcpy(copy, text, len);
    copy[len] = 0;
    return parse(copy, len, err, ret_csv);
}

void csv_close(struct csv *csv) {
    if (!csv)
        return;
    free(csv->fields);
    free(csv->lines);
    free(csv->text);
    free(csv);
}

const char *csv_separator_hint(const struct csv *csv) {
    const char *found = csv->columns == 1 ? strpbrk(csv->fields[0], ";\t") : NULL;
    if (!found)
        return "";
    return *found == ';' ? " (fields are separated by commas, not semicolons)"
                         : " (fields are separated by commas, not tabs)";
}

const char *csv_name(const struct csv *csv) {
    return csv->name;
}

size_t csv_rows(const struct csv *csv) {
    return csv->n_fields / (size_t)csv->columns - 1;
}

int csv_columns(const struct csv *csv) {
    return csv->columns;
}

const char *csv_title(const struct csv *csv, int column) {
    return csv->fields[column];
}

int csv_find(const struct csv *csv, const char *title) {
    for (int i = 0; i < csv->columns; i++)
        if (strcmp(csv->fields[i], title) == 0)
            return i;
    return -1;
}

const char *csv_field(const struct csv *csv, size_t row, int column) {
    return csv->fields[(row + 1) * (size_t)csv->columns + (size_t)column];
}

size_t csv_line(const struct csv *csv, size_t row) {
    return csv->lines[row + 1];
}

bool csv_read_number(const char *text, double *ret_number) {
    text += strspn(text, " ");
    size_t len = strspn(text, "+-.0123456789eE"); /* strtod takes hexadecimal ones, and words */
    char *end;
    *ret_number = strtod(text, &end);
    return len > 0 && end == text + len && end[strspn(end, " ")] == 0 && isfinite(*ret_number);
}

bool csv_number(const struct csv *csv, size_t row, int column, double *ret_number) {
    return csv_read_number(csv_field(csv, row, column), ret_number);
}
