#include "daemon/cli/screen.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/terminal.h"

struct screen screen_look(void) {
    const char *none = getenv("NO_COLOR"), *kind = getenv("TERM");
    bool dumb = !kind || !kind[0] || !strcmp(kind, "dumb");
    struct screen screen = {.terminal = isatty(STDOUT_FILENO) && !dumb};
    setlocale(LC_CTYPE, "");
    screen.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    screen.colours = screen.terminal && !(none && none[0]);
    return screen;
}

void screen_size(int *ret_columns, int *ret_rows) {
    terminal_size(STDOUT_FILENO, ret_columns, ret_rows);
    if (*ret_columns == 0)
        *ret_columns = 80;
    if (*ret_rows == 0)
        *ret_rows = 24;
}

void screen_put_line(struct buf *out, const char *text, int columns) {
    int n = 0;
    for (; *text; text++) {
        if (((unsigned char)*text & 0xC0) != 0x80 && ++n > columns)
            break;
        buf_append(out, text, 1);
    }
    buf_puts(out, "\n");
}
