/* Growing byte buffer with a limit; errors stick, so a chain of appends is checked once at its end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;             /* owned; NUL-terminated whenever not NULL */
    size_t len, cap, limit; /* bytes; limit 0 = none */
    int error;              /* 0, or the ESP_E… of the first append that failed */
};

void buf_init(struct buf *buf, size_t limit);
void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_puts(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_clear(struct buf *buf); /* len = 0 and error = 0, memory kept */
char *buf_take(struct buf *buf); /* caller owns the string; NULL if an append had failed */
void buf_finish(struct buf *buf);
