/* Where strategies say that their archs come from: true of every strategy of the list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "search/ancestors.h"
#include "search/strategy.h"
#include "tests/unit/search/toy.h"

enum { BATCH = 24, ROUNDS = 12, ALL = BATCH * ROUNDS };

struct asked {
    struct space *space;
    int n;
    struct arch archs[ALL];
    struct origin origins[ALL];
    bool failed[ALL];
};

static struct outcome outcome_of(const struct asked *asked, int i) {
    const struct arch *arch = &asked->archs[i];
    return (struct outcome){.arch = *arch,
                            .failed = asked->failed[i],
                            .costs = {-toy_top1(asked->space, arch), toy_macs(asked->space, arch)}};
}

/* What a strategy asks for in rounds, of which one in nine fails. own: with its origins. */
static void run(const char *name, const double *options, bool own, struct asked *ret_asked) {
    struct strategy_config config = strategy_config_default(ret_asked->space, 2, 4);
    struct strategy *strategy;
    config.population = BATCH;
    config.options = options;
    assert_int_equal(strategy_create(name, &config, NULL, &strategy), 0);
    ret_asked->n = 0;
    for (int r = 0; r < ROUNDS; r++) {
        struct outcome outcomes[BATCH];
        int first = ret_asked->n;
        int n = strategy_ask(strategy, BATCH, NULL, ret_asked->archs + first,
                             own ? ret_asked->origins + first : NULL);
        assert_int_equal(n, BATCH);
        for (int i = first; i < first + n; i++) {
            ret_asked->failed[i] =
                map_hash(&ret_asked->archs[i], sizeof *ret_asked->archs) % 9 == 0;
            outcomes[i - first] = outcome_of(ret_asked, i);
        }
        assert_int_equal(strategy_tell(strategy, outcomes, n, NULL), 0);
        ret_asked->n += n;
    }
    strategy_destroy(strategy);
}

static int find(const struct asked *asked, const struct arch *arch) {
    for (int i = 0; i < asked->n; i++)
        if (arch_equal(&asked->archs[i], arch))
            return i;
    return -1;
}

/* Genes that both archs have, and how many of them differ. */
static int changed(const struct space *space, const struct arch *a, const struct arch *b,
                   int *ret_common) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes), differ = 0;
    *ret_common = 0;
    for (int i = 0; i < n; i++)
        if (genes[i].n_choices > 1 && arch_gene_active(space, a, &genes[i]) &&
            arch_gene_active(space, b, &genes[i])) {
            *ret_common += 1;
            differ += arch_gene(a, &genes[i]) != arch_gene(b, &genes[i]);
        }
    return differ;
}

/* Whether each choice of the arch is that of a parent. */
static bool made_of(const struct space *space, const struct arch *arch,
                    const struct origin *origin) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    for (int i = 0; i < n; i++) {
        bool found = !arch_gene_active(space, arch, &genes[i]);
        for (int p = 0; p < origin->n_parents; p++)
            found |= arch_gene_active(space, &origin->parents[p], &genes[i]) &&
                     arch_gene(&origin->parents[p], &genes[i]) == arch_gene(arch, &genes[i]);
        if (!found)
            return false;
    }
    return true;
}

/* What each strategy makes archs by, beside sampling, and how many parents that takes. */
#define KIND(kind) (1u << (kind))
static const struct made {
    const char *name;
    unsigned kinds;
    int often; /* of BATCH * (ROUNDS - 1) at least */
} made[] = {
    {"random", 0, 0},
    {"nsga2", KIND(ORIGIN_CROSSED) | KIND(ORIGIN_MUTATED), 200},
    {"nsga3", KIND(ORIGIN_CROSSED) | KIND(ORIGIN_MUTATED), 200},
    {"linas", KIND(ORIGIN_PREDICTED), 100},
    {"aging", KIND(ORIGIN_MUTATED), 200},
    {"evolution", KIND(ORIGIN_CROSSED) | KIND(ORIGIN_MUTATED), 200},
    {"local_search", KIND(ORIGIN_NEIGHBOUR), 200},
    {"gradient", KIND(ORIGIN_GRADIENT), 200},
    {"reinforcement", KIND(ORIGIN_POLICY), 200},
    {"exhaustive", KIND(ORIGIN_ENUMERATED), ALL},
};

