#include "supernet/train_state.h"

#include "base/json.h"
#include <math.h>

#define STEPS_MAX (INT64_C(1) << 40)
#define PI 3.14159265358979323846

enum {
    VALIDATIONS = 8, /* at least, in a round */
    /* Wider shifts slow the first epochs down and pay in long rounds. */
    PAD_SHORT = 1,
    PAD_LONG = 2,
    EPOCHS_LONG = 20
};
static const double budget_margin = 0.99; /* for what is not counted: start and end */

static uint64_t at_least_one(double count) {
    return count < 1 ? 1 : count > (double)STEPS_MAX ? (uint64_t)STEPS_MAX : (uint64_t)count;
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
    plan->steps = plan->first + length;
    plan->pad = config->augment.pad;
    if (plan->pad == TRAIN_PAD_AUTO)
        plan->pad = length < EPOCHS_LONG * steps_per_epoch ? PAD_SHORT : PAD_LONG;
}

double train_learning_rate(const struct train_config *config, const struct train_plan *plan,
                           uint64_t step) {
    double length = (double)(plan->steps - plan->first), at = (double)(step - plan->first);
    double rising = ceil(config->warmup * length), floor_share = config->learning_rate_floor;
    if (at < rising)
        return config->learning_rate * (at + 1) / rising;
    double share = (at - rising) / (length - rising);
    return config->learning_rate * (floor_share + (1 - floor_share) * 0.5 * (1 + cos(PI * share)));
}

uint64_t train_seed(const struct train_config *config, const struct train_plan *plan) {
    return config->seed ^ ((uint64_t)plan->round << 54);
}

double train_epoch(const struct train_plan *plan, uint64_t step) {
    return plan->epochs_before + (double)(step - plan->first) / (double)plan->steps_per_epoch;
}

bool train_is_checkpoint(const struct train_plan *plan, uint64_t step) {
    return step == plan->steps || (step - plan->first) % plan->checkpoint_steps == 0;
}

bool train_is_validation(const struct train_plan *plan, uint64_t step) {
    return step == plan->steps ||
           (step > plan->first && (step - plan->first) % plan->validate_steps == 0);
}

static cJSON *print_plan(const struct train_plan *plan) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "round", plan->round);
    cJSON_AddNumberToObject(object, "first", (double)plan->first);
    cJSON_AddNumberToObject(object, "steps", (double)plan->steps);
    cJSON_AddNumberToObject(object, "steps_per_epoch", (double)plan->steps_per_epoch);
    cJSON_AddNumberToObject(object, "validate_steps", (double)plan->validate_steps);
    cJSON_AddNumberToObject(object, "checkpoint_steps", (double)plan->checkpoint_steps);
    cJSON_AddNumberToObject(object, "pad", plan->pad);
    if (cJSON_AddNumberToObject(object, "epochs_before", plan->epochs_before))
        return object;
    cJSON_Delete(object);
    return NULL;
}

static cJSON *print_state(const struct train_state *state) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "step", (double)state->step);
    cJSON_AddNumberToObject(object, "rate_scale", state->rate_scale);
    cJSON_AddNumberToObject(object, "recoveries", state->recoveries);
    cJSON_AddNumberToObject(object, "loss_mean", state->loss_mean);
    cJSON_AddNumberToObject(object, "loss_sum", state->loss_sum);
    cJSON_AddNumberToObject(object, "norm_sum", state->norm_sum);
    cJSON_AddNumberToObject(object, "summed", (double)state->summed);
    if (cJSON_AddNumberToObject(object, "best", state->best))
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
                 {"plan", print_plan(plan)},
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

static int parse_plan(const cJSON *object, const char *at, struct err *err,
                      struct train_plan *plan) {
    static const char *const keys[] = {"first", "steps", "steps_per_epoch", "validate_steps",
                                       "checkpoint_steps"};
    uint64_t *const values[] = {&plan->first, &plan->steps, &plan->steps_per_epoch,
                                &plan->validate_steps, &plan->checkpoint_steps};
    int64_t round = 0, pad = 0;
    int rc = parse_counts(object, at, keys, values, 5, err);
    if (rc == 0)
        rc = json_int(object, at, "round", 0, 500, err, &round);
    if (rc == 0)
        rc = json_int(object, at, "pad", 0, AUGMENT_PAD_MAX, err, &pad);
    if (rc == 0)
        rc = json_real(object, at, "epochs_before", 0, 1e9, err, &plan->epochs_before);
    if (rc != 0)
        return rc;
    plan->round = (int)round;
    plan->pad = (int)pad;
    if (plan->steps <= plan->first || plan->steps_per_epoch == 0 || plan->validate_steps == 0 ||
        plan->checkpoint_steps == 0)
        return err_set(err, ESP_EINVAL, at, "the plan of the training makes no sense");
    return 0;
}

static int parse_state(const cJSON *object, const char *at, const struct train_plan *plan,
                       struct err *err, struct train_state *state) {
    static const char *const keys[] = {"step", "summed"};
    uint64_t *const values[] = {&state->step, &state->summed};
    int64_t recoveries = 0;
    int rc = parse_counts(object, at, keys, values, 2, err);
    if (rc == 0)
        rc = json_int(object, at, "recoveries", 0, 1000, err, &recoveries);
    if (rc == 0)
        rc = json_real(object, at, "rate_scale", 0, 1, err, &state->rate_scale);
    if (rc == 0)
        rc = json_real(object, at, "loss_mean", 0, 1e30, err, &state->loss_mean);
    if (rc == 0)
        rc = json_real(object, at, "loss_sum", 0, 1e30, err, &state->loss_sum);
    if (rc == 0)
        rc = json_real(object, at, "norm_sum", 0, 1e300, err, &state->norm_sum);
    if (rc == 0)
        rc = json_real(object, at, "best", -1, 1, err, &state->best);
    state->recoveries = (int)recoveries;
    if (rc == 0 && (state->step < plan->first || state->step > plan->steps))
        rc = err_set(err, ESP_EINVAL, at, "the step is outside the plan of the training");
    return rc;
}

int train_state_parse(const cJSON *object, struct err *err, struct train_config *ret_config,
                      struct train_plan *ret_plan, struct train_state *ret_state) {
    const cJSON *config = NULL, *plan = NULL, *state = NULL;
    struct train_plan parsed_plan = {0};
    struct train_state parsed_state = {0};
    int rc;
    if ((rc = json_object(object, "", "config", err, &config)) != 0 ||
        (rc = json_object(object, "", "plan", err, &plan)) != 0 ||
        (rc = json_object(object, "", "state", err, &state)) != 0 ||
        (rc = parse_plan(plan, "/plan", err, &parsed_plan)) != 0 ||
        (rc = parse_state(state, "/state", &parsed_plan, err, &parsed_state)) != 0 ||
        (rc = train_config_parse(config, "/config", err, ret_config)) != 0)
        return rc;
    *ret_plan = parsed_plan;
    *ret_state = parsed_state;
    return 0;
}
