#include "daemon/search_feasible.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "daemon/ids.h"
#include "daemon/metric_words.h"
#include "daemon/store_devices.h"
#include "daemon/store_models.h"
#include "search/feasibility.h"

/* ---- places -------------------------------------------------------------------------------- */

/* "on the board \"pi4\" (profile cpu)"; nothing of what is not there. */
static int add_place(struct sql *sql, const char *id, struct err *err, cJSON *places) {
    bool imported = id_has_prefix(id, "mo_");
    char place[256];
    struct err said = {0};
    cJSON *doc = NULL;
    int r =
        imported ? store_model_get(sql, id, &said, &doc) : store_profile_get(sql, id, &said, &doc);
    if (r == ESP_ENOTFOUND)
        return 0;
    if (r != 0)
        return err_set(err, r, said.pointer, "%s", said.message);
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "name"));
    const char *board = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "device_name"));
    if (imported)
        snprintf(place, sizeof(place), "by the imported model \"%.64s\"", name);
    else
        snprintf(place, sizeof(place), "on the board \"%.64s\" (profile %.120s)", board, name);
    cJSON_Delete(doc);
    cJSON_DeleteItemFromObjectCaseSensitive(places, id);
    cJSON_AddStringToObject(places, id, place);
    return 0;
}

int search_places(struct sql *sql, const struct goals *goals, struct err *err, cJSON **ret_places) {
    cJSON *places = cJSON_CreateObject();
    int r = 0;
    for (int i = 0; i < goals->n_metrics && r == 0; i++) {
        const char *colon = strchr(goals->keys[i], ':');
        if (colon != NULL)
            r = add_place(sql, colon + 1, err, places);
    }
    if (r == 0)
        *ret_places = places;
    else
        cJSON_Delete(places);
    return r;
}

/* ---- limits -------------------------------------------------------------------------------- */

/* Top-1 is a share. */
static int check_share(const struct constraint *c, int index, struct err *err) {
    char pointer[64];
    if (c->bound >= 0 && c->bound <= 1)
        return 0;
    snprintf(pointer, sizeof(pointer), "/constraints/%d/%s", index, c->is_max ? "max" : "min");
    return err_set(err, ESP_EINVAL, pointer, "top1 lies between 0 and 1: %g is no bound of it",
                   c->bound);
}

/* All but top1 are counts, times and energies. */
static int check_sign(const struct goals *goals, int index, struct err *err) {
    const struct constraint *c = &goals->constraints[index];
    char pointer[64], name[METRIC_NAME_MAX], bound[METRIC_VALUE_MAX];
    if (c->bound >= 0)
        return 0;
    snprintf(pointer, sizeof(pointer), "/constraints/%d/%s", index, c->is_max ? "max" : "min");
    goals_say_metric(goals, c->metric, name);
    goals_say_value(goals, c->metric, c->bound, bound);
    return err_set(err, ESP_EINVAL, pointer, "%s is never below 0: %s is no limit of it", name,
                   bound);
}

static int check_bound(const struct goals *goals, int index, struct err *err) {
    const struct constraint *c = &goals->constraints[index];
    return strcmp(goals->keys[c->metric], "top1") == 0 ? check_share(c, index, err)
                                                       : check_sign(goals, index, err);
}

static void put_nearest(const struct goals *goals, const struct feasibility *f, struct buf *text) {
    int n = 0;
    for (int i = 0; i < goals->n_constraints && f->has_nearest; i++) {
        const struct constraint *c = &goals->constraints[i];
        char name[METRIC_NAME_MAX], value[METRIC_VALUE_MAX], bound[METRIC_VALUE_MAX];
        if (isnan(f->nearest[i]))
            continue;
        goals_say_metric(goals, c->metric, name);
        goals_say_value(goals, c->metric, f->nearest[i], value);
        goals_say_value(goals, c->metric, c->bound, bound);
        buf_printf(text, "%s%s of %s (%s %s)", n++ ? ", " : "; the nearest has ", name, value,
                   c->is_max ? "at most" : "at least", bound);
    }
}

/* What a search is begun with all the same. */
static int note_rare(const struct goals *goals, const struct feasibility *f, cJSON *body,
                     struct err *err) {
    struct buf text;
    buf_init(&text, 0);
    buf_printf(&text,
               "no random subnet of %d keeps all limits that are known beforehand: perhaps none "
               "does",
               LIMIT_SAMPLES);
    put_nearest(goals, f, &text);
    cJSON *notes = cJSON_AddArrayToObject(body, "notes"); /* the first of all */
    bool ok = !text.error && cJSON_AddItemToArray(notes, cJSON_CreateString(text.data));
    buf_finish(&text);
    return ok ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

/* Whether the constraint on accuracy can be met nobody knows before it was tried; the others are
 * checked exactly. */
int search_check_feasible(const struct limited *limited, cJSON *body, struct err *err,
                          struct search_outlook *ret_outlook) {
    struct feasibility f = {.infeasible = -1};
    const struct goals *goals = limited->goals;
    int r = 0;
    *ret_outlook = (struct search_outlook){NAN, goals->n_constraints == 0 ? 1 : (double)NAN};
    for (int i = 0; i < goals->n_constraints && r == 0; i++)
        r = check_bound(goals, i, err);
    if (r != 0 || goals->n_constraints == 0)
        return r;
    r = feasibility_check(limited->space, goals, limited->evaluators, limited->n_evaluators, err,
                          &f);
    if (r == ESP_EINFEASIBLE && f.infeasible >= 0)
        ret_outlook->attainable = f.attainable[f.infeasible].value;
    if (r == 0)
        ret_outlook->share = f.accepted;
    return r == 0 && f.accepted <= 0 ? note_rare(goals, &f, body, err) : r;
}
