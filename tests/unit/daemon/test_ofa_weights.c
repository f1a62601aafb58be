/* Accuracy predictors as once-for-all's library saves them, against what PyTorch predicts with them
 * (tests/golden/generate_ofa_predictor.py). */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "daemon/job/ofa_weights.h"

static const int trained[] = {160, 128, 224}; /* in the order of the file's inputs */

static void golden_path(const char *name, char path[4096]) {
    snprintf(path, 4096, "%s/%s", getenv("GOLDEN_DIR"), name);
}

static struct space *known_space(void) {
    static const int rising[] = {128, 160, 224};
    struct space *whole, *space;
    assert_int_equal(space_builtin("ofa_mbv3_w12", NULL, &whole), 0);
    assert_int_equal(space_narrow(whole, rising, 3, NULL, &space), 0);
    space_destroy(whole);
    return space;
}

/* Returns the number of archs. */
static int compare_all(const struct ofa_predictor *predictor, const struct space *space) {
    char path[4096], *text, *line, *rest;
    size_t len;
    int n = 0;
    golden_path("ofa_predictor.txt", path);
    assert_int_equal(file_read(path, 1 << 20, NULL, &text, &len), 0);
    text[len - 1] = '\0'; /* in place of the last line's end */
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), n++) {
        char *arch_text;
        double top1, expected = strtod(line, &arch_text);
        struct arch arch;
        const struct arch *archs[] = {&arch};
        assert_int_equal(arch_parse(space, arch_text, strlen(arch_text), NULL, &arch), 0);
        ofa_predictor_run(predictor, archs, 1, &top1);
        if (!(fabs(top1 - expected) < 1e-5))
            fail_msg("%s: %.9g in place of %.9g", arch_text, top1, expected);
    }
    free(text);
    return n;
}

static void predicts(const char *name) {
    char path[4096];
    struct err err = {0};
    struct ofa_weights weights = {.values = {NULL}};
    struct ofa_predictor *predictor;
    struct space *space = known_space();
    golden_path(name, path);
    if (ofa_weights_read(path, trained, 3, &err, &weights) != 0)
        fail_msg("%s", err.message);
    assert_false(weights.assumed);
    assert_int_equal(weights.weights.n_resolutions, 3);
    assert_int_equal(weights.weights.resolutions[0], 128);
    assert_int_equal(ofa_predictor_create(space, &weights.weights, &err, &predictor), 0);
    assert_int_equal(compare_all(predictor, space), 24);
    ofa_predictor_destroy(predictor);
    ofa_weights_finish(&weights);
    space_destroy(space);
}

static void legacy_form_predicts_as_pytorch(void **state) {
    predicts("ofa_predictor_legacy.pth");
}

static void zip_form_predicts_as_pytorch(void **state) {
    predicts("ofa_predictor_zip.pth");
}

static void refused(const int *resolutions, int n, const char *words) {
    char path[4096];
    struct err err = {0};
    struct ofa_weights weights = {.values = {NULL}};
    golden_path("ofa_predictor_zip.pth", path);
    assert_int_equal(ofa_weights_read(path, resolutions, n, &err, &weights), ESP_EINVAL);
    assert_string_equal(err.pointer, "/resolutions");
    if (!strstr(err.message, words))
        fail_msg("\"%s\" is not in \"%s\"", words, err.message);
    assert_null(weights.values[0]);
}

/* The file has inputs for three and says nothing of them; the library has no default for three. */
static void resolutions_must_be_named_rightly(void **state) {
    refused(NULL, 0, "knows 3 resolutions and does not say which");
    refused((const int[]){160, 128}, 2, "knows 3 resolutions, not 2");
    refused((const int[]){160, 128, 160}, 3, "160 is there twice");
}

static void a_space_of_other_resolutions_is_refused(void **state) {
    char path[4096];
    struct err err = {0};
    struct ofa_weights weights = {.values = {NULL}};
    struct ofa_predictor *predictor;
    struct space *space = known_space();
    golden_path("ofa_predictor_zip.pth", path);
    assert_int_equal(ofa_weights_read(path, (const int[]){128, 192, 224}, 3, &err, &weights), 0);
    assert_int_equal(ofa_predictor_create(space, &weights.weights, &err, &predictor),
                     ESP_EMISMATCH);
    ofa_weights_finish(&weights);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(legacy_form_predicts_as_pytorch),
                                       cmocka_unit_test(zip_form_predicts_as_pytorch),
                                       cmocka_unit_test(resolutions_must_be_named_rightly),
                                       cmocka_unit_test(a_space_of_other_resolutions_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
