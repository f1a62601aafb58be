/* What differs between the texts of two networks (store_lineage.h), gene by gene: "r28 | d1 c16
 * k5e4" is resolution 28; stage 1: depth 1, channels 16, block 1.1 k5e4. */
#include <stdio.h>
#include <string.h>

#include "daemon/store_lineage.h"

struct gene_word {
    int stage, place;  /* in the stage, from 0; the stage before the first is the resolution */
    const char *value; /* NULL: there is none any more */
    size_t len;
};
struct gene_reader {
    const char *rest;
    struct gene_word now;
};

static void read_next(struct gene_reader *reader) {
    struct gene_word *now = &reader->now;
    now->place++;
    for (;;) {
        now->value = reader->rest + strspn(reader->rest, " ");
        now->len = strcspn(now->value, " |");
        reader->rest = now->value + now->len;
        if (now->len > 0)
            return;
        if (*now->value != '|') {
            now->value = NULL;
            return;
        }
        reader->rest++;
        now->stage++;
        now->place = 0;
    }
}

static struct gene_reader read_first(const char *text) {
    struct gene_reader reader = {text, {.place = -1}};
    read_next(&reader);
    return reader;
}

/* Two texts side by side: a gene that one lacks has no value there. */
struct gene_pair {
    struct gene_reader a, b;
    struct gene_word in_a, in_b;
};

static bool comes_first(const struct gene_word *x, const struct gene_word *y) {
    if (x->value == NULL || y->value == NULL)
        return x->value != NULL;
    return x->stage != y->stage ? x->stage < y->stage : x->place < y->place;
}

/* The next gene that differs; false: there is none. */
static bool next_difference(struct gene_pair *pair) {
    while (pair->a.now.value != NULL || pair->b.now.value != NULL) {
        bool first_a = comes_first(&pair->a.now, &pair->b.now);
        bool first_b = comes_first(&pair->b.now, &pair->a.now);
        pair->in_a = pair->in_b = (struct gene_word){.value = NULL};
        if (!first_b) {
            pair->in_a = pair->a.now;
            read_next(&pair->a);
        }
        if (!first_a) {
            pair->in_b = pair->b.now;
            read_next(&pair->b);
        }
        if (pair->in_a.len != pair->in_b.len ||
            memcmp(pair->in_a.value, pair->in_b.value, pair->in_a.len) != 0)
            return true;
    }
    return false;
}

int lineage_distance(const char *a, const char *b, int most) {
    struct gene_pair pair = {.a = read_first(a), .b = read_first(b)};
    int n = 0;
    while (n < most && next_difference(&pair))
        n++;
    return n;
}

static bool is_named(const struct gene_word *word) {
    return word->stage == 0 || *word->value == 'd' || *word->value == 'c';
}

static void name_gene(const struct gene_word *word, char *ret, size_t size) {
    if (word->stage == 0)
        snprintf(ret, size, "resolution");
    else if (is_named(word))
        snprintf(ret, size, "stage %d %s", word->stage, *word->value == 'd' ? "depth" : "channels");
    else
        snprintf(ret, size, "block %d.%d", word->stage, word->place - 1);
}

/* The letter of a gene that is named by words is left out. */
static void add_value(cJSON *change, const char *key, const struct gene_word *word) {
    size_t skip = word->value != NULL && is_named(word) ? 1 : 0;
    char text[64];
    if (word->value == NULL) {
        cJSON_AddNullToObject(change, key);
        return;
    }
    snprintf(text, sizeof(text), "%.*s", (int)(word->len - skip), word->value + skip);
    cJSON_AddStringToObject(change, key, text);
}

cJSON *lineage_changes(const char *from, const char *to) {
    struct gene_pair pair = {.a = read_first(from), .b = read_first(to)};
    cJSON *changes = cJSON_CreateArray();
    while (next_difference(&pair)) {
        char gene[48];
        cJSON *change = cJSON_CreateObject();
        name_gene(pair.in_a.value != NULL ? &pair.in_a : &pair.in_b, gene, sizeof(gene));
        cJSON_AddStringToObject(change, "gene", gene);
        add_value(change, "from", &pair.in_a);
        add_value(change, "to", &pair.in_b);
        cJSON_AddItemToArray(changes, change);
    }
    return changes;
}
