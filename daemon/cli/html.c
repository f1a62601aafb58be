#include "daemon/cli/html.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *entity(char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return "\xef\xbf\xbd"; /* a control character, which HTML has no room for */
    }
}

void html_text(struct buf *out, const char *text) {
    while (*text) {
        size_t plain =
            strcspn(text, "&<>\"'\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10"
                          "\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f");
        buf_append(out, text, plain);
        text += plain;
        if (*text)
            buf_puts(out, entity(*text++));
    }
}

void html_textf(struct buf *out, const char *format, ...) {
    char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    html_text(out, text);
}

void html_element(struct buf *out, const char *tag, const char *text) {
    buf_printf(out, "<%s>", tag);
    html_text(out, text);
    buf_printf(out, "</%.*s>", (int)strcspn(tag, " "), tag);
}
