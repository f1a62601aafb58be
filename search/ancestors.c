#include "search/ancestors.h"

#include <stdlib.h>

#include "base/memory.h"

struct lookup {
    const struct ancestors *ancestors;
    const struct arch *arch;
};

static const struct arch *arch_at(const struct ancestors *a, int item) {
    return item < a->n_told ? &a->told[item].arch : &a->found[item - a->n_told].arch;
}

static bool same_arch(const void *context, uint32_t item) {
    const struct lookup *lookup = context;
    return arch_equal(arch_at(lookup->ancestors, (int)item), lookup->arch);
}

static int find(const struct ancestors *a, const struct arch *arch) {
    const struct lookup lookup = {a, arch};
    return (int)map_find(&a->by_arch, map_hash(arch, sizeof *arch), same_arch, &lookup);
}

static int add(struct ancestors *a, int item) {
    const struct arch *arch = arch_at(a, item);
    return map_add(&a->by_arch, map_hash(arch, sizeof *arch), (uint32_t)item);
}

int ancestors_init(struct ancestors *ancestors, const struct outcome *told, int n_told,
                   const struct outcome *found, int max) {
    *ancestors = (struct ancestors){.told = told, .found = found, .n_told = n_told};
    map_init(&ancestors->by_arch);
    ancestors->of_found = mem_array((size_t)max + 1, sizeof *ancestors->of_found);
    int code = ancestors->of_found ? 0 : ESP_ENOMEM;
    for (int i = 0; i < n_told && code == 0; i++)
        code = add(ancestors, i);
    return code;
}

void ancestors_finish(struct ancestors *ancestors) {
    map_finish(&ancestors->by_arch);
    free(ancestors->of_found);
    *ancestors = (struct ancestors){0};
}

/* Among the nearest, each once. */
static void meet(struct ancestry *ancestry, int told, int generations) {
    int at = 0;
    while (at < ancestry->n && ancestry->told[at] != told)
        at++;
    if (at == ORIGIN_PARENTS_MAX)
        at--;
    else if (at == ancestry->n)
        ancestry->generations[ancestry->n++] = INT32_MAX;
    if (generations >= ancestry->generations[at])
        return;
    for (; at > 0 && generations < ancestry->generations[at - 1]; at--) {
        ancestry->told[at] = ancestry->told[at - 1];
        ancestry->generations[at] = ancestry->generations[at - 1];
    }
    ancestry->told[at] = told;
    ancestry->generations[at] = generations;
}

int ancestors_add(struct ancestors *ancestors, const struct origin *origin) {
    struct ancestry *own = &ancestors->of_found[ancestors->n_found];
    *own = (struct ancestry){0};
    for (int p = 0; p < origin->n_parents; p++) {
        int parent = find(ancestors, &origin->parents[p]);
        if (parent >= 0 && parent < ancestors->n_told)
            meet(own, parent, 1);
        else if (parent >= 0) {
            const struct ancestry *of_parent = &ancestors->of_found[parent - ancestors->n_told];
            for (int i = 0; i < of_parent->n; i++)
                meet(own, of_parent->told[i], of_parent->generations[i] + 1);
        }
    }
    return add(ancestors, ancestors->n_told + ancestors->n_found++);
}

void ancestors_origin(const struct ancestors *ancestors, int found, struct origin *ret_origin) {
    const struct ancestry *ancestry = &ancestors->of_found[found];
    origin_set(ret_origin, ORIGIN_PREDICTED);
    for (int i = 0; i < ancestry->n; i++)
        origin_add_parent(ret_origin, &ancestors->told[ancestry->told[i]].arch);
}
