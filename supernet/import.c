#include "supernet/import.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "supernet/safetensors.h"
#include "supernet/supernet_map.h"

enum { NAME_BYTES = TENSOR_FILE_NAME_MAX + 64, COUNTER = -1, NONE = -2 };

/* What the names and parts of a space's tensors are, without storage. */
struct names {
    const struct space *space;
    struct tensor *tensors;
    struct supernet_map *map;
    int n;
    int *source; /* of each tensor: index in the file, or NONE */
};

/* ---- Names ---- */

static void replace(const char *name, const char *from, const char *to, char ret_name[NAME_BYTES]) {
    const char *at = strstr(name, from);
    if (at)
        snprintf(ret_name, NAME_BYTES, "%.*s%s%s", (int)(at - name), name, to, at + strlen(from));
    else
        snprintf(ret_name, NAME_BYTES, "%s", name);
}

static int find_exact(const struct names *names, const char *name) {
    for (int i = 0; i < names->n; i++)
        if (strcmp(names->tensors[i].name, name) == 0)
            return i;
    return NONE;
}

/* Dynamic layers say .conv.conv., .bn.bn., .linear.linear. where static ones have one of each. */
static int find_spelling(const struct names *names, const char *name) {
    static const char *const forms[][2] = {
        {".bn.bn.", ".bn."},
        {".conv.conv.weight", ".conv.weight"},
        {".linear.linear.", ".linear."},
        {".linear.", ".linear.linear."},
        {".bn.", ".bn.bn."},
        {".conv.weight", ".conv.conv.weight"},
    };
    char other[NAME_BYTES];
    int found = find_exact(names, name);
    for (size_t i = 0; found == NONE && i < sizeof forms / sizeof *forms; i++) {
        replace(name, forms[i][0], forms[i][1], other);
        found = find_exact(names, other);
    }
    return found;
}

/* Once-for-all's ProxylessNAS calls the 1x1 convolution before the pooling what its MobileNetV3
 * calls the one behind it. */
static int find_form(const struct names *names, const char *name) {
    char other[NAME_BYTES];
    int found = find_spelling(names, name);
    if (found != NONE || names->map->mix || !strstr(name, "feature_mix_layer."))
        return found;
    replace(name, "feature_mix_layer.", "final_expand_layer.", other);
    return find_spelling(names, other);
}

static bool ends_with(const char *name, const char *end) {
    size_t len = strlen(name), end_len = strlen(end);
    return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* Index of the tensor that a name of the file means; COUNTER; NONE. */
static int find_tensor(const struct names *names, const char *foreign) {
    static const char prefix[] = "module.", counter[] = ".num_batches_tracked";
    char name[NAME_BYTES], mean[NAME_BYTES];
    while (strncmp(foreign, prefix, sizeof prefix - 1) == 0)
        foreign += sizeof prefix - 1;
    replace(foreign, ".mobile_inverted_conv.", ".conv.", name);
    if (!ends_with(name, counter))
        return find_form(names, name);
    replace(name, counter, ".running_mean", mean);
    return find_form(names, mean) == NONE ? NONE : COUNTER;
}

static void names_finish(struct names *names) {
    free(names->tensors);
    free(names->map);
    free(names->source);
}

static int names_init(struct names *names, const struct space *space, struct err *err) {
    names->space = space;
    names->tensors = mem_array((size_t)supernet_map_tensors_max(space), sizeof *names->tensors);
    names->map = mem_array(1, sizeof *names->map);
    names->source = mem_array((size_t)supernet_map_tensors_max(space), sizeof *names->source);
    if (!names->tensors || !names->map || !names->source)
        return err_set(err, ESP_ENOMEM, NULL, "no memory to import tensors");
    names->n = supernet_map_fill(space, names->tensors, names->map);
    for (int i = 0; i < names->n; i++)
        names->source[i] = NONE;
    return 0;
}

static int match_one(struct names *names, const struct tensor_file *file, int index,
                     struct err *err, struct import_report *report) {
    const struct foreign_tensor *t = &file->tensors[index];
    char shape[TENSOR_SHAPE_TEXT];
    int at = find_tensor(names, t->name);
    foreign_tensor_shape(t, shape);
    if (at == COUNTER) {
        report->counters++;
        return 0;
    }
    if (at == NONE)
        return err_set(err, ESP_EMISMATCH, "/space",
                       "the file has a tensor %s %s, for which the space %s has no place", t->name,
                       shape, names->space->name);
    if (names->source[at] != NONE)
        return err_set(err, ESP_EMISMATCH, NULL, "the file has %s twice, as %s and as %s",
                       names->tensors[at].name, file->tensors[names->source[at]].name, t->name);
    names->source[at] = index;
    report->tensors++;
    report->renamed += strcmp(t->name, names->tensors[at].name) != 0;
    return 0;
}

static void shape_of(const struct tensor *tensor, char ret_text[TENSOR_SHAPE_TEXT]) {
    struct foreign_tensor same = {.n_dims = tensor->n_dims};
    for (int i = 0; i < tensor->n_dims; i++)
        same.dims[i] = tensor->dims[i];
    foreign_tensor_shape(&same, ret_text);
}

static int match_all(struct names *names, const struct tensor_file *file, struct err *err,
                     struct import_report *report) {
    char shape[TENSOR_SHAPE_TEXT];
    for (int i = 0; i < file->n; i++) {
        int rc = match_one(names, file, i, err, report);
        if (rc < 0)
            return rc;
    }
    for (int i = 0; i < names->n; i++) {
        if (names->source[i] != NONE)
            continue;
        shape_of(&names->tensors[i], shape);
        if (names->tensors[i].kind != TENSOR_TRANSFORM)
            return err_set(err, ESP_EMISMATCH, "/space",
                           "the file has no %s, which is %s in the space %s",
                           names->tensors[i].name, shape, names->space->name);
        report->transforms++;
    }
    return 0;
}

/* ---- The space ---- */

/* A size of the file's tensor that stands for one of the space's. */
static int size_in_file(const struct names *names, const struct tensor_file *file,
                        const struct tensor *part, int axis) {
    const struct foreign_tensor *t = &file->tensors[names->source[part - names->tensors]];
    bool fits = t->n_dims == part->n_dims && t->dims[axis] >= 1 && t->dims[axis] <= INT32_MAX;
    return fits ? (int)t->dims[axis] : part->dims[axis];
}

/* The space with the file's numbers of classes and input channels. */
static int adapt(const struct names *names, const struct tensor_file *file, struct err *err,
                 struct space **ret_space) {
    return space_adapt(names->space, size_in_file(names, file, names->map->classifier, 0),
                       size_in_file(names, file, names->map->stem, 1), err, ret_space);
}

/* The space that the file says it is of; *ret_space stays NULL when it says nothing. */
static int carried_space(const struct tensor_file *file, struct err *err,
                         struct space **ret_space) {
    cJSON *metadata = file->metadata ? cJSON_Parse(file->metadata) : NULL;
    const char *text =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, SAFETENSORS_SPACE));
    const char *fingerprint =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, SAFETENSORS_FINGERPRINT));
    struct space *space = NULL;
    int rc = text ? space_parse(text, strlen(text), err, &space) : 0;
    if (rc == 0 && space && (!fingerprint || strcmp(fingerprint, space->fingerprint) != 0)) {
        space_destroy(space);
        space = NULL;
        rc = err_set(err, ESP_EPARSE, NULL, "the file's fingerprint is not that of its space");
    }
    cJSON_Delete(metadata);
    if (rc == 0)
        *ret_space = space;
    return rc;
}

