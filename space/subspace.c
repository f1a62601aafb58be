#include "space/subspace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "space/space_internal.h"

enum { LIST_MAX = SPACE_RESOLUTIONS_MAX, POINTER_MAX = 200 };

/* Genes of a stage, by their member. */
enum list_kind { LIST_DEPTHS, LIST_CHANNELS, LIST_KERNEL_SIZES, LIST_EXPAND_RATIOS, LISTS };
static const char *const list_names[] = {"depths", "channels", "kernel_sizes", "expand_ratios",
                                         NULL};

/* Values of a list; n 0: it is not there. */
struct kept {
    int n;
    double value[LIST_MAX];
};

static bool has(const struct kept *kept, double value) {
    for (int i = 0; i < kept->n; i++)
        if (fabs(kept->value[i] - value) < 1e-6)
            return true;
    return false;
}

static int read_kept(const cJSON *doc, const char *at, const char *key, struct err *err,
                     struct kept *ret_kept) {
    const cJSON *list, *item;
    int i = 0;
    ret_kept->n = 0;
    if (!json_has(doc, key))
        return 0;
    int code = json_array(doc, at, key, 1, LIST_MAX, err, &list);
    if (code < 0)
        return code;
    cJSON_ArrayForEach(item, list) {
        char pointer[POINTER_MAX];
        snprintf(pointer, sizeof pointer, "%.160s/%s/%d", at, key, i++);
        if (!cJSON_IsNumber(item))
            return err_set(err, ESP_EINVAL, pointer, "a choice that is kept is a number");
        if (has(ret_kept, item->valuedouble))
            return err_set(err, ESP_EINVAL, pointer, "%g is there twice", item->valuedouble);
        ret_kept->value[ret_kept->n++] = item->valuedouble;
    }
    return 0;
}

/* --- one gene of one stage --- */

static int count_choices(const struct space_stage *stage, enum list_kind kind) {
    const int n[LISTS] = {stage->depths.n, stage->channels.n, stage->kernel_sizes.n,
                          stage->n_expand_ratios};
    return n[kind];
}

static double choice(const struct space_stage *stage, enum list_kind kind, int i) {
    switch (kind) {
    case LIST_DEPTHS:
        return stage->depths.value[i];
    case LIST_CHANNELS:
        return stage->channels.value[i];
    case LIST_KERNEL_SIZES:
        return stage->kernel_sizes.value[i];
    case LIST_EXPAND_RATIOS:
        return stage->expand_ratios[i];
    case LISTS:
        break;
    }
    return NAN;
}

static void keep_choices(struct space_choices *choices, const struct kept *kept) {
    int n = 0;
    for (int i = 0; i < choices->n; i++)
        if (has(kept, choices->value[i]))
            choices->value[n++] = choices->value[i];
    choices->n = n;
}

static void keep_ratios(struct space_stage *stage, const struct kept *kept) {
    int n = 0;
    for (int i = 0; i < stage->n_expand_ratios; i++)
        if (has(kept, stage->expand_ratios[i]))
            stage->expand_ratios[n++] = stage->expand_ratios[i];
    stage->n_expand_ratios = n;
}

/* Of the whole space's stage to the part's. False if nothing is kept. */
static bool keep(struct space_stage *stage, enum list_kind kind, const struct kept *kept) {
    switch (kind) {
    case LIST_DEPTHS:
        keep_choices(&stage->depths, kept);
        break;
    case LIST_CHANNELS:
        keep_choices(&stage->channels, kept);
        break;
    case LIST_KERNEL_SIZES:
        keep_choices(&stage->kernel_sizes, kept);
        break;
    case LIST_EXPAND_RATIOS:
        keep_ratios(stage, kept);
        break;
    case LISTS:
        break;
    }
    return count_choices(stage, kind) > 0;
}

static bool stage_has(const struct space_stage *stage, enum list_kind kind, double value) {
    for (int i = 0; i < count_choices(stage, kind); i++)
        if (fabs(choice(stage, kind, i) - value) < 1e-6)
            return true;
    return false;
}

/* --- lists about all stages --- */

/* Every value must be one of some stage that has a choice there. */
static int check_values(const struct space *whole, enum list_kind kind, const char *at,
                        const struct kept *kept, struct err *err) {
    for (int i = 0; i < kept->n; i++) {
        bool known = false;
        for (int s = 0; s < whole->n_stages; s++)
            known |= count_choices(&whole->stages[s], kind) > 1 &&
                     stage_has(&whole->stages[s], kind, kept->value[i]);
        if (known)
            continue;
        char pointer[POINTER_MAX];
        snprintf(pointer, sizeof pointer, "%.160s/%s/%d", at, list_names[kind], i);
        return err_set(err, ESP_EINVAL, pointer, "no stage of space \"%s\" chooses %g of its %s",
                       whole->name, kept->value[i], list_names[kind]);
    }
    return 0;
}

