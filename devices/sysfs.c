#include "devices/sysfs.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_MAX_BYTES = SYSFS_ROOT_MAX + 600, LINE_BYTES = 128 };

bool sysfs_line(const char *root, const char *path, char *text, size_t size) {
    char whole[PATH_MAX_BYTES];
    int len = snprintf(whole, sizeof(whole), "%s%s%s", root, root[0] ? "/" : "", path);
    FILE *file = len < (int)sizeof(whole) ? fopen(whole, "re") : NULL;
    bool ok = file && fgets(text, (int)size, file);

    if (file)
        fclose(file);
    if (!ok)
        text[0] = 0;
    text[strcspn(text, "\n")] = 0;
    return ok;
}

double sysfs_number(const char *root, const char *path, int base) {
    char text[LINE_BYTES], *end = NULL;

    if (!sysfs_line(root, path, text, sizeof(text)) || !isxdigit((unsigned char)text[0]))
        return NAN;
    unsigned long long value = strtoull(text, &end, base);
    return end == text || *end ? (double)NAN : (double)value;
}
