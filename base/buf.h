/* Growing byte buffer with a limit; errors stick, so a chain of appends is checked once at its
 * end. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;             /* owned; NUL-terminated whenever not NULL */
    size_t len, cap, limit; /* bytes; limit 0 = none */
    int error;              /* 0, or the ESP_E… of the first append that failed */
};

void buf_init(struct buf *buf, size_t limit); /* limit in bytes without the NUL; 0 = none */
/* Appends; ESP_ELIMIT, ESP_ENOMEM go into error and leave the text as it was. */
void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_puts(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_clear(struct buf *buf); /* len = 0 and error = 0, memory kept */
/* Hands the text over: the caller owns it, buf is empty and usable. NULL when an append had failed;
 * error keeps why. */
char *buf_take(struct buf *buf);
void buf_finish(struct buf *buf); /* takes a zero-initialised buf too */