static int take_everywhere(const struct space *whole, enum list_kind kind, const cJSON *doc,
                           const char *at, struct err *err, struct space *part) {
    struct kept kept;
    char pointer[POINTER_MAX];
    int code = read_kept(doc, at, list_names[kind], err, &kept);
    if (code == 0)
        code = check_values(whole, kind, at, &kept, err);
    snprintf(pointer, sizeof pointer, "%.160s/%s", at, list_names[kind]);
    for (int s = 0; s < whole->n_stages && code == 0 && kept.n > 0; s++)
        if (count_choices(&whole->stages[s], kind) > 1 && !keep(&part->stages[s], kind, &kept))
            code = err_set(err, ESP_EINVAL, pointer,
                           "stage \"%s\" would keep none of its %s: name those of its own",
                           whole->stages[s].name, list_names[kind]);
    return code;
}

/* --- lists of one stage --- */

static int take_list(const struct space_stage *whole, enum list_kind kind, const cJSON *doc,
                     const char *at, struct err *err, struct space_stage *part) {
    struct kept kept;
    int code = read_kept(doc, at, list_names[kind], err, &kept);
    for (int i = 0; i < kept.n && code == 0; i++)
        if (!stage_has(whole, kind, kept.value[i])) {
            char pointer[POINTER_MAX];
            snprintf(pointer, sizeof pointer, "%.160s/%s/%d", at, list_names[kind], i);
            code = err_set(err, ESP_EINVAL, pointer, "%g is none of the %s of stage \"%s\"",
                           kept.value[i], list_names[kind], whole->name);
        }
    if (code < 0 || kept.n == 0)
        return code;
    /* In place of what a list about all stages has left. */
    part->depths = kind == LIST_DEPTHS ? whole->depths : part->depths;
    part->channels = kind == LIST_CHANNELS ? whole->channels : part->channels;
    part->kernel_sizes = kind == LIST_KERNEL_SIZES ? whole->kernel_sizes : part->kernel_sizes;
    if (kind == LIST_EXPAND_RATIOS) {
        memcpy(part->expand_ratios, whole->expand_ratios, sizeof part->expand_ratios);
        part->n_expand_ratios = whole->n_expand_ratios;
    }
    keep(part, kind, &kept);
    return 0;
}

static int find_stage(const struct space *space, const char *name) {
    for (int s = 0; s < space->n_stages; s++)
        if (strcmp(space->stages[s].name, name) == 0)
            return s;
    return -1;
}

static int take_stage(const struct space *whole, const cJSON *item, const char *at, struct err *err,
                      struct space *part) {
    char pointer[POINTER_MAX];
    int s = find_stage(whole, item->string), code = 0;
    snprintf(pointer, sizeof pointer, "%.100s/stages/%.40s", at, item->string);
    if (s < 0)
        return err_set(err, ESP_EINVAL, pointer, "space \"%s\" has no stage \"%.40s\"", whole->name,
                       item->string);
    if (!cJSON_IsObject(item))
        return err_set(err, ESP_EINVAL, pointer, "must be an object");
    code = json_only(item, pointer, list_names, err);
    for (int kind = 0; kind < LISTS && code == 0; kind++)
        code = take_list(&whole->stages[s], (enum list_kind)kind, item, pointer, err,
                         &part->stages[s]);
    return code;
}

static int take_stages(const struct space *whole, const cJSON *doc, const char *at, struct err *err,
                       struct space *part) {
    const cJSON *stages, *item;
    if (!json_has(doc, "stages"))
        return 0;
    int code = json_object(doc, at, "stages", err, &stages);
    if (code < 0)
        return code;
    cJSON_ArrayForEach(item, stages) {
        code = take_stage(whole, item, at, err, part);
        if (code < 0)
            return code;
    }
    return 0;
}

/* --- the whole --- */

static int take_resolutions(const cJSON *doc, const char *at, struct err *err,
                            const struct space *whole, struct space *part) {
    struct kept kept;
    int n = 0, code = read_kept(doc, at, "resolutions", err, &kept);
    if (code < 0 || kept.n == 0)
        return code;
    for (int i = 0; i < whole->n_resolutions; i++)
        if (has(&kept, whole->resolutions[i]))
            part->resolutions[n++] = whole->resolutions[i];
    part->n_resolutions = n;
    for (int i = 0; i < kept.n; i++) {
        bool known = false;
        for (int r = 0; r < whole->n_resolutions; r++)
            known |= fabs(whole->resolutions[r] - kept.value[i]) < 1e-6;
        if (known)
            continue;
        char pointer[POINTER_MAX];
        snprintf(pointer, sizeof pointer, "%.160s/resolutions/%d", at, i);
        return err_set(err, ESP_EINVAL, pointer, "%g pixels is no resolution of space \"%s\"",
                       kept.value[i], whole->name);
    }
    return 0;
}

