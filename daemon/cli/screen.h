/* The terminal that is drawn into: what it can show, and how much. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

struct screen {
    bool terminal; /* standard output is one that can move its cursor */
    bool utf8;
    bool colours; /* a terminal, and nobody has set NO_COLOR */
};

/* Looks at standard output, and has the program's texts in the user's encoding. */
struct screen screen_look(void);
/* As many as it has now; 80 and 24 where it does not tell. */
void screen_size(int *ret_columns, int *ret_rows);
/* Appends a line, cut to so many characters of UTF-8. */
void screen_put_line(struct buf *out, const char *text, int columns);
