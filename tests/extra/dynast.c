#include "tests/extra/dynast.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The n integers behind "'key': [". */
static int read_list(const char *line, const char *key, int n, int *ret_values) {
    char start[16];
    snprintf(start, sizeof(start), "'%s': [", key);
    const char *at = strstr(line, start);
    if (!at)
        return -1;
    at += strlen(start);
    for (int i = 0; i < n; i++) {
        char *end;
        ret_values[i] = (int)strtol(at, &end, 10);
        if (end == at)
            return -1;
        at = end + strspn(end, ", ");
    }
    return 0;
}

static int read_row(const char *line, struct dynast_row *ret_row) {
    const char *fields = strstr(line, "}\",");
    if (!fields || read_list(line, "ks", DYNAST_BLOCKS, ret_row->kernels) ||
        read_list(line, "e", DYNAST_BLOCKS, ret_row->ratios) ||
        read_list(line, "d", DYNAST_STAGES, ret_row->depths) ||
        read_list(line, "r", 1, &ret_row->resolution))
        return -1;
    return sscanf(fields, "}\",%*[^,],%" SCNd64 ",%*[^,],%" SCNd64 ",%lf", &ret_row->params,
                  &ret_row->macs, &ret_row->top1) == 3
               ? 0
               : -1;
}

/* The first line is the header. */
static int read_rows(FILE *file, const char *path,
                     int (*row)(void *context, const struct dynast_row *row), void *context) {
    char line[4096];
    struct dynast_row read;
    int code = fgets(line, sizeof(line), file) ? 0 : -1;
    while (!code && fgets(line, sizeof(line), file)) {
        if (read_row(line, &read)) {
            fprintf(stderr, "%s: not understood: %s", path, line);
            return -1;
        }
        code = row(context, &read);
    }
    return code;
}

int dynast_read(const char *path, int (*row)(void *context, const struct dynast_row *row),
                void *context) {
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return -1;
    }
    int code = read_rows(file, path, row, context);
    fclose(file);
    return code;
}

void dynast_format(const struct dynast_row *row, char ret_text[ARCH_TEXT_MAX]) {
    static const int channels[DYNAST_STAGES] = {24, 40, 80, 112, 160};
    int len = snprintf(ret_text, ARCH_TEXT_MAX, "r%d | d1 c16 k3e1", row->resolution);
    for (int i = 0; i < DYNAST_STAGES; i++) {
        len += snprintf(ret_text + len, (size_t)(ARCH_TEXT_MAX - len), " | d%d c%d", row->depths[i],
                        channels[i]);
        for (int b = 4 * i; b < 4 * i + row->depths[i]; b++)
            len += snprintf(ret_text + len, (size_t)(ARCH_TEXT_MAX - len), " k%de%d",
                            row->kernels[b], row->ratios[b]);
    }
}
