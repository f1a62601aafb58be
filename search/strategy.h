/* A search strategy proposes archs (ask) and learns from what came back (tell). It never evaluates,
 * sleeps or logs. Everything it does follows from the seed and the results in the order of telling.
 *
 * To add one: a file with a const struct strategy_type, and its name in meson.build. */
#pragma once

#include <cjson/cJSON.h>

#include "search/objective.h"
#include "search/origin.h"
#include "space/constrained.h"
#include "space/relaxed.h"

/* What can be told of any arch at once and for nothing, because it is counted or a sum of a table:
 * a strategy that models or rejects archs need not spend evaluations on it. */
struct foresight {
    void *context;
    /* Costs that are known (the others NAN) and the violation of the constraints that are. Errors:
     * ESP_ENOMEM. */
    int (*look)(void *context, const struct arch *arch, struct err *err,
                double ret_costs[OBJECTIVES_MAX], double *ret_violation);
};

/* What derivatives say of a point of the relaxed space. The caller has the rooms. */
struct slope_look {
    double costs[OBJECTIVES_MAX]; /* NAN: this one has no derivatives, by_cost is 0 there */
    double *by_cost;              /* [n_objectives, shape->n] */
    double violation;             /* of the constraints that have derivatives */
    double *by_violation;         /* [shape->n] */
};
/* Costs with their derivatives by the probabilities of choices: a strategy may go down along them
 * before it spends an evaluation. */
struct slope {
    const struct relaxed_shape *shape; /* of the strategy's space */
    void *context;
    /* Errors: ESP_EUNSUPPORTED (nothing has derivatives), ESP_ENOMEM. */
    int (*look)(void *context, const double *point, struct err *err, struct slope_look *ret_look);
};

struct strategy_config {
    const struct space *space;         /* borrowed for the strategy's life */
    const struct foresight *foresight; /* borrowed too; NULL: nothing is told */
    const struct slope *slope;         /* borrowed too; NULL: there are no derivatives */
    /* Borrowed too: where it stands what random subnets are drawn within, which may become another
       between two calls; NULL, or NULL there: the whole space. */
    const struct constrained *const *limits;
    int n_objectives;
    uint64_t seed;
    int population;        /* of strategies that have one; [4, STRATEGY_POPULATION_MAX] */
    const double *options; /* of the type, in the order of its table; copied by strategy_create;
                              NULL: its defaults. A state finds them whole */
};
enum { STRATEGY_POPULATION_MAX = 10000, STRATEGY_ASK_MAX = 100000 };
static inline const struct constrained *strategy_limits(const struct strategy_config *config) {
    return config->limits ? *config->limits : NULL;
}
/* Population 64, the strategy's default options. */
struct strategy_config strategy_config_default(const struct space *space, int n_objectives,
                                               uint64_t seed);

/* What came of one arch. */
struct outcome {
    struct arch arch;
    bool failed;      /* no values: the arch is not asked again and has no offspring */
    double violation; /* 0: feasible */
    double costs[OBJECTIVES_MAX];
};

/* Values that a strategy can reckon with: not failed, and all of them finite. */
bool outcome_usable(const struct strategy_config *config, const struct outcome *outcome);
/* A usable outcome in the state that a strategy saves; NULL on memory exhaustion. Errors of load:
 * ESP_EINVAL. */
cJSON *outcome_save(const struct strategy_config *config, const struct outcome *outcome);
int outcome_load(const struct strategy_config *config, const cJSON *item, const char *at,
                 struct err *err, struct outcome *ret_outcome);

/* A number that users may set. */
enum strategy_option_kind { STRATEGY_OPTION_INT, STRATEGY_OPTION_REAL };
extern const char *const strategy_option_kind_names[]; /* "int", "real", NULL */
enum { STRATEGY_OPTIONS_MAX = 12 };
struct strategy_option {
    const char *name; /* lower_case */
    enum strategy_option_kind kind;
    double fallback, min, max;
    const char *help; /* one line */
};

struct strategy_type {
    const char *name; /* as users write it */
    const char *help; /* one line */
    const char *when; /* to take it: one line */
    bool whole;       /* it asks for every arch: a budget must hold them all */
    int revision;     /* one more whenever the same options and seed come to ask for other archs: a
                       * search that an older one began is not gone on with */
    /* At most STRATEGY_OPTIONS_MAX, ended by name NULL; NULL: none. */
    const struct strategy_option *options;
    int (*create)(const struct strategy_config *config, struct err *err, void **ret_state);
    void (*destroy)(void *state);
    /* Up to n archs: valid, canonical, different from each other and from all asked or told
     * of before. Fewer
     * when no others were found. Returns their number. ret_origins: n too, where each comes from;
     * what is asked for does not depend on them. */
    int (*ask)(void *state, int n, struct err *err, struct arch *ret_archs,
               struct origin *ret_origins);
    /* Results in any order and number, late or in part; of archs never asked too, which are then
     * not asked any more. A second outcome
     * of an arch replaces the first. */
    int (*tell)(void *state, const struct outcome *outcomes, int n, struct err *err);
    cJSON *(*save)(void *state); /* NULL on memory exhaustion */
    int (*load)(void *state, const cJSON *doc, const char *at, struct err *err);
};
extern const struct strategy_type *const strategy_types[]; /* NULL-terminated */

const struct strategy_type *strategy_find(const char *name); /* NULL: there is none */
/* Returns ESP_EINVAL at pointer: there is none of that name, which may have been meant, and which
 * there are. */
int strategy_refuse(const char *name, const char *pointer, struct err *err);

void strategy_options_default(const struct strategy_type *type,
                              double ret_options[STRATEGY_OPTIONS_MAX]);
/* Options by name, {"mutation": 0.2}, in doc (NULL or JSON null: none); the others get their
 * defaults. Errors: ESP_EINVAL with a pointer below at: a name that the strategy does not have
 * (with what may have been meant), what is no number or out of its range. */
int strategy_options_read(const struct strategy_type *type, const cJSON *doc, const char *at,
                          struct err *err, double ret_options[STRATEGY_OPTIONS_MAX]);
/* All of them by name; NULL on memory exhaustion. */
cJSON *strategy_options_to_json(const struct strategy_type *type, const double *options);

struct strategy;
/* Errors: ESP_EINVAL (a name that there is not, options that are out of their range), ESP_ENOMEM.
 */
int strategy_create(const char *name, const struct strategy_config *config, struct err *err,
                    struct strategy **ret_strategy);
void strategy_destroy(struct strategy *strategy); /* takes NULL */
/* ret_origins NULL: they are not wanted. */
int strategy_ask(struct strategy *strategy, int n, struct err *err, struct arch *ret_archs,
                 struct origin *ret_origins);
int strategy_tell(struct strategy *strategy, const struct outcome *outcomes, int n,
                  struct err *err);
/* The whole state, so that a strategy of the same name and config that loads it goes on as if never
 * interrupted. Errors of load: ESP_EINVAL, ESP_EMISMATCH (another strategy, space, seed or option),
 * ESP_ENOMEM; the strategy is then as created. */
cJSON *strategy_save(struct strategy *strategy);
int strategy_load(struct strategy *strategy, const cJSON *doc, const char *at, struct err *err);
