#include "base/terminal.h"

#include <stdbool.h>
#include <sys/ioctl.h>

void terminal_size(int fd, int *ret_columns, int *ret_rows) {
    struct winsize size = {0};
    bool known = ioctl(fd, TIOCGWINSZ, &size) == 0;
    *ret_columns = known ? size.ws_col : 0;
    *ret_rows = known ? size.ws_row : 0;
}

int terminal_columns(int fd) {
    int columns, rows;
    terminal_size(fd, &columns, &rows);
    return columns;
}
