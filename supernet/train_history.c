#include "supernet/train_history.h"

#include <stdio.h>
#include <string.h>

static int no_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for the curves of a training");
}

void train_part_name(int part, int n_parts, char ret_name[GRADIENT_PART_NAME]) {
    if (part == 0 || part == n_parts - 1)
        snprintf(ret_name, GRADIENT_PART_NAME, "%s", part == 0 ? "stem" : "head");
    else
        snprintf(ret_name, GRADIENT_PART_NAME, "stage_%d", part);
}

static void add_accuracy(cJSON *row, const char *name, const struct train_accuracy *accuracy) {
    cJSON *pair = cJSON_AddObjectToObject(row, name);
    cJSON_AddNumberToObject(pair, "top1", accuracy->top1);
    cJSON_AddNumberToObject(pair, "top1_raw", accuracy->top1_raw);
}

static void add_part_norms(cJSON *row, const struct train_metrics *metrics) {
    cJSON *norms = cJSON_AddObjectToObject(row, "gradient_norms");
    for (int i = 0; i < metrics->n_parts; i++) {
        char name[GRADIENT_PART_NAME];
        train_part_name(i, metrics->n_parts, name);
        cJSON_AddNumberToObject(norms, name, metrics->part_norms[i]);
    }
}

int train_history_add(cJSON *history, const struct train_metrics *metrics, struct err *err) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddNumberToObject(row, "step", (double)metrics->step);
    cJSON_AddNumberToObject(row, "epoch", metrics->epoch);
    cJSON_AddStringToObject(row, "phase", metrics->phase);
    cJSON_AddNumberToObject(row, "loss", metrics->loss);
    cJSON_AddNumberToObject(row, "distillation", metrics->distill);
    cJSON_AddNumberToObject(row, "distillation_gap", metrics->gap);
    cJSON_AddNumberToObject(row, "learning_rate", metrics->learning_rate);
    cJSON_AddNumberToObject(row, "gradient_norm", metrics->gradient_norm);
    add_part_norms(row, metrics);
    add_accuracy(row, "largest", &metrics->largest);
    add_accuracy(row, "smallest", &metrics->smallest);
    add_accuracy(row, "random", &metrics->random);
    return cJSON_AddItemToArray(history, row) ? 0 : no_memory(err);
}

static double number_of(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* A run that was killed in a recovery does it again. */
static bool is_noted(const cJSON *history, uint64_t step, uint64_t back_to_step,
                     const char *reason) {
    const cJSON *row = cJSON_GetArrayItem(history, cJSON_GetArraySize(history) - 1);
    const char *noted = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "recovered"));
    return noted && strcmp(noted, reason) == 0 && number_of(row, "step") == (double)step &&
           number_of(row, "back_to_step") == (double)back_to_step;
}

int train_history_add_recovery(cJSON *history, uint64_t step, uint64_t back_to_step,
                               const char *reason, struct err *err) {
    if (is_noted(history, step, back_to_step, reason))
        return 0;
    cJSON *row = cJSON_CreateObject();
    cJSON_AddNumberToObject(row, "step", (double)step);
    cJSON_AddNumberToObject(row, "back_to_step", (double)back_to_step);
    cJSON_AddStringToObject(row, "recovered", reason);
    return cJSON_AddItemToArray(history, row) ? 0 : no_memory(err);
}

bool train_history_latest(const cJSON *history, struct train_metrics *metrics) {
    for (int i = cJSON_GetArraySize(history) - 1; i >= 0; i--) {
        const cJSON *row = cJSON_GetArrayItem(history, i);
        const cJSON *largest = cJSON_GetObjectItemCaseSensitive(row, "largest");
        if (!largest)
            continue;
        metrics->largest.top1 = number_of(largest, "top1");
        metrics->smallest.top1 =
            number_of(cJSON_GetObjectItemCaseSensitive(row, "smallest"), "top1");
        return true;
    }
    return false;
}
