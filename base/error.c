#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Formats into text; what does not fit is cut at a character's edge, so that it stays valid UTF-8.
 */
static void format_cut(char *text, size_t size, const char *format, va_list args) {
    int len = vsnprintf(text, size, format, args);
    if (len < 0)
        text[0] = '\0';
    else if ((size_t)len >= size)
        text[utf8_trim(text, size - 1)] = '\0';
}

static void copy_cut(char *text, size_t size, const char *from) {
    size_t len = strnlen(from, size);
    if (len == size)
        len = utf8_trim(from, size - 1);
    memmove(text, from, len);
    text[len] = '\0';
}

int err_set(struct err *err, int code, const char *pointer, const char *format, ...) {
    if (!err)
        return code;
    /* The arguments may point into err itself, so it is replaced only when they have been read. */
    struct err made = {.code = code};
    va_list args;
    va_start(args, format);
    format_cut(made.message, sizeof(made.message), format, args);
    va_end(args);
    if (pointer)
        copy_cut(made.pointer, sizeof(made.pointer), pointer);
    *err = made;
    return code;
}

int err_prefix(struct err *err, int code, const char *format, ...) {
    if (!err)
        return code;
    if (!err->code)
        err->code = code;
    char text[2 * sizeof(err->message)];
    va_list args;
    va_start(args, format);
    format_cut(text, sizeof(err->message), format, args);
    va_end(args);
    size_t len = strlen(text);
    snprintf(text + len, sizeof(text) - len, ": %s", err->message);
    copy_cut(err->message, sizeof(err->message), text);
    return err->code;
}

const char *const err_names[] = {
#define ESP_ERROR_NAME(error, number, text, status) text,
    ESP_ERRORS(ESP_ERROR_NAME)
#undef ESP_ERROR_NAME
        NULL};

int err_code(const char *name) {
#define ESP_ERROR_CODE(error, number, text, status)                                                \
    if (strcmp(name, text) == 0)                                                                   \
        return error;
    ESP_ERRORS(ESP_ERROR_CODE)
#undef ESP_ERROR_CODE
    return ESP_EINTERNAL;
}

const char *err_name(int code) {
    switch (code) {
    case 0:
        return "ok";
#define ERROR_NAME(name, number, text, status)                                                     \
    case name:                                                                                     \
        return text;
        ESP_ERRORS(ERROR_NAME)
#undef ERROR_NAME
    }
    return "unknown";
}

int err_http_status(int code) {
    switch (code) {
    case 0:
        return 200;
#define ERROR_STATUS(name, number, text, status)                                                   \
    case name:                                                                                     \
        return status;
        ESP_ERRORS(ERROR_STATUS)
#undef ERROR_STATUS
    }
    return 500;
}
