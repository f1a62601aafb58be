#include "tests/extra/surrogate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { FEATURES_MAX = 512, WORDS = FEATURES_MAX / 64, ROWS_MAX = 10000 };

/* Which features are 1. */
struct bits {
    uint64_t words[WORDS];
};

struct row {
    struct bits bits;
    double weight;
};

/* "line": mean + the weights of what is set. "process": mean + the rows' weights times
 * exp(-differing features / (2 length^2)). */
struct surrogate {
    const struct space *space;
    char name[32];
    bool is_process;
    int p, n;
    double mean, length;
    double kernel[FEATURES_MAX + 1]; /* by number of differing features */
    double weights[FEATURES_MAX];
    struct row *rows;
};

static _Noreturn void die(const char *path) {
    fprintf(stderr, "%s: not what run-search writes for this space\n", path);
    exit(1);
}

static struct bits bits_of(const struct space *space, const struct arch *arch) {
    float features[FEATURES_MAX];
    struct bits bits = {{0}};
    int p = arch_features(space, arch, features);
    for (int i = 0; i < p; i++)
        if (features[i] > 0)
            bits.words[i / 64] |= UINT64_C(1) << (i % 64);
    return bits;
}

static void read_rows(struct surrogate *s, FILE *file, const char *path) {
    char text[FEATURES_MAX + 1];
    for (int i = 0; i < s->n; i++) {
        struct row *row = &s->rows[i];
        if (fscanf(file, "%512s %lf", text, &row->weight) != 2 || (int)strlen(text) != s->p)
            die(path);
        for (int k = 0; k < s->p; k++)
            row->bits.words[k / 64] |= (uint64_t)(text[k] == '1') << (k % 64);
    }
    for (int d = 0; d <= s->p; d++)
        s->kernel[d] = exp(-d / (2 * s->length * s->length));
}

struct surrogate *surrogate_read(const struct space *space, const char *path) {
    char kind[16];
    struct surrogate *s = mem_array(1, sizeof *s);
    FILE *file = fopen(path, "r");
    s->space = space;
    if (!file || fscanf(file, "%31s %15s %d %lf", s->name, kind, &s->p, &s->mean) != 4 ||
        s->p != arch_features(space, NULL, NULL) || s->p > FEATURES_MAX)
        die(path);
    s->is_process = strcmp(kind, "process") == 0;
    if (s->is_process) {
        if (fscanf(file, "%lf %d", &s->length, &s->n) != 2 || s->n < 1 || s->n > ROWS_MAX)
            die(path);
        s->rows = mem_array((size_t)s->n, sizeof *s->rows);
        read_rows(s, file, path);
    } else {
        for (int i = 0; i < s->p; i++)
            if (fscanf(file, "%lf", &s->weights[i]) != 1)
                die(path);
    }
    fclose(file);
    return s;
}

void surrogate_destroy(struct surrogate *surrogate) {
    free(surrogate->rows);
    free(surrogate);
}

const char *surrogate_name(const struct surrogate *surrogate) {
    return surrogate->name;
}

double surrogate_top1(const struct surrogate *s, const struct arch *arch) {
    struct bits bits = bits_of(s->space, arch);
    double sum = s->mean;
    for (int i = 0; i < s->p && !s->is_process; i++)
        if (bits.words[i / 64] >> (i % 64) & 1)
            sum += s->weights[i];
    for (int i = 0; i < s->n; i++) {
        int differ = 0;
        for (int w = 0; w < WORDS; w++)
            differ += __builtin_popcountll(bits.words[w] ^ s->rows[i].bits.words[w]);
        sum += s->rows[i].weight * s->kernel[differ];
    }
    return sum;
}
