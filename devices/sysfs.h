/* Small files of /sys, or of a folder that plays it in tests. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SYSFS_ROOT_MAX = 400 };

/* The first line of root/path without its end; false, and text "", when it cannot be read. root "":
 * path is whole. */
bool sysfs_line(const char *root, const char *path, char *text, size_t size);
/* The whole line as a number of that base, not negative; NaN when it is none. */
double sysfs_number(const char *root, const char *path, int base);