static int parents_of(enum origin_kind kind) {
    return kind == ORIGIN_CROSSED ? 2 : kind == ORIGIN_MUTATED || kind == ORIGIN_NEIGHBOUR ? 1 : 0;
}

static void check_one(const struct asked *asked, int i, const char *name) {
    const struct origin *origin = &asked->origins[i];
    if (origin->kind == ORIGIN_PREDICTED)
        assert_in_range(origin->n_parents, 0, ORIGIN_PARENTS_MAX);
    else
        assert_int_equal(origin->n_parents, parents_of(origin->kind));
    for (int p = 0; p < origin->n_parents; p++) {
        int parent = find(asked, &origin->parents[p]), common;
        if (parent < 0 || parent / BATCH >= i / BATCH || asked->failed[parent])
            fail_msg("%s: parent %d of arch %d is arch %d", name, p, i, parent);
        if (origin->kind == ORIGIN_NEIGHBOUR)
            assert_int_equal(changed(asked->space, &origin->parents[p], &asked->archs[i], &common),
                             1);
    }
    if (origin->n_parents == 2)
        assert_false(arch_equal(&origin->parents[0], &origin->parents[1]));
}

/* Choices of children that are those of the nearer parent, against those of any arch asked for
 * before. */
static void check_likeness(const struct asked *asked, const char *name) {
    double like = 0, any = 0;
    int n = 0, common;
    for (int i = BATCH; i < asked->n; i++) {
        const struct origin *origin = &asked->origins[i];
        double best = 1;
        if (origin->n_parents == 0)
            continue;
        for (int p = 0; p < origin->n_parents; p++)
            best = fmin(best, (double)changed(asked->space, &origin->parents[p], &asked->archs[i],
                                              &common) /
                                  common);
        like += best;
        any += (double)changed(asked->space, &asked->archs[i * 7 % (i / BATCH * BATCH)],
                               &asked->archs[i], &common) /
               common;
        n++;
    }
    if (n > 0 && like > 0.6 * any)
        fail_msg("%s: children differ from parents in %.2f of their choices, from any arch in %.2f",
                 name, like / n, any / n);
}

static void every_strategy_says_where_its_archs_come_from(void **state) {
    struct asked *asked = calloc(1, sizeof *asked);
    asked->space = toy_space();
    for (int t = 0; strategy_types[t]; t++) {
        const char *name = strategy_types[t]->name;
        const struct made *wanted = NULL;
        int often = 0;
        for (size_t i = 0; i < sizeof made / sizeof *made; i++)
            if (strcmp(made[i].name, name) == 0)
                wanted = &made[i];
        if (!wanted)
            fail_msg("a row of this test is missing for %s", name);
        run(name, NULL, true, asked);
        for (int i = 0; i < asked->n; i++) {
            bool own = (wanted->kinds & KIND(asked->origins[i].kind)) != 0;
            if (!own && asked->origins[i].kind != ORIGIN_SAMPLED)
                fail_msg("%s: arch %d is %s", name, i, origin_names[asked->origins[i].kind]);
            often += own;
            check_one(asked, i, name);
        }
        if (often < wanted->often)
            fail_msg("%s: only %d archs are its own", name, often);
        check_likeness(asked, name);
    }
    space_destroy(asked->space);
    free(asked);
}

static void what_is_asked_for_does_not_depend_on_it(void **state) {
    struct asked *with = calloc(2, sizeof *with), *without = with + 1;
    with->space = without->space = toy_space();
    for (int t = 0; strategy_types[t]; t++) {
        run(strategy_types[t]->name, NULL, true, with);
        run(strategy_types[t]->name, NULL, false, without);
        assert_memory_equal(with->archs, without->archs, sizeof with->archs);
    }
    space_destroy(with->space);
    free(with);
}