static int check_carried(const struct space *carried, const struct space *space, struct err *err) {
    if (!carried || strcmp(carried->fingerprint, space->fingerprint) == 0)
        return 0;
    return err_set(err, ESP_EMISMATCH, "/space",
                   "the file is of the space %s (fingerprint %s), not of %s (fingerprint %s)",
                   carried->name, carried->fingerprint, space->name, space->fingerprint);
}

/* ---- Values ---- */

static bool same_shape(const struct foreign_tensor *from, const struct tensor *to) {
    bool same = from->n_dims == to->n_dims;
    for (int i = 0; same && i < to->n_dims; i++)
        same = from->dims[i] == to->dims[i];
    return same;
}

static int take(const struct foreign_tensor *from, struct tensor *to, const char *space,
                struct err *err) {
    char theirs[TENSOR_SHAPE_TEXT], ours[TENSOR_SHAPE_TEXT];
    foreign_tensor_shape(from, theirs);
    shape_of(to, ours);
    if (!same_shape(from, to))
        return err_set(err, ESP_EMISMATCH, "/space",
                       "%s is %s in the file, and %s (%s) in the space %s", from->name, theirs,
                       to->name, ours, space);
    foreign_tensor_read(from, to->data);
    for (size_t i = 0; i < to->count; i++)
        if (!isfinite(to->data[i]) || (to->kind == TENSOR_BN_VARIANCE && to->data[i] < 0))
            return err_set(err, ESP_EINVAL, NULL, "%s holds %g at element %zu", from->name,
                           (double)to->data[i], i);
    return 0;
}

static int take_all(const struct names *names, const struct tensor_file *file, struct supernet *net,
                    struct err *err) {
    int rc = 0;
    for (int i = 0; rc == 0 && i < names->n; i++)
        if (names->source[i] != NONE)
            rc = take(&file->tensors[names->source[i]], &net->tensors[i], net->space->name, err);
    return rc;
}

static int import(const struct tensor_file *file, const struct space *space,
                  const struct space *carried, struct err *err, struct import_report *ret_report,
                  struct supernet **ret_supernet) {
    struct names names = {0};
    struct space *adapted = NULL;
    struct supernet *net = NULL;
    struct import_report report = {0};
    int rc = names_init(&names, space, err);
    if (rc == 0)
        rc = match_all(&names, file, err, &report);
    if (rc == 0)
        rc = adapt(&names, file, err, &adapted);
    if (rc == 0)
        rc = check_carried(carried, adapted, err);
    if (rc == 0)
        rc = supernet_create(adapted, 0, err, &net);
    if (rc == 0)
        rc = take_all(&names, file, net, err);
    if (rc == 0) {
        *ret_report = report;
        *ret_supernet = net;
        net = NULL;
    }
    supernet_destroy(net);
    space_destroy(adapted);
    names_finish(&names);
    return rc;
}

int supernet_import(const struct tensor_file *file, const struct space *space, struct err *err,
                    struct import_report *ret_report, struct supernet **ret_supernet) {
    struct space *carried = NULL;
    int rc = carried_space(file, err, &carried);
    if (rc == 0 && !space && !carried)
        rc = err_set(err, ESP_EINVAL, "/space",
                     "the file does not say of which space it is: name one");
    if (rc == 0)
        rc = import(file, space ? space : carried, carried, err, ret_report, ret_supernet);
    space_destroy(carried);
    return rc;
}
