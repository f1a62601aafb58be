#include <stdio.h>
#include <string.h>

#include "space/arch.h"

static int put_stage(const struct space_stage *stage, int index, const struct arch *arch,
                     char *text, size_t size) {
    int depth = stage->depths.value[arch->depth[index]];
    int len =
        snprintf(text, size, " | d%d c%d", depth, stage->channels.value[arch->channels[index]]);
    for (int i = 0; i < depth; i++) {
        int block = stage->first_block + i;
        len += snprintf(text + len, size - (size_t)len, " k%d",
                        stage->kernel_sizes.value[arch->kernel[block]]);
        if (stage->block != BLOCK_CONV)
            len += snprintf(text + len, size - (size_t)len, "e%g",
                            stage->expand_ratios[arch->expand[block]]);
    }
    return len;
}

/* Longest: 5 bytes, 12 for each stage, 10 for each block (" k7e11.125"). */
_Static_assert(5 + 12 * SPACE_STAGES_MAX + 10 * SPACE_BLOCKS_MAX < ARCH_TEXT_MAX,
               "every arch must fit");

void arch_format(const struct space *space, const struct arch *arch, char ret_text[ARCH_TEXT_MAX]) {
    int len = snprintf(ret_text, ARCH_TEXT_MAX, "r%d", space->resolutions[arch->resolution]);
    for (int i = 0; i < space->n_stages; i++)
        len += put_stage(&space->stages[i], i, arch, ret_text + len, (size_t)(ARCH_TEXT_MAX - len));
}

struct reader {
    const char *text;
    size_t len, pos;
    struct err *err;
};

static void skip_spaces(struct reader *reader) {
    while (reader->pos < reader->len && reader->text[reader->pos] == ' ')
        reader->pos++;
}

static int expect(struct reader *reader, char c) {
    skip_spaces(reader);
    if (reader->pos < reader->len && reader->text[reader->pos] == c) {
        reader->pos++;
        return 0;
    }
    return err_set(reader->err, ESP_EPARSE, "", "the arch needs '%c' at character %zu", c,
                   reader->pos + 1);
}

static int digit(const struct reader *reader) {
    char c = reader->pos < reader->len ? reader->text[reader->pos] : '\0';
    return c >= '0' && c <= '9' ? c - '0' : -1;
}

/* An unsigned decimal number with at most 9 digits, in thousandths. */
static int read_thousandths(struct reader *reader, int64_t *ret_value) {
    int64_t value = 0;
    int whole = 0, fraction = 0;
    for (; digit(reader) >= 0 && whole < 9; reader->pos++, whole++)
        value = value * 10 + digit(reader);
    bool point = whole && reader->pos < reader->len && reader->text[reader->pos] == '.';
    if (point)
        reader->pos++;
    for (; point && digit(reader) >= 0 && fraction < 3; reader->pos++, fraction++)
        value = value * 10 + digit(reader);
    if (!whole || (point && !fraction) || digit(reader) >= 0)
        return err_set(reader->err, ESP_EPARSE, "", "the arch needs a number at character %zu",
                       reader->pos + 1);
    for (; fraction < 3; fraction++)
        value *= 10;
    *ret_value = value;
    return 0;
}

struct choice_list {
    char letter;
    const char *what;
    int n;
    const int *whole;
    const double *real; /* in place of whole */
};

static double list_value(const struct choice_list *list, int i) {
    return list->whole ? list->whole[i] : list->real[i];
}

static int refuse_choice(struct reader *reader, const struct choice_list *list, double value) {
    char text[256] = "";
    for (int i = 0; i < list->n; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%s%g", i ? ", " : "", list_value(list, i));
    }
    return err_set(reader->err, ESP_EINVAL, "",
                   "%s %g before character %zu of the arch is not a choice here; choices are %s",
                   list->what, value, reader->pos + 1, text);
}

/* Letter and value; gives the value's index. */
static int read_choice(struct reader *reader, const struct choice_list *list, uint8_t *ret_choice) {
    int64_t value = 0;
    int code = expect(reader, list->letter);
    if (!code)
        code = read_thousandths(reader, &value);
    if (code)
        return code;
    for (int i = 0; i < list->n; i++) {
        if ((int64_t)(list_value(list, i) * 1000 + 0.5) == value) {
            *ret_choice = (uint8_t)i;
            return 0;
        }
    }
    return refuse_choice(reader, list, (double)value / 1000);
}

static int read_block(struct reader *reader, const struct space_stage *stage, int block,
                      struct arch *arch) {
    const struct choice_list kernels = {'k', "kernel size", stage->kernel_sizes.n,
                                        stage->kernel_sizes.value, NULL},
                             ratios = {'e', "expand ratio", stage->n_expand_ratios, NULL,
                                       stage->expand_ratios};
    int code = read_choice(reader, &kernels, &arch->kernel[block]);
    if (!code && stage->block != BLOCK_CONV)
        code = read_choice(reader, &ratios, &arch->expand[block]);
    return code;
}

static int read_stage(struct reader *reader, const struct space_stage *stage, int index,
                      struct arch *arch) {
    const struct choice_list depths = {'d', "depth", stage->depths.n, stage->depths.value, NULL},
                             channels = {'c', "channels", stage->channels.n, stage->channels.value,
                                         NULL};
    int code = expect(reader, '|');
    if (!code)
        code = read_choice(reader, &depths, &arch->depth[index]);
    if (!code)
        code = read_choice(reader, &channels, &arch->channels[index]);
    for (int i = 0; !code && i < stage->depths.value[arch->depth[index]]; i++)
        code = read_block(reader, stage, stage->first_block + i, arch);
    return code;
}

int arch_parse(const struct space *space, const char *text, size_t len, struct err *err,
               struct arch *ret_arch) {
    const struct choice_list resolutions = {'r', "resolution", space->n_resolutions,
                                            space->resolutions, NULL};
    struct reader reader = {text, len, 0, err};
    struct arch arch = {0};
    int code = read_choice(&reader, &resolutions, &arch.resolution);
    for (int i = 0; !code && i < space->n_stages; i++) {
        code = read_stage(&reader, &space->stages[i], i, &arch);
        if (code)
            err_prefix(err, code, "stage %d (%s)", i + 1, space->stages[i].name);
    }
    skip_spaces(&reader);
    if (!code && reader.pos < len)
        code =
            err_set(err, ESP_EPARSE, "", "the arch goes on at character %zu, behind its %d stages",
                    reader.pos + 1, space->n_stages);
    if (!code)
        *ret_arch = arch;
    return code;
}
