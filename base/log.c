#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { TEXT_BYTES = 4096 };

static _Atomic int threshold = LOG_INFO;

static const char *level_name(enum log_level level) {
    switch (level) {
    case LOG_DEBUG:
        return "debug";
    case LOG_INFO:
        return "info";
    case LOG_WARN:
        return "warn";
    case LOG_ERROR:
    case LOG_NOTHING:
        return "error";
    }
    return "error";
}

/* Copies text with control characters written as \xNN, so that one event stays one line; returns
 * the end. */
static char *escape(const char *text, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 0x20 && byte != 0x7f) {
            *out++ = *text;
            continue;
        }
        *out++ = '\\';
        *out++ = 'x';
        *out++ = digits[byte >> 4];
        *out++ = digits[byte & 15];
    }
    return out;
}

void log_set_level(enum log_level level) {
    atomic_store(&threshold, (int)level);
}

void log_line(enum log_level level, const char *format, ...) {
    if ((int)level < atomic_load(&threshold))
        return;
    char text[TEXT_BYTES], line[4 * TEXT_BYTES + 64], time[32];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof(text), format, args) < 0)
        text[0] = '\0';
    va_end(args);
    clock_format_utc(clock_wall_us(), time, sizeof(time));
    char *end = line + snprintf(line, 64, "%s %s ", time, level_name(level));
    end = escape(text, end);
    *end++ = '\n';
    /* A log that cannot be written has nobody to be told. */
    ssize_t written = write(STDERR_FILENO, line, (size_t)(end - line));
    (void)written;
}
