#include "supernet/train_state.h"

#include "base/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define STEPS_MAX (INT64_C(1) << 40)
#define PI 3.14159265358979323846

enum {
    VALIDATIONS = 8, /* at least, in a round */
    /* Of curves, at most, in a round: where the pace is known, a second apart at least. */
    POINTS = 1000,
    POINTS_UNPACED = 250,
    /* Wider shifts slow the first epochs down and pay in long rounds. */
    PAD_SHORT = 1,
    PAD_LONG = 2,
    EPOCHS_LONG = 20
};
static const double label_share_short = 0.5; /* while the largest knows little (decision 37) */
static const double budget_margin = 0.99;    /* for what is not counted: start and end */

static uint64_t at_least_one(double count) {
    return count < 1 ? 1 : count > (double)STEPS_MAX ? (uint64_t)STEPS_MAX : (uint64_t)count;
}

static const double point_interval_s = 1;

static uint64_t point_interval(const struct train_pace *pace, uint64_t length) {
    uint64_t most = pace->step_s > 0 ? POINTS : POINTS_UNPACED;
    uint64_t steps = (length + most - 1) / most;
    double second = pace->step_s > 0 ? ceil(point_interval_s / pace->step_s) : 1;
    return second > (double)steps ? at_least_one(second) : at_least_one((double)steps);
}

static void set_intervals(const struct train_config *config, const struct train_pace *pace,
                          uint64_t length, struct train_plan *plan) {
    uint64_t between = plan->steps_per_epoch;
    if (between > length / VALIDATIONS)
        between = length / VALIDATIONS;
    if (config->checkpoint_steps > 0)
        plan->checkpoint_steps = (uint64_t)config->checkpoint_steps;
    else if (pace->step_s > 0)
        plan->checkpoint_steps = at_least_one(config->checkpoint_interval_s / pace->step_s);
    else
        plan->checkpoint_steps = at_least_one((double)between);
    uint64_t times = (between + plan->checkpoint_steps / 2) / plan->checkpoint_steps;
    plan->validate_steps = plan->checkpoint_steps * (times > 0 ? times : 1);
}

/* Validations and checkpoints take from the steps, fewer steps need fewer of them: settles at once.
 */
static uint64_t fit_budget(const struct train_config *config, const struct train_pace *pace,
                           struct train_plan *plan) {
    double left = config->time_budget_s * budget_margin - pace->elapsed_s;
    uint64_t length = at_least_one(left / pace->step_s);
    for (int i = 0; i < 3; i++) {
        set_intervals(config, pace, length, plan);
        double validations = ceil((double)length / (double)plan->validate_steps);
        double checkpoints = 1 + ceil((double)length / (double)plan->checkpoint_steps);
        double beside = validations * pace->validation_s + checkpoints * pace->checkpoint_s;
        length = at_least_one((left - beside) / pace->step_s);
    }
    return length;
}

void train_plan_make(const struct train_config *config, const struct train_pace *pace,
                     uint64_t steps_per_epoch, struct train_plan *plan) {
    plan->steps_per_epoch = steps_per_epoch;
    uint64_t length = at_least_one(round(config->epochs * (double)steps_per_epoch));
    if (config->epochs <= 0)
        length = fit_budget(config, pace, plan);
    set_intervals(config, pace, length, plan);
    plan->point_steps = point_interval(pace, length);
    plan->steps = plan->first + length;
    bool is_short = length < EPOCHS_LONG * steps_per_epoch;
    plan->pad = config->augment.pad;
    if (plan->pad == TRAIN_PAD_AUTO)
        plan->pad = is_short ? PAD_SHORT : PAD_LONG;
    plan->label_share = config->label_share;
    if (plan->label_share == TRAIN_LABEL_SHARE_AUTO)
        plan->label_share = is_short ? label_share_short : 0;
}

int train_plan_phases(const struct space *space, const struct train_config *config, struct err *err,
                      struct train_plan *plan) {
    double all = 0, before = 0, length = (double)(plan->steps - plan->first);
    int n = 0;
    for (int i = 0; regime_phase(config->regime, i); i++)
        if (regime_phase_applies(space, config->regime, i)) {
            all += regime_phase(config->regime, i)->share;
            plan->phases[n++].row = i;
        }
    plan->n_phases = n;
    if (length < n)
        return err_set(err, ESP_EINVAL, "/train/regime",
                       "%.0f steps are too few for the %d phases of the regime %s", length, n,
                       regime_names[config->regime]);
    for (int i = 0; i < n; i++) { /* each has a step at least */
        uint64_t first = plan->first + (uint64_t)(length * before / all + 0.5);
        uint64_t least = i > 0 ? plan->phases[i - 1].first + 1 : plan->first;
        uint64_t most = plan->steps - (uint64_t)(n - i);
        plan->phases[i].first = first < least ? least : first > most ? most : first;
        before += regime_phase(config->regime, plan->phases[i].row)->share;
    }
    return 0;
}