static int take_all(const struct space *whole, const cJSON *doc, const char *at, struct err *err,
                    struct space *part) {
    static const char *const members[] = {"resolutions",   "depths", "channels", "kernel_sizes",
                                          "expand_ratios", "stages", NULL};
    if (!cJSON_IsObject(doc))
        return err_set(err, ESP_EINVAL, at, "must be an object");
    int code = json_only(doc, at, members, err);
    if (code == 0)
        code = take_resolutions(doc, at, err, whole, part);
    for (int kind = 0; kind < LISTS && code == 0; kind++)
        code = take_everywhere(whole, (enum list_kind)kind, doc, at, err, part);
    return code == 0 ? take_stages(whole, doc, at, err, part) : code;
}

int subspace_create(const struct space *whole, const cJSON *doc, const char *at, struct err *err,
                    struct space **ret_part) {
    struct space *part = malloc(sizeof *part);
    if (!part)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a space");
    *part = *whole;
    int code = take_all(whole, doc, at, err, part);
    if (code == 0)
        code = space_finish(part, err);
    if (code < 0) {
        space_destroy(part);
        return code;
    }
    *ret_part = part;
    return 0;
}

/* The lists that make a part of the whole. NULL on memory exhaustion. */
static cJSON *describe_part(const struct space *part) {
    cJSON *doc = cJSON_CreateObject();
    cJSON *resolutions = cJSON_AddArrayToObject(doc, "resolutions");
    cJSON *stages = cJSON_AddObjectToObject(doc, "stages");
    bool there = stages != NULL;
    for (int i = 0; i < part->n_resolutions; i++)
        there &= cJSON_AddItemToArray(resolutions, cJSON_CreateNumber(part->resolutions[i])) != 0;
    for (int s = 0; s < part->n_stages; s++) {
        const struct space_stage *stage = &part->stages[s];
        cJSON *lists = cJSON_AddObjectToObject(stages, stage->name);
        for (int kind = 0; kind < LISTS; kind++) {
            int n = count_choices(stage, (enum list_kind)kind);
            cJSON *list = n > 0 ? cJSON_AddArrayToObject(lists, list_names[kind]) : NULL;
            for (int i = 0; i < n; i++)
                there &= cJSON_AddItemToArray(
                             list, cJSON_CreateNumber(choice(stage, (enum list_kind)kind, i))) != 0;
        }
    }
    if (!there) {
        cJSON_Delete(doc);
        return NULL;
    }
    return doc;
}

int subspace_check(const struct space *whole, const struct space *part, const char *at,
                   struct err *err) {
    cJSON *doc = describe_part(part);
    struct space *made = NULL;
    if (!doc)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a space");
    int code = subspace_create(whole, doc, at, err, &made);
    if (code == 0 && strcmp(made->fingerprint, part->fingerprint) != 0)
        code = err_set(err, ESP_EINVAL, at,
                       "it is no part of space \"%s\": more than choices differ", whole->name);
    space_destroy(made);
    cJSON_Delete(doc);
    return code;
}

/* Where the whole's stage has the part's choice; it has it. */
static uint8_t place(const struct space_stage *part, const struct space_stage *whole,
                     enum list_kind kind, int index) {
    double value = choice(part, kind, index);
    int i = 0;
    while (i + 1 < count_choices(whole, kind) && fabs(choice(whole, kind, i) - value) > 1e-6)
        i++;
    return (uint8_t)i;
}

void subspace_lift(const struct space *part, const struct space *whole, const struct arch *arch,
                   struct arch *ret_arch) {
    struct arch lifted = {0};
    while (whole->resolutions[lifted.resolution] != part->resolutions[arch->resolution])
        lifted.resolution++;
    for (int s = 0; s < part->n_stages; s++) {
        const struct space_stage *from = &part->stages[s], *to = &whole->stages[s];
        lifted.depth[s] = place(from, to, LIST_DEPTHS, arch->depth[s]);
        lifted.channels[s] = place(from, to, LIST_CHANNELS, arch->channels[s]);
        for (int b = 0; b < from->depths.value[arch->depth[s]]; b++) {
            int at = from->first_block + b, there = to->first_block + b;
            lifted.kernel[there] = place(from, to, LIST_KERNEL_SIZES, arch->kernel[at]);
            lifted.expand[there] = place(from, to, LIST_EXPAND_RATIOS, arch->expand[at]);
        }
    }
    *ret_arch = lifted;
}
