#include "random_space.h"

#include <stdbool.h>
#include <stdio.h>

struct text {
    char *at;
    int used;
};

static void add(struct text *text, const char *format, const char *what) {
    text->used +=
        snprintf(text->at + text->used, (size_t)(RANDOM_SPACE_TEXT - text->used), format, what);
}

static const char *one_of(struct rng *rng, const char *const *choices, int n) {
    return choices[rng_below(rng, (uint32_t)n)];
}

/* "[a, c]": some of the choices (at most `most`), in their order. */
static void add_some(struct text *text, struct rng *rng, const char *const *choices, int n,
                     int most) {
    int left = 1 + (int)rng_below(rng, (uint32_t)most), first = 1;
    for (int i = 0; i < n; i++)
        if (left > 0 && (int)rng_below(rng, (uint32_t)(n - i)) < left) {
            add(text, first ? "[%s" : ", %s", choices[i]);
            first = 0;
            left--;
        }
    add(text, "%s", "]");
}

static const char *const acts[] = {"relu", "relu6", "h_swish"};
static const char *const truths[] = {"true", "false"};

static void add_stage(struct text *text, struct rng *rng) {
    static const char *const depths[] = {"1", "2", "3"}, *const kernels[] = {"3", "5", "7"},
                             *const channels[] = {"8", "16", "24", "32", "40", "64"},
                             *const wide[] = {"1", "2", "3.5", "6"},
                             *const reduced[] = {"0.5", "1", "1.5"};
    int kind = (int)rng_below(rng, 4); /* inverted residuals twice as often */
    add(text, "{\"block\": \"%s\"",
        kind == 0   ? "conv"
        : kind == 1 ? "bottleneck"
                    : "inverted_residual");
    add(text, "%s", ", \"depths\": ");
    add_some(text, rng, depths, 3, 2);
    add(text, "%s", ", \"channels\": ");
    /* the ratios of a bottleneck of 8 channels would not give different widths */
    add_some(text, rng, channels + (kind == 1), 6 - (kind == 1), 3);
    add(text, "%s", ", \"kernel_sizes\": ");
    add_some(text, rng, kernels, 3, 2);
    if (kind != 0) {
        add(text, "%s", ", \"expand_ratios\": ");
        add_some(text, rng, kind == 1 ? reduced : wide, kind == 1 ? 3 : 4, 2);
    }
    if (kind == 0)
        add(text, ", \"residual\": %s", one_of(rng, truths, 2));
    if (kind > 1)
        add(text, ", \"se\": %s", one_of(rng, truths, 2));
    add(text, ", \"stride\": %s", rng_below(rng, 2) ? "2" : "1");
    add(text, ", \"act\": \"%s\"}", one_of(rng, acts, 3));
}

static void add_head(struct text *text, struct rng *rng) {
    bool mix = rng_below(rng, 3) == 0;
    add(text, "], \"head\": {\"expand_channels\": %s", rng_below(rng, 3) ? "0" : "56");
    add(text, ", \"mix_channels\": %s", mix ? "48" : "0");
    if (mix)
        add(text, ", \"mix_bias\": %s", one_of(rng, truths, 2));
    add(text, ", \"act\": \"%s\"}}", one_of(rng, acts, 3));
}

void random_space(struct rng *rng, char ret_text[RANDOM_SPACE_TEXT]) {
    static const char *const sides[] = {"8", "11", "12", "15", "16", "17"},
                             *const stems[] = {"8", "16", "24", "40"}, *const inputs[] = {"1", "3"},
                             *const classes[] = {"2", "5", "11"};
    struct text text = {ret_text, 0};
    int stages = 1 + (int)rng_below(rng, 4);
    add(&text, "%s", "{\"name\": \"random\", \"resolutions\": ");
    add_some(&text, rng, sides, 6, 3);
    add(&text, ", \"input_channels\": %s", one_of(rng, inputs, 2));
    add(&text, ", \"n_classes\": %s", one_of(rng, classes, 3));
    add(&text, ", \"stem\": {\"channels\": %s", one_of(rng, stems, 4));
    add(&text, ", \"kernel_size\": %s", rng_below(rng, 2) ? "3" : "5");
    add(&text, ", \"stride\": %s", rng_below(rng, 2) ? "2" : "1");
    add(&text, ", \"act\": \"%s\"}, \"stages\": ", one_of(rng, acts, 3));
    for (int s = 0; s < stages; s++) {
        add(&text, "%s", s == 0 ? "[" : ", ");
        add_stage(&text, rng);
    }
    add_head(&text, rng);
}