int train_phase_at(const struct train_plan *plan, uint64_t step) {
    int phase = 0;
    while (phase + 1 < plan->n_phases && step >= plan->phases[phase + 1].first)
        phase++;
    return phase;
}

const struct regime_phase *train_phase_row(const struct train_config *config,
                                           const struct train_plan *plan, int phase) {
    return regime_phase(config->regime, plan->phases[phase].row);
}

uint64_t train_phase_end(const struct train_plan *plan, int phase) {
    return phase + 1 < plan->n_phases ? plan->phases[phase + 1].first : plan->steps;
}

double train_cost_left(const struct train_config *config, const struct train_plan *plan,
                       uint64_t step) {
    double cost = 0;
    for (int i = train_phase_at(plan, step); i < plan->n_phases && step < plan->steps; i++) {
        uint64_t end = train_phase_end(plan, i);
        cost += (double)(end - step) *
                regime_phase_cost(train_phase_row(config, plan, i), config->random_subnets);
        step = end;
    }
    return cost;
}

double train_learning_rate(const struct train_config *config, const struct train_plan *plan,
                           uint64_t step) {
    int phase = train_phase_at(plan, step);
    const struct regime_phase *row = train_phase_row(config, plan, phase);
    uint64_t first = plan->phases[phase].first;
    double length = (double)(train_phase_end(plan, phase) - first), at = (double)(step - first);
    double rising = ceil((row->warmup < 0 ? config->warmup : row->warmup) * length);
    double floor_share = config->learning_rate_floor, peak = row->rate * config->learning_rate;
    if (at < rising)
        return peak * (at + 1) / rising;
    double share = (at - rising) / (length - rising);
    return peak * (floor_share + (1 - floor_share) * 0.5 * (1 + cos(PI * share)));
}

uint64_t train_seed(const struct train_config *config, const struct train_plan *plan) {
    return config->seed ^ ((uint64_t)plan->round << 54);
}

double train_epoch(const struct train_plan *plan, uint64_t step) {
    return plan->epochs_before + (double)(step - plan->first) / (double)plan->steps_per_epoch;
}

static bool ends_phase(const struct train_plan *plan, uint64_t step) {
    return step == plan->steps ||
           (step > plan->first && step == plan->phases[train_phase_at(plan, step)].first);
}

bool train_is_checkpoint(const struct train_plan *plan, uint64_t step) {
    return ends_phase(plan, step) || (step - plan->first) % plan->checkpoint_steps == 0;
}

bool train_is_point(const struct train_plan *plan, uint64_t step) {
    return (step - plan->first) % plan->point_steps == 0 || train_is_validation(plan, step);
}

bool train_is_validation(const struct train_plan *plan, uint64_t step) {
    return ends_phase(plan, step) ||
           (step > plan->first && (step - plan->first) % plan->validate_steps == 0);
}

static bool print_phases(const struct train_config *config, const struct train_plan *plan,
                         cJSON *object) {
    cJSON *rows = cJSON_AddArrayToObject(object, "phases");
    for (int i = 0; rows && i < plan->n_phases; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "name", train_phase_row(config, plan, i)->name);
        cJSON_AddNumberToObject(row, "first", (double)plan->phases[i].first);
        if (!cJSON_AddItemToArray(rows, row))
            return false;
    }
    return rows != NULL;
}

static cJSON *print_plan(const struct train_config *config, const struct train_plan *plan) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "round", plan->round);
    cJSON_AddNumberToObject(object, "first", (double)plan->first);
    cJSON_AddNumberToObject(object, "steps", (double)plan->steps);
    cJSON_AddNumberToObject(object, "steps_per_epoch", (double)plan->steps_per_epoch);
    cJSON_AddNumberToObject(object, "validate_steps", (double)plan->validate_steps);
    cJSON_AddNumberToObject(object, "checkpoint_steps", (double)plan->checkpoint_steps);
    cJSON_AddNumberToObject(object, "point_steps", (double)plan->point_steps);
    cJSON_AddNumberToObject(object, "pad", plan->pad);
    cJSON_AddNumberToObject(object, "label_share", plan->label_share);
    if (plan->inherited[0])
        cJSON_AddStringToObject(object, "inherited", plan->inherited);
    if (cJSON_AddNumberToObject(object, "epochs_before", plan->epochs_before) &&
        print_phases(config, plan, object))
        return object;
    cJSON_Delete(object);
    return NULL;
}

