/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Length in bytes (1..4) of the well-formed character that text starts with, 0 when there is none
 * within left bytes. */
size_t utf8_step(const char *text, size_t left);
/* True when all len bytes are well-formed and none is NUL. */
bool utf8_valid(const char *text, size_t len);
/* len, less the bytes of a character that was cut off at the end of text. */
size_t utf8_trim(const char *text, size_t len);
