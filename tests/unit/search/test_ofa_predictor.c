#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/file.h"
#include "base/hash.h"
#include "search/ofa_predictor_file.h"

enum { IN = OFA_PREDICTOR_CHOICES + 8, H = OFA_PREDICTOR_HIDDEN, ARCHS = 19 };

static const int inputs[OFA_PREDICTOR_LAYERS] = {IN, H, H, H},
                 outputs[OFA_PREDICTOR_LAYERS] = {H, H, H, 1};

static struct space *space_with_resolutions(const char *builtin, const int *resolutions, int n) {
    struct space *space;
    cJSON *doc = cJSON_Parse(space_builtin_text(builtin));
    cJSON_ReplaceItemInObject(doc, "resolutions", cJSON_CreateIntArray(resolutions, n));
    char *text = cJSON_PrintUnformatted(doc);
    assert_int_equal(space_parse(text, strlen(text), NULL, &space), 0);
    free(text);
    cJSON_Delete(doc);
    return space;
}

static void make_weights(float **ret_weight, float **ret_bias) {
    struct rng rng = rng_make(11, RNG_TEST, 0, 0);
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        size_t n = (size_t)inputs[l] * (size_t)outputs[l];
        ret_weight[l] = malloc(n * sizeof(float));
        ret_bias[l] = malloc((size_t)outputs[l] * sizeof(float));
        for (size_t i = 0; i < n; i++)
            ret_weight[l][i] = (float)(rng_normal(&rng) * sqrt(2.0 / inputs[l]));
        for (int i = 0; i < outputs[l]; i++)
            ret_bias[l][i] = (float)(0.1 * rng_normal(&rng));
    }
}

/* As once-for-all's tutorial writes the encoding (kernel sizes, expand ratios, resolution), in
 * doubles. */
static double expected(const struct space *space, const struct arch *arch, float **weight,
                       float **bias) {
    double x[H] = {0}, y[H];
    for (int s = 1; s < space->n_stages; s++) {
        const struct space_stage *stage = &space->stages[s];
        for (int d = 0; d < stage->depths.value[arch->depth[s]]; d++) {
            int block = stage->first_block + d, place = 4 * (s - 1) + d;
            int kernel = stage->kernel_sizes.value[arch->kernel[block]];
            double ratio = stage->expand_ratios[arch->expand[block]];
            x[3 * place + (kernel - 3) / 2] = 1;
            x[60 + 3 * place + (ratio == 6 ? 2 : (int)ratio - 3)] = 1;
        }
    }
    x[120 + (space->resolutions[arch->resolution] - 112) / 16] = 1;
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        for (int o = 0; o < outputs[l]; o++) {
            y[o] = bias[l][o];
            for (int i = 0; i < inputs[l]; i++)
                y[o] += (double)weight[l][o * inputs[l] + i] * x[i];
        }
        for (int o = 0; o < outputs[l]; o++)
            x[o] = l < OFA_PREDICTOR_LAYERS - 1 ? fmax(y[o], 0) : y[o];
    }
    return x[0];
}

static void equals_the_network_in_doubles(void **state) {
    float *weight[OFA_PREDICTOR_LAYERS], *bias[OFA_PREDICTOR_LAYERS];
    struct ofa_predictor_weights weights;
    ofa_predictor_tutorial_resolutions(&weights);
    struct ofa_predictor *predictor;
    struct arch archs[ARCHS];
    const struct arch *pointers[ARCHS];
    double top1[ARCHS];
    struct space *space =
        space_with_resolutions("ofa_mbv3_w12", (const int[]){160, 176, 192, 208, 224}, 5);
    make_weights(weight, bias);
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        weights.weight[l] = weight[l];
        weights.bias[l] = bias[l];
    }
    assert_int_equal(ofa_predictor_create(space, &weights, NULL, &predictor), 0);
    for (uint32_t i = 0; i < ARCHS; i++) {
        struct rng rng = rng_make(1, RNG_SAMPLE, 0, i);
        arch_random(space, &rng, &archs[i]);
        pointers[i] = &archs[i];
    }
    ofa_predictor_run(predictor, pointers, ARCHS, top1);
    for (int i = 0; i < ARCHS; i++)
        assert_true(fabs(top1[i] - expected(space, &archs[i], weight, bias)) < 1e-5);
    weight[2][7] = NAN;
    struct ofa_predictor *none;
    assert_int_equal(ofa_predictor_create(space, &weights, NULL, &none), ESP_EINVAL);
    ofa_predictor_destroy(predictor);
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        free(weight[l]);
        free(bias[l]);
    }
    space_destroy(space);
}

static void refused(struct space *space) {
    struct ofa_predictor_weights weights = {0};
    struct ofa_predictor *predictor;
    ofa_predictor_tutorial_resolutions(&weights);
    assert_int_equal(ofa_predictor_create(space, &weights, NULL, &predictor), ESP_EMISMATCH);
    space_destroy(space);
}

