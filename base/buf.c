#include "base/buf.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void buf_init(struct buf *buf, size_t limit) {
    *buf = (struct buf){.limit = limit};
}

/* Room for more bytes and the NUL; false when the buffer has failed, now or before. */
static bool reserve(struct buf *buf, size_t more) {
    if (buf->error)
        return false;
    if ((buf->limit && more > buf->limit - buf->len) || more > PTRDIFF_MAX / 2 - buf->len) {
        buf->error = ESP_ELIMIT;
        return false;
    }
    size_t need = buf->len + more + 1;
    if (need <= buf->cap)
        return true;
    size_t cap = buf->cap ? buf->cap : 64;
    while (cap < need)
        cap *= 2;
    char *data = realloc(buf->data, cap);
    if (!data) {
        buf->error = ESP_ENOMEM;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    buf->data[buf->len] = '\0';
    return true;
}

void buf_append(struct buf *buf, const void *bytes, size_t len) {
    if (!reserve(buf, len))
        return;
    if (len)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void buf_puts(struct buf *buf, const char *text) {
    buf_append(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        buf->error = buf->error ? buf->error : ESP_EINTERNAL;
        return;
    }
    if (!reserve(buf, (size_t)len))
        return;
    va_start(args, format);
    vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

void buf_clear(struct buf *buf) {
    buf->len = 0;
    buf->error = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

char *buf_take(struct buf *buf) {
    char *text = NULL;
    if (reserve(buf, 0)) {
        text = buf->data;
        buf->data = NULL;
    }
    int error = buf->error;
    buf_finish(buf);
    buf->error = error;
    return text;
}

void buf_finish(struct buf *buf) {
    free(buf->data);
    buf_init(buf, buf->limit);
}