static bool print_guards(const struct train_state *state, cJSON *object) {
    cJSON *rows = cJSON_AddArrayToObject(object, "guards");
    for (int i = 0; rows && i < GUARD_KINDS; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "mean", state->guards[i].mean);
        cJSON_AddNumberToObject(row, "lowest", state->guards[i].lowest);
        cJSON_AddNumberToObject(row, "leaps", state->guards[i].leaps);
        cJSON_AddNumberToObject(row, "at_chance", state->guards[i].at_chance);
        if (!cJSON_AddItemToArray(rows, row))
            return false;
    }
    return rows != NULL;
}

static void print_point(const struct train_point_sums *sums, cJSON *object) {
    cJSON *point = cJSON_AddObjectToObject(object, "point");
    cJSON_AddNumberToObject(point, "loss", sums->loss);
    cJSON_AddNumberToObject(point, "distill", sums->distill);
    cJSON_AddNumberToObject(point, "gap", sums->gap);
    cJSON_AddNumberToObject(point, "norm", sums->norm);
    cJSON_AddNumberToObject(point, "n", (double)sums->n);
}

static cJSON *print_state(const struct train_state *state) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "step", (double)state->step);
    cJSON_AddNumberToObject(object, "rate_scale", state->rate_scale);
    cJSON_AddNumberToObject(object, "recoveries", state->recoveries);
    cJSON_AddNumberToObject(object, "loss_mean", state->guards[GUARD_LABELS].mean);
    cJSON_AddNumberToObject(object, "loss_sum", state->loss_sum);
    cJSON_AddNumberToObject(object, "phase", state->phase);
    cJSON_AddNumberToObject(object, "distill_sum", state->distill_sum);
    cJSON_AddNumberToObject(object, "gap_sum", state->gap_sum);
    cJSON_AddItemToObject(object, "part_squares",
                          cJSON_CreateDoubleArray(state->part_squares, GRADIENT_PARTS_MAX));
    cJSON_AddNumberToObject(object, "norm_sum", state->norm_sum);
    cJSON_AddNumberToObject(object, "summed", (double)state->summed);
    print_point(&state->point, object);
    if (state->due)
        cJSON_AddTrueToObject(object, "due");
    if (print_guards(state, object) && cJSON_AddNumberToObject(object, "best", state->best))
        return object;
    cJSON_Delete(object);
    return NULL;
}

cJSON *train_state_print(const struct train_config *config, const struct train_plan *plan,
                         const struct train_state *state) {
    struct {
        const char *key;
        cJSON *item;
    } parts[] = {{"config", train_config_print(config)},
                 {"plan", print_plan(config, plan)},
                 {"state", print_state(state)}};
    cJSON *object = cJSON_CreateObject();
    bool whole = object != NULL;
    for (int i = 0; i < 3; i++)
        if (!parts[i].item || !cJSON_AddItemToObject(object, parts[i].key, parts[i].item)) {
            cJSON_Delete(parts[i].item);
            whole = false;
        }
    if (whole)
        return object;
    cJSON_Delete(object);
    return NULL;
}

static int parse_counts(const cJSON *object, const char *at, const char *const *keys,
                        uint64_t *const *values, int n, struct err *err) {
    int rc = 0;
    for (int i = 0; rc == 0 && i < n; i++) {
        int64_t value = 0;
        rc = json_int(object, at, keys[i], 0, STEPS_MAX, err, &value);
        *values[i] = (uint64_t)value;
    }
    return rc;
}

static int row_named(enum regime regime, const char *name) {
    for (int i = 0; regime_phase(regime, i); i++)
        if (strcmp(regime_phase(regime, i)->name, name) == 0)
            return i;
    return -1;
}

static int parse_phase(const cJSON *row, const char *at, enum regime regime, struct err *err,
                       struct train_plan *plan) {
    struct train_phase *phase = &plan->phases[plan->n_phases];
    const char *name = NULL;
    int64_t first = 0;
    int rc = json_string(row, at, "name", 1, 63, err, &name);
    if (rc == 0)
        rc = json_int(row, at, "first", 0, STEPS_MAX, err, &first);
    if (rc != 0)
        return rc;
    *phase = (struct train_phase){row_named(regime, name), (uint64_t)first};
    bool follows = plan->n_phases == 0 ? phase->first == plan->first
                                       : phase->first > plan->phases[plan->n_phases - 1].first;
    if (phase->row < 0 || !follows || phase->first >= plan->steps)
        return err_set(err, ESP_EINVAL, at, "the phase is none of the regime %s at that place",
                       regime_names[regime]);
    plan->n_phases++;
    return 0;
}