static double *options_without(const char *strategy, const char *option,
                               double options[STRATEGY_OPTIONS_MAX]) {
    const struct strategy_type *type = strategy_find(strategy);
    int at = 0;
    while (strcmp(type->options[at].name, option) != 0)
        at++;
    strategy_options_default(type, options);
    options[at] = 0;
    return options;
}

/* Where nothing is drawn anew, each choice of a crossing is one of its parents'. */
static void crossings_are_made_of_their_parents(void **state) {
    static const char *const names[] = {"nsga2", "nsga3", "evolution"};
    struct asked *asked = calloc(1, sizeof *asked);
    asked->space = toy_space();
    for (int s = 0; s < 3; s++) {
        double options[STRATEGY_OPTIONS_MAX];
        int n = 0;
        run(names[s], options_without(names[s], s < 2 ? "mutation" : "mutants", options), true,
            asked);
        for (int i = 0; i < asked->n; i++)
            if (asked->origins[i].kind == ORIGIN_CROSSED) {
                n++;
                if (!made_of(asked->space, &asked->archs[i], &asked->origins[i]))
                    fail_msg("%s: arch %d is not made of its parents", names[s], i);
            }
        assert_true(n > 40);
    }
    space_destroy(asked->space);
    free(asked);
}

/* An arch of its own for each number. */
static struct outcome numbered(int number) {
    struct outcome outcome = {.failed = false};
    outcome.arch.resolution = (uint8_t)number;
    return outcome;
}

static struct origin child_of(const struct outcome *a, const struct outcome *b) {
    struct origin origin;
    origin_set_parents(&origin, ORIGIN_CROSSED, &a->arch, b ? &b->arch : NULL);
    return origin;
}

static void expect(const struct ancestors *ancestors, int found, int n, int first, int second) {
    struct origin origin;
    ancestors_origin(ancestors, found, &origin);
    assert_int_equal(origin.kind, ORIGIN_PREDICTED);
    assert_int_equal(origin.n_parents, n);
    if (n > 0)
        assert_int_equal(origin.parents[0].resolution, first);
    if (n > 1)
        assert_int_equal(origin.parents[1].resolution, second);
}

static void the_nearest_evaluated_ancestors_stand_for_parents(void **state) {
    struct outcome told[4], found[8];
    struct ancestors a;
    for (int i = 0; i < 4; i++)
        told[i] = numbered(i);
    for (int i = 0; i < 8; i++)
        found[i] = numbered(10 + i);
    const struct origin origins[] = {
        child_of(&told[0], &told[1]),   /* 0: 0 and 1, one generation back */
        {.kind = ORIGIN_SAMPLED},       /* 1: none */
        child_of(&found[0], &found[1]), /* 2: 0 and 1, two back */
        child_of(&found[2], &told[3]),  /* 3: 3, one back; 0, three back */
        child_of(&found[0], &told[1]),  /* 4: 1, one back; 0, two back */
        child_of(&found[3], &found[4]), /* 5: 3 and 1, both two back */
        child_of(&found[1], NULL),      /* 6: none */
        child_of(&told[2], NULL),       /* 7 */
    };
    assert_int_equal(ancestors_init(&a, told, 4, found, 8), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(ancestors_add(&a, &origins[i]), 0);
    expect(&a, 0, 2, 0, 1);
    expect(&a, 1, 0, 0, 0);
    expect(&a, 2, 2, 0, 1);
    expect(&a, 3, 2, 3, 0);
    expect(&a, 4, 2, 1, 0);
    expect(&a, 5, 2, 3, 1);
    expect(&a, 6, 0, 0, 0);
    expect(&a, 7, 1, 2, 0);
    ancestors_finish(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_strategy_says_where_its_archs_come_from),
        cmocka_unit_test(what_is_asked_for_does_not_depend_on_it),
        cmocka_unit_test(crossings_are_made_of_their_parents),
        cmocka_unit_test(the_nearest_evaluated_ancestors_stand_for_parents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
