/* Compares our MACs and parameters with a DyNAS-T log of once-for-all MobileNetV3 subnets (w1.0):
 * dynast_counts FILE.csv... prints how many rows agree; exit status 1 unless all do. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "space/cost.h"

enum { LOG_BLOCKS = 20, LOG_STAGES = 5 };

struct row {
    int kernels[LOG_BLOCKS], ratios[LOG_BLOCKS], depths[LOG_STAGES], resolution;
    int64_t params, macs;
};

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

static int read_row(const char *line, struct row *ret_row) {
    const char *fields = strstr(line, "}\",");
    if (!fields || read_list(line, "ks", LOG_BLOCKS, ret_row->kernels) ||
        read_list(line, "e", LOG_BLOCKS, ret_row->ratios) ||
        read_list(line, "d", LOG_STAGES, ret_row->depths) ||
        read_list(line, "r", 1, &ret_row->resolution))
        return -1;
    return sscanf(fields, "}\",%*[^,],%" SCNd64 ",%*[^,],%" SCNd64, &ret_row->params,
                  &ret_row->macs) == 2
               ? 0
               : -1;
}

static void row_text(const struct row *row, char ret_text[ARCH_TEXT_MAX]) {
    static const int channels[LOG_STAGES] = {24, 40, 80, 112, 160};
    int len = snprintf(ret_text, ARCH_TEXT_MAX, "r%d | d1 c16 k3e1", row->resolution);
    for (int i = 0; i < LOG_STAGES; i++) {
        len += snprintf(ret_text + len, (size_t)(ARCH_TEXT_MAX - len), " | d%d c%d", row->depths[i],
                        channels[i]);
        for (int b = 4 * i; b < 4 * i + row->depths[i]; b++)
            len += snprintf(ret_text + len, (size_t)(ARCH_TEXT_MAX - len), " k%de%d",
                            row->kernels[b], row->ratios[b]);
    }
}

static bool row_agrees(const struct space *space, const struct row *row) {
    struct err err = {0};
    struct arch arch;
    struct cost cost;
    char text[ARCH_TEXT_MAX];
    row_text(row, text);
    if (arch_parse(space, text, strlen(text), &err, &arch) ||
        arch_cost(space, &arch, &err, &cost)) {
        fprintf(stderr, "%s: %s\n", text, err.message);
        return false;
    }
    if (cost.params == row->params && cost.macs == row->macs)
        return true;
    fprintf(stderr,
            "%s: %" PRId64 " parameters and %" PRId64 " MACs, the log says %" PRId64 " and %" PRId64
            "\n",
            text, cost.params, cost.macs, row->params, row->macs);
    return false;
}

/* Adds to the counts; the first line is the header. */
static int check_file(const struct space *space, const char *path, int *rows, int *agree) {
    FILE *file = fopen(path, "r");
    char line[4096];
    struct row row;
    if (!file) {
        perror(path);
        return -1;
    }
    int code = fgets(line, sizeof(line), file) ? 0 : -1;
    while (!code && fgets(line, sizeof(line), file)) {
        if (read_row(line, &row)) {
            fprintf(stderr, "%s: not understood: %s", path, line);
            code = -1;
            break;
        }
        ++*rows;
        *agree += row_agrees(space, &row);
    }
    fclose(file);
    return code;
}

int main(int argc, char **argv) {
    struct err err = {0};
    struct space *space = NULL;
    int rows = 0, agree = 0, code = argc < 2 ? -1 : space_builtin("ofa_mbv3", &err, &space);
    for (int i = 1; !code && i < argc; i++)
        code = check_file(space, argv[i], &rows, &agree);
    space_destroy(space);
    printf("%d of %d rows agree in MACs and parameters\n", agree, rows);
    return code || rows == 0 || agree != rows;
}