/* Checkpoints of before there were phases have one. */
static int parse_phases(const cJSON *object, const char *at, enum regime regime, struct err *err,
                        struct train_plan *plan) {
    const cJSON *rows = NULL, *row;
    char row_at[256];
    if (!json_has(object, "phases")) {
        plan->n_phases = 1;
        plan->phases[0] = (struct train_phase){0, plan->first};
        return 0;
    }
    int rc = json_array(object, at, "phases", 1, REGIME_PHASES_MAX, err, &rows);
    if (rc != 0)
        return rc;
    cJSON_ArrayForEach(row, rows) {
        snprintf(row_at, sizeof row_at, "%s/phases/%d", at, plan->n_phases);
        if ((rc = parse_phase(row, row_at, regime, err, plan)) != 0)
            return rc;
    }
    return 0;
}

static int parse_plan(const cJSON *object, const char *at, struct err *err,
                      struct train_plan *plan) {
    static const char *const keys[] = {"first", "steps", "steps_per_epoch", "validate_steps",
                                       "checkpoint_steps"};
    uint64_t *const values[] = {&plan->first, &plan->steps, &plan->steps_per_epoch,
                                &plan->validate_steps, &plan->checkpoint_steps};
    const char *inherited = NULL;
    /* Checkpoints of before there were points have no interval of them. */
    int64_t round = 0, pad = 0, point_steps = 0;
    int rc = parse_counts(object, at, keys, values, 5, err);
    if (rc == 0)
        rc = json_int_opt(object, at, "point_steps", 0, STEPS_MAX, err, &point_steps);
    if (rc == 0)
        rc = json_int(object, at, "round", 0, 500, err, &round);
    if (rc == 0)
        rc = json_int(object, at, "pad", 0, AUGMENT_PAD_MAX, err, &pad);
    if (rc == 0) /* checkpoints of before there was one have none: 0 */
        rc = json_real_opt(object, at, "label_share", 0, 1, err, &plan->label_share);
    if (rc == 0)
        rc = json_real(object, at, "epochs_before", 0, 1e9, err, &plan->epochs_before);
    if (rc == 0)
        rc = json_string_opt(object, at, "inherited", 0, HASH_TEXT - 1, err, &inherited);
    if (rc != 0)
        return rc;
    snprintf(plan->inherited, sizeof plan->inherited, "%s", inherited ? inherited : "");
    plan->point_steps = point_steps > 0
                            ? (uint64_t)point_steps
                            : point_interval(&(struct train_pace){0}, plan->steps - plan->first);
    plan->round = (int)round;
    plan->pad = (int)pad;
    if (plan->steps <= plan->first || plan->steps_per_epoch == 0 || plan->validate_steps == 0 ||
        plan->checkpoint_steps == 0)
        return err_set(err, ESP_EINVAL, at, "the plan of the training makes no sense");
    return 0;
}

static int parse_squares(const cJSON *object, const char *at, struct err *err,
                         double squares[GRADIENT_PARTS_MAX]) {
    const cJSON *rows = NULL, *row;
    int i = 0;
    if (!json_has(object, "part_squares"))
        return 0;
    int rc =
        json_array(object, at, "part_squares", GRADIENT_PARTS_MAX, GRADIENT_PARTS_MAX, err, &rows);
    if (rc != 0)
        return rc;
    cJSON_ArrayForEach(row, rows) {
        if (!cJSON_IsNumber(row))
            return err_set(err, ESP_EINVAL, at, "part_squares holds what is no number");
        squares[i++] = row->valuedouble;
    }
    return 0;
}

/* Checkpoints of before there were guards have the mean of one loss alone. */
static int parse_guards(const cJSON *object, const char *at, struct err *err,
                        struct loss_guard guards[GUARD_KINDS]) {
    const cJSON *rows = NULL, *row;
    char row_at[256];
    int i = 0;
    int rc = json_real(object, at, "loss_mean", 0, 1e30, err, &guards[GUARD_LABELS].mean);
    if (rc != 0 || !json_has(object, "guards"))
        return rc;
    if ((rc = json_array(object, at, "guards", GUARD_KINDS, GUARD_KINDS, err, &rows)) != 0)
        return rc;
    cJSON_ArrayForEach(row, rows) {
        struct loss_guard *guard = &guards[i];
        int64_t at_chance = 0, leaps = 0; /* older checkpoints have no leaps */
        snprintf(row_at, sizeof row_at, "%s/guards/%d", at, i++);
        if ((rc = json_real(row, row_at, "mean", 0, 1e30, err, &guard->mean)) != 0 ||
            (rc = json_real(row, row_at, "lowest", 0, 1e30, err, &guard->lowest)) != 0 ||
            (rc = json_int_opt(row, row_at, "leaps", 0, 1000, err, &leaps)) != 0 ||
            (rc = json_int(row, row_at, "at_chance", 0, 1000, err, &at_chance)) != 0)
            return rc;
        guard->leaps = (int)leaps;
        guard->at_chance = (int)at_chance;
    }
    return 0;
}

