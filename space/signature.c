/* A unit's spec as text, which keys latency tables, and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "space/cost.h"
#include "space/lower.h"

static int block_signature(const struct unit_spec *spec, char *text, size_t size) {
    int len = 0;
    if (spec->expand_channels)
        len += snprintf(text, size, " e%d", spec->expand_channels);
    len += snprintf(text + len, size - (size_t)len, " k%d s%d %s", spec->kernel, spec->stride,
                    act_names[spec->act]);
    if (spec->se_channels)
        len += snprintf(text + len, size - (size_t)len, " se%d", spec->se_channels);
    return len + snprintf(text + len, size - (size_t)len, " -> %d%s", spec->c_out,
                          spec->residual ? " residual" : "");
}

void unit_signature(const struct unit_spec *spec, char ret_signature[GRAPH_SIGNATURE_MAX]) {
    int len = snprintf(ret_signature, GRAPH_SIGNATURE_MAX, "%s %dx%dx%d",
                       unit_kind_names[spec->kind], spec->c_in, spec->h_in, spec->w_in);
    char *rest = ret_signature + len;
    size_t size = (size_t)(GRAPH_SIGNATURE_MAX - len);
    switch (spec->kind) {
    case UNIT_STEM:
        snprintf(rest, size, " k%d s%d %s -> %d", spec->kernel, spec->stride, act_names[spec->act],
                 spec->c_out);
        break;
    case UNIT_BLOCK:
    case UNIT_CONV:
    case UNIT_BOTTLENECK:
        block_signature(spec, rest, size);
        break;
    case UNIT_HEAD_CONV:
        snprintf(rest, size, " %s -> %d", act_names[spec->act], spec->c_out);
        break;
    case UNIT_HEAD_TAIL:
        if (spec->mix_channels)
            len = snprintf(rest, size, " mix%d%s %s", spec->mix_channels,
                           spec->mix_bias ? "+bias" : "", act_names[spec->act]);
        else
            len = 0;
        snprintf(rest + len, size - (size_t)len, " -> %d", spec->c_out);
        break;
    }
}

enum { NUMBER_MAX = SPACE_CLASSES_MAX }; /* keeps the MACs of a unit within 64 bits */

/* The words of a signature. */
struct words {
    char text[GRAPH_SIGNATURE_MAX];
    char *rest;
};

static const char *next_word(struct words *words) {
    char *word = strtok_r(words->rest, " ", &words->rest);
    return word ? word : "";
}

static int index_in(const char *const *names, const char *word) {
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], word) == 0)
            return i;
    return -1;
}

/* A word that is a prefix and a number: "k5", or after the arrow the number alone. */
static bool read_number(const char *word, const char *prefix, int *ret) {
    size_t len = strlen(prefix);
    char *end;
    if (strncmp(word, prefix, len) != 0 || word[len] < '0' || word[len] > '9')
        return false;
    long value = strtol(word + len, &end, 10);
    if (value > NUMBER_MAX)
        return false;
    *ret = (int)value;
    return *end == 0 || strcmp(end, "+bias") == 0;
}

static bool read_shape(const char *word, struct unit_spec *spec) {
    int used = 0;
    return sscanf(word, "%9dx%9dx%9d%n", &spec->c_in, &spec->h_in, &spec->w_in, &used) == 3 &&
           word[used] == 0;
}

/* Whatever stands between shape and arrow: told apart by its first letters, so in any order; the
 * caller prints the spec again to see that it was the right one. */
static bool read_detail(const char *word, struct unit_spec *spec) {
    if (read_number(word, "se", &spec->se_channels) ||
        read_number(word, "e", &spec->expand_channels) || read_number(word, "k", &spec->kernel) ||
        read_number(word, "s", &spec->stride))
        return true;
    if (read_number(word, "mix", &spec->mix_channels)) {
        spec->mix_bias = strchr(word, '+') != NULL;
        return true;
    }
    int act = index_in(act_names, word);
    spec->act = act < 0 ? spec->act : (enum act)act;
    return act >= 0;
}

static bool plausible(const struct unit_spec *spec) {
    bool window = spec->kind != UNIT_HEAD_CONV && spec->kind != UNIT_HEAD_TAIL;
    return spec->c_in >= 1 && spec->c_in <= NUMBER_MAX && spec->h_in >= 1 &&
           spec->h_in <= SPACE_INPUT_MAX && spec->w_in >= 1 && spec->w_in <= SPACE_INPUT_MAX &&
           spec->c_out >= 1 && spec->kernel <= SPACE_KERNEL_MAX &&
           (!window || (spec->kernel >= 1 && spec->stride >= 1));
}

int unit_parse(const char *signature, struct unit_spec *ret_spec) {
    struct unit_spec spec = {0};
    struct words words;
    char again[GRAPH_SIGNATURE_MAX];
    if (strlen(signature) >= sizeof words.text)
        return ESP_EINVAL;
    words.rest = strcpy(words.text, signature);
    int kind = index_in(unit_kind_names, next_word(&words));
    if (kind < 0 || !read_shape(next_word(&words), &spec))
        return ESP_EINVAL;
    spec.kind = (enum unit_kind)kind;
    const char *word = next_word(&words);
    for (; *word && strcmp(word, "->") != 0; word = next_word(&words))
        if (!read_detail(word, &spec))
            return ESP_EINVAL;
    if (!read_number(next_word(&words), "", &spec.c_out))
        return ESP_EINVAL;
    spec.residual = strcmp(next_word(&words), "residual") == 0;
    unit_signature(&spec, again);
    if (strcmp(again, signature) != 0 || !plausible(&spec))
        return ESP_EINVAL;
    *ret_spec = spec;
    return 0;
}

int64_t unit_spec_macs(const struct unit_spec *spec) {
    struct op ops[UNIT_OPS_MAX];
    int64_t macs = 0;
    int n = unit_ops(spec, ops);
    for (int i = 0; i < n; i++) {
        struct cost cost;
        op_cost(&ops[i], 4, &cost);
        macs += cost.macs;
    }
    return macs;
}
