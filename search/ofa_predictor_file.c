#include "search/ofa_predictor_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written as they lie");

enum {
    IN = OFA_PREDICTOR_INPUTS,
    H = OFA_PREDICTOR_HIDDEN,
    LAYERS = OFA_PREDICTOR_LAYERS,
    VALUES = IN * H + 2 * H * H + H + 3 * H + 1,
    MAGIC = 8,
    DIGITS = HASH_TEXT - 1,
    HEADER = MAGIC + 2 * DIGITS,
    FILE_BYTES = HEADER + 4 * VALUES
};
static const char magic[MAGIC] = "\x89"
                                 "ESPOFA\n";
static const int inputs[LAYERS] = {IN, H, H, H}, outputs[LAYERS] = {H, H, H, 1};

static void pack(const struct ofa_predictor_weights *weights, char *at) {
    for (int l = 0; l < LAYERS; l++) {
        size_t n = (size_t)inputs[l] * (size_t)outputs[l] * sizeof(float);
        memcpy(at, weights->weight[l], n);
        memcpy(at + n, weights->bias[l], (size_t)outputs[l] * sizeof(float));
        at += n + (size_t)outputs[l] * sizeof(float);
    }
}

int ofa_predictor_write(const char *path, const struct ofa_predictor_weights *weights,
                        const char *fingerprint, struct err *err, char ret_hash[HASH_TEXT]) {
    char hash[HASH_TEXT];
    char *bytes = mem_array(FILE_BYTES, 1);
    if (!bytes)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an accuracy predictor");
    memcpy(bytes, magic, MAGIC);
    memcpy(bytes + MAGIC, fingerprint, DIGITS);
    pack(weights, bytes + HEADER);
    hash_text(bytes + HEADER, FILE_BYTES - HEADER, hash);
    memcpy(bytes + MAGIC + DIGITS, hash, DIGITS);
    int code = file_write_atomic(path, bytes, FILE_BYTES, err);
    free(bytes);
    if (code == 0)
        memcpy(ret_hash, hash, sizeof hash);
    return code;
}

static int check_bytes(const char *path, const char *bytes, size_t len, struct err *err,
                       struct ofa_predictor_file *file) {
    char hash[HASH_TEXT];
    if (len != FILE_BYTES || memcmp(bytes, magic, MAGIC) != 0)
        return err_set(err, ESP_ECORRUPT, NULL, "%s is no accuracy predictor", path);
    memcpy(file->fingerprint, bytes + MAGIC, DIGITS);
    memcpy(file->hash, bytes + MAGIC + DIGITS, DIGITS);
    hash_text(bytes + HEADER, FILE_BYTES - HEADER, hash);
    return memcmp(hash, file->hash, DIGITS) == 0
               ? 0
               : err_set(err, ESP_ECORRUPT, NULL, "%s is damaged: its checksum is another", path);
}

static void point_to_values(struct ofa_predictor_file *file) {
    const float *at = file->values;
    for (int l = 0; l < LAYERS; l++) {
        file->weights.weight[l] = at;
        at += (ptrdiff_t)inputs[l] * outputs[l];
        file->weights.bias[l] = at;
        at += outputs[l];
    }
}

int ofa_predictor_file_read(const char *path, struct err *err, struct ofa_predictor_file *ret) {
    struct ofa_predictor_file file = {.values = NULL};
    char *bytes = NULL;
    size_t len = 0;
    int code = file_read_regular(path, FILE_BYTES + 1, err, &bytes, &len);
    if (code == 0)
        code = check_bytes(path, bytes, len, err, &file);
    if (code == 0 && !(file.values = mem_array(VALUES, sizeof(float))))
        code = err_set(err, ESP_ENOMEM, NULL, "no memory for an accuracy predictor");
    if (code == 0) {
        memcpy(file.values, bytes + HEADER, FILE_BYTES - HEADER);
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
