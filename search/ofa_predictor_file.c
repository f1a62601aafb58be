#include "search/ofa_predictor_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written as they lie");

enum {
    H = OFA_PREDICTOR_HIDDEN,
    LAYERS = OFA_PREDICTOR_LAYERS,
    MAGIC = 8,
    DIGITS = HASH_TEXT - 1,
    HEADER = MAGIC + 2 * DIGITS,
    LIST_BYTES = 4 * (1 + OFA_PREDICTOR_RESOLUTIONS_MAX),
    VALUES_MAX = OFA_PREDICTOR_INPUTS_MAX * H + 2 * H * H + H + 3 * H + 1,
    FILE_MAX = HEADER + LIST_BYTES + 4 * VALUES_MAX
};
static const char magic[MAGIC] = "\x89"
                                 "ESPOF2\n";
/* Without a list of resolutions. */
static const char old_magic[MAGIC] = "\x89"
                                     "ESPOFA\n";

struct layout {
    int inputs[LAYERS], outputs[LAYERS];
};

static struct layout layout_of(const struct ofa_predictor_weights *weights) {
    return (struct layout){{ofa_predictor_inputs(weights), H, H, H}, {H, H, H, 1}};
}

static size_t count_values(const struct ofa_predictor_weights *weights) {
    struct layout layout = layout_of(weights);
    size_t n = 0;
    for (int l = 0; l < LAYERS; l++)
        n += ((size_t)layout.inputs[l] + 1) * (size_t)layout.outputs[l];
    return n;
}

static void pack_list(const struct ofa_predictor_weights *weights, char *at) {
    int32_t list[1 + OFA_PREDICTOR_RESOLUTIONS_MAX] = {weights->n_resolutions};
    for (int i = 0; i < weights->n_resolutions; i++)
        list[1 + i] = weights->resolutions[i];
    memcpy(at, list, LIST_BYTES);
}

static void pack(const struct ofa_predictor_weights *weights, char *at) {
    struct layout layout = layout_of(weights);
    for (int l = 0; l < LAYERS; l++) {
        size_t n = (size_t)layout.inputs[l] * (size_t)layout.outputs[l] * sizeof(float);
        memcpy(at, weights->weight[l], n);
        memcpy(at + n, weights->bias[l], (size_t)layout.outputs[l] * sizeof(float));
        at += n + (size_t)layout.outputs[l] * sizeof(float);
    }
}

int ofa_predictor_write(const char *path, const struct ofa_predictor_weights *weights,
                        const char *fingerprint, struct err *err, char ret_hash[HASH_TEXT]) {
    char hash[HASH_TEXT];
    size_t len = HEADER + LIST_BYTES + sizeof(float) * count_values(weights);
    char *bytes = mem_array(len, 1);
    if (!bytes)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an accuracy predictor");
    memcpy(bytes, magic, MAGIC);
    memcpy(bytes + MAGIC, fingerprint, DIGITS);
    pack_list(weights, bytes + HEADER);
    pack(weights, bytes + HEADER + LIST_BYTES);
    hash_text(bytes + HEADER, len - HEADER, hash);
    memcpy(bytes + MAGIC + DIGITS, hash, DIGITS);
    int code = file_write_atomic(path, bytes, len, err);
    free(bytes);
    if (code == 0)
        memcpy(ret_hash, hash, sizeof hash);
    return code;
}

/* False if it cannot be one. */
static bool take_list(const char *bytes, struct ofa_predictor_weights *weights) {
    int32_t list[1 + OFA_PREDICTOR_RESOLUTIONS_MAX];
    memcpy(list, bytes, LIST_BYTES);
    if (list[0] < 1 || list[0] > OFA_PREDICTOR_RESOLUTIONS_MAX)
        return false;
    weights->n_resolutions = list[0];
    for (int i = 0; i < list[0]; i++)
        weights->resolutions[i] = list[1 + i];
    return true;
}

/* *ret_values: where they begin. */
static int check_bytes(const char *path, const char *bytes, size_t len, struct err *err,
                       struct ofa_predictor_file *file, size_t *ret_values) {
    char hash[HASH_TEXT];
    bool known = len > HEADER + LIST_BYTES, old = known && memcmp(bytes, old_magic, MAGIC) == 0;
    *ret_values = HEADER + (old ? 0 : LIST_BYTES);
    if (old)
        ofa_predictor_tutorial_resolutions(&file->weights);
    else
        known =
            known && memcmp(bytes, magic, MAGIC) == 0 && take_list(bytes + HEADER, &file->weights);
    if (!known || len != *ret_values + sizeof(float) * count_values(&file->weights))
        return err_set(err, ESP_ECORRUPT, NULL, "%s is no accuracy predictor", path);
    memcpy(file->fingerprint, bytes + MAGIC, DIGITS);
    memcpy(file->hash, bytes + MAGIC + DIGITS, DIGITS);
    hash_text(bytes + HEADER, len - HEADER, hash);
    return memcmp(hash, file->hash, DIGITS) == 0
               ? 0
               : err_set(err, ESP_ECORRUPT, NULL, "%s is damaged: its checksum is another", path);
}

static void point_to_values(struct ofa_predictor_file *file) {
    struct layout layout = layout_of(&file->weights);
    const float *at = file->values;
    for (int l = 0; l < LAYERS; l++) {
        file->weights.weight[l] = at;
        at += (ptrdiff_t)layout.inputs[l] * layout.outputs[l];
        file->weights.bias[l] = at;
        at += layout.outputs[l];
    }
}

int ofa_predictor_file_read(const char *path, struct err *err, struct ofa_predictor_file *ret) {
    struct ofa_predictor_file file = {.values = NULL};
    char *bytes = NULL;
    size_t len = 0, values = 0;
    int code = file_read_regular(path, FILE_MAX + 1, err, &bytes, &len);
    if (code == 0)
        code = check_bytes(path, bytes, len, err, &file, &values);
    if (code == 0 && !(file.values = mem_array(len - values, 1)))
        code = err_set(err, ESP_ENOMEM, NULL, "no memory for an accuracy predictor");
    if (code == 0) {
        memcpy(file.values, bytes + values, len - values);
        point_to_values(&file);
        *ret = file;
    }
    free(bytes);
    return code;
}

void ofa_predictor_file_finish(struct ofa_predictor_file *file) {
    free(file->values);
    *file = (struct ofa_predictor_file){.values = NULL};
}
