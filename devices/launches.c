#include "devices/launches.h"

#include <math.h>
#include <string.h>

#include "base/json.h"
#include "devices/sampler.h"

static double number(const cJSON *doc, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(doc, key));
}

static void set_number(cJSON *doc, const char *key, double value) {
    cJSON_SetNumberValue(cJSON_GetObjectItemCaseSensitive(doc, key), value);
}

static bool has_text(const cJSON *list, const char *text) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, text) == 0)
            return true;
    }
    return false;
}

/* By how much the reference network's time changed in a launch. */
static double drift_of(const cJSON *reference) {
    double before = number(reference, "before_us");
    return before > 0 ? fabs(number(reference, "after_us") - before) / before : 0;
}

/* What is true of either launch is true of both; of the reference network, the launch counts in
 * which it changed most. */
static void merge_judgements(cJSON *doc, cJSON *later) {
    static const char *const words[] = {"bimodal", "noisy"};
    cJSON *flags = cJSON_GetObjectItemCaseSensitive(doc, "flags"), *item;
    cJSON *reference = cJSON_GetObjectItemCaseSensitive(doc, "reference");
    const cJSON *other = cJSON_GetObjectItemCaseSensitive(later, "reference");

    for (int i = 0; i < 2; i++)
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(later, words[i])))
            cJSON_ReplaceItemInObjectCaseSensitive(doc, words[i], cJSON_CreateTrue());
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(later, "flags")) {
        if (cJSON_IsString(item) && !has_text(flags, item->valuestring))
            cJSON_AddItemToArray(flags, cJSON_CreateString(item->valuestring));
    }
    set_number(doc, "taken_again", number(doc, "taken_again") + number(later, "taken_again"));
    if (drift_of(other) > drift_of(reference)) {
        set_number(reference, "before_us", number(other, "before_us"));
        set_number(reference, "after_us", number(other, "after_us"));
    }
    set_number(reference, "spread", fmax(number(reference, "spread"), number(other, "spread")));
    if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(later, "stop")),
               sampler_stop_names[SAMPLER_CAP]) == 0)
        cJSON_ReplaceItemInObjectCaseSensitive(doc, "stop", cJSON_CreateString("cap"));
}

void launches_merge(cJSON *doc, cJSON *later) {
    double n = number(doc, "n"), m = number(later, "n");
    double mean = (n * number(doc, "mean_us") + m * number(later, "mean_us")) / (n + m);
    double a = number(doc, "median_us"), b = number(later, "median_us");
    double variance =
        (n * pow(number(doc, "sd_us"), 2) + m * pow(number(later, "sd_us"), 2)) / (n + m);
    cJSON *samples = cJSON_GetObjectItemCaseSensitive(doc, "samples_us");
    cJSON *more = cJSON_DetachItemFromObjectCaseSensitive(later, "samples_us");

    if (number(later, "output_error") > number(doc, "output_error"))
        set_number(doc, "output_error", number(later, "output_error"));
    set_number(doc, "sd_us", sqrt(variance + pow(a - b, 2) / 4));
    set_number(doc, "mean_us", mean);
    set_number(doc, "median_us", (a + b) / 2);
    set_number(doc, "low_us", fmin(number(doc, "low_us"), number(later, "low_us")));
    set_number(doc, "high_us", fmax(number(doc, "high_us"), number(later, "high_us")));
    set_number(doc, "min_us", fmin(number(doc, "min_us"), number(later, "min_us")));
    set_number(doc, "p90_us", fmax(number(doc, "p90_us"), number(later, "p90_us")));
    set_number(doc, "batches", number(doc, "batches") + number(later, "batches"));
    if (json_has(doc, "energy_uj") && json_has(later, "energy_uj"))
        set_number(doc, "energy_uj", (number(doc, "energy_uj") + number(later, "energy_uj")) / 2);
    set_number(doc, "n", n + m);
    merge_judgements(doc, later);
    while (cJSON_GetArraySize(more) > 0)
        cJSON_AddItemToArray(samples, cJSON_DetachItemFromArray(more, 0));
    cJSON_Delete(more);
}
