/* The terminal that a program talks to. */
#pragma once

/* Its columns and rows; 0: the descriptor is no terminal, or it does not tell. */
void terminal_size(int fd, int *ret_columns, int *ret_rows);
int terminal_columns(int fd);
