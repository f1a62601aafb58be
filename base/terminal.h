/* The terminal that a program talks to. */
#pragma once

/* Its columns; 0: the descriptor is no terminal, or it does not tell. */
int terminal_columns(int fd);