/* Older checkpoints have none: the first point is the mean of what follows them. */
static int parse_point(const cJSON *object, const char *at, struct err *err,
                       struct train_point_sums *sums) {
    const cJSON *point = NULL;
    int64_t n = 0;
    int rc;
    if (!json_has(object, "point"))
        return 0;
    if ((rc = json_object(object, at, "point", err, &point)) != 0 ||
        (rc = json_real(point, at, "loss", 0, 1e30, err, &sums->loss)) != 0 ||
        (rc = json_real(point, at, "distill", -1e30, 1e30, err, &sums->distill)) != 0 ||
        (rc = json_real(point, at, "gap", -1e30, 1e30, err, &sums->gap)) != 0 ||
        (rc = json_real(point, at, "norm", 0, 1e300, err, &sums->norm)) != 0 ||
        (rc = json_int(point, at, "n", 0, STEPS_MAX, err, &n)) != 0)
        return rc;
    sums->n = (uint64_t)n;
    return 0;
}

static int parse_state(const cJSON *object, const char *at, const struct train_plan *plan,
                       struct err *err, struct train_state *state) {
    static const char *const keys[] = {"step", "summed"};
    uint64_t *const values[] = {&state->step, &state->summed};
    int64_t recoveries = 0, phase = 0;
    int rc = parse_counts(object, at, keys, values, 2, err);
    if (rc == 0)
        rc = json_int_opt(object, at, "phase", -1, plan->n_phases - 1, err, &phase);
    if (rc == 0)
        rc = json_real_opt(object, at, "distill_sum", -1e30, 1e30, err, &state->distill_sum);
    if (rc == 0)
        rc = json_real_opt(object, at, "gap_sum", -1e30, 1e30, err, &state->gap_sum);
    if (rc == 0)
        rc = json_bool_opt(object, at, "due", err, &state->due);
    if (rc == 0)
        rc = parse_squares(object, at, err, state->part_squares);
    if (rc == 0)
        rc = json_int(object, at, "recoveries", 0, 1000, err, &recoveries);
    if (rc == 0)
        rc = json_real(object, at, "rate_scale", 0, 1, err, &state->rate_scale);
    if (rc == 0)
        rc = parse_guards(object, at, err, state->guards);
    if (rc == 0)
        rc = json_real(object, at, "loss_sum", 0, 1e30, err, &state->loss_sum);
    if (rc == 0)
        rc = json_real(object, at, "norm_sum", 0, 1e300, err, &state->norm_sum);
    if (rc == 0)
        rc = parse_point(object, at, err, &state->point);
    if (rc == 0)
        rc = json_real(object, at, "best", -1, 1, err, &state->best);
    state->recoveries = (int)recoveries;
    state->phase = (int)phase;
    if (rc == 0 && (state->step < plan->first || state->step > plan->steps))
        rc = err_set(err, ESP_EINVAL, at, "the step is outside the plan of the training");
    return rc;
}

int train_state_parse(const cJSON *object, struct err *err, struct train_config *ret_config,
                      struct train_plan *ret_plan, struct train_state *ret_state) {
    const cJSON *config = NULL, *plan = NULL, *state = NULL;
    struct train_config parsed_config;
    struct train_plan parsed_plan = {0};
    struct train_state parsed_state = {0};
    int rc;
    if ((rc = json_object(object, "", "config", err, &config)) != 0 ||
        (rc = json_object(object, "", "plan", err, &plan)) != 0 ||
        (rc = json_object(object, "", "state", err, &state)) != 0 ||
        (rc = train_config_parse(config, "/config", err, &parsed_config)) != 0 ||
        (rc = parse_plan(plan, "/plan", err, &parsed_plan)) != 0 ||
        (rc = parse_phases(plan, "/plan", parsed_config.regime, err, &parsed_plan)) != 0 ||
        (rc = parse_state(state, "/state", &parsed_plan, err, &parsed_state)) != 0)
        return rc;
    *ret_config = parsed_config;
    *ret_plan = parsed_plan;
    *ret_state = parsed_state;
    return 0;
}