static void another_space_is_refused(void **state) {
    refused(space_with_resolutions("ofa_mbv3_w12", (const int[]){160, 164}, 2));
    refused(space_with_resolutions("ofa_mbv3_w12", (const int[]){96, 160}, 2));
    refused(space_with_resolutions("ofa_mbv3_w12", (const int[]){160, 240}, 2));
    refused(space_with_resolutions("fashion_small", (const int[]){28}, 1));
    refused(space_with_resolutions("resnet_50_elastic", (const int[]){160}, 1));
}

static const char fingerprint[] = "0123456789abcdef0123456789abcdef";

/* A file of weights that the caller frees; path is a pattern of mkstemp. */
static void write_file(char *path, float *weight[OFA_PREDICTOR_LAYERS],
                       float *bias[OFA_PREDICTOR_LAYERS], struct ofa_predictor_weights *ret_weights,
                       char ret_hash[HASH_TEXT]) {
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    make_weights(weight, bias);
    ofa_predictor_tutorial_resolutions(ret_weights);
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        ret_weights->weight[l] = weight[l];
        ret_weights->bias[l] = bias[l];
    }
    assert_int_equal(ofa_predictor_write(path, ret_weights, fingerprint, NULL, ret_hash), 0);
}

/* Without the list of resolutions, as files were before there was one. */
static void an_older_file_is_read(void **state) {
    enum { HEADER = 8 + 2 * (HASH_TEXT - 1), LIST = 4 * (1 + OFA_PREDICTOR_RESOLUTIONS_MAX) };
    char path[] = "/tmp/espalier-predictor-XXXXXX", hash[HASH_TEXT], *bytes;
    float *weight[OFA_PREDICTOR_LAYERS], *bias[OFA_PREDICTOR_LAYERS];
    struct ofa_predictor_weights weights;
    struct ofa_predictor_file file = {.values = NULL};
    size_t len;
    write_file(path, weight, bias, &weights, hash);
    assert_int_equal(file_read(path, 1 << 24, NULL, &bytes, &len), 0);
    memmove(bytes + HEADER, bytes + HEADER + LIST, len - HEADER - LIST);
    len -= LIST;
    memcpy(bytes,
           "\x89"
           "ESPOFA\n",
           8);
    hash_text(bytes + HEADER, len - HEADER, hash);
    memcpy(bytes + 8 + HASH_TEXT - 1, hash, HASH_TEXT - 1);
    assert_int_equal(file_write_atomic(path, bytes, len, NULL), 0);
    assert_int_equal(ofa_predictor_file_read(path, NULL, &file), 0);
    assert_int_equal(file.weights.n_resolutions, 8);
    assert_int_equal(file.weights.resolutions[7], 224);
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        size_t n = (size_t)outputs[l] * sizeof(float);
        assert_memory_equal(file.weights.weight[l], weight[l], n * (size_t)inputs[l]);
        free(weight[l]);
        free(bias[l]);
    }
    ofa_predictor_file_finish(&file);
    free(bytes);
    unlink(path);
}

static void what_is_kept_in_a_file_is_the_same(void **state) {
    char path[] = "/tmp/espalier-predictor-XXXXXX", hash[HASH_TEXT], *bytes;
    float *weight[OFA_PREDICTOR_LAYERS], *bias[OFA_PREDICTOR_LAYERS];
    struct ofa_predictor_weights weights;
    struct ofa_predictor_file file = {.values = NULL};
    struct err err = {0};
    size_t len;
    write_file(path, weight, bias, &weights, hash);
    assert_int_equal(ofa_predictor_file_read(path, &err, &file), 0);
    assert_string_equal(file.fingerprint, fingerprint);
    assert_string_equal(file.hash, hash);
    assert_int_equal(file.weights.n_resolutions, 8);
    assert_memory_equal(file.weights.resolutions, weights.resolutions, 8 * sizeof(int));
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        size_t n = (size_t)outputs[l] * sizeof(float);
        assert_memory_equal(file.weights.bias[l], bias[l], n);
        assert_memory_equal(file.weights.weight[l], weight[l], n * (size_t)inputs[l]);
        free(weight[l]);
        free(bias[l]);
    }
    ofa_predictor_file_finish(&file);
    assert_int_equal(file_read(path, 1 << 24, NULL, &bytes, &len), 0);
    bytes[len / 2] ^= 1;
    assert_int_equal(file_write_atomic(path, bytes, len, NULL), 0);
    assert_int_equal(ofa_predictor_file_read(path, &err, &file), ESP_ECORRUPT);
    assert_int_equal(file_write_atomic(path, bytes, len - 1, NULL), 0);
    assert_int_equal(ofa_predictor_file_read(path, &err, &file), ESP_ECORRUPT);
    free(bytes);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_the_network_in_doubles),
                                       cmocka_unit_test(what_is_kept_in_a_file_is_the_same),
                                       cmocka_unit_test(an_older_file_is_read),
                                       cmocka_unit_test(another_space_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
