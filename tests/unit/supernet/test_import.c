/* Foreign files of tensors: every form, names, shapes, what is refused.
 * tests/golden/generate_pth.py explains the files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "golden.h"
#include "supernet/import.h"
#include "supernet/pickle.h"
#include "supernet/safetensors.h"

static struct space *open_space(void) {
    struct err err = {0};
    struct space *space = NULL;
    size_t len = 0;
    char *text = golden_read("import.json", &len);
    assert_int_equal(space_parse(text, len, &err, &space), 0);
    free(text);
    return space;
}

static int parse(const char *name, struct err *err, struct tensor_file **ret_file) {
    size_t len = 0;
    char *bytes = golden_read(name, &len);
    return tensor_file_parse(bytes, len, err, ret_file);
}

static struct supernet *import(const char *name, struct import_report *report) {
    struct err err = {0};
    struct tensor_file *file = NULL;
    struct supernet *net = NULL;
    struct space *space = open_space();
    if (parse(name, &err, &file) != 0 || supernet_import(file, space, &err, report, &net) != 0)
        fail_msg("%s: %s", name, err.message);
    tensor_file_close(file);
    space_destroy(space);
    return net;
}

/* 1 + floor(32 noise) / 64: exact in every kind of number. */
static float value_of(uint32_t hash, size_t i) {
    return (float)(1 + floor(32 * (golden_word(hash, i) / 2147483648.0 - 1)) / 64);
}

/* named: how the file calls a tensor */
static void check_values(const struct supernet *net, void (*named)(const char *, char[256])) {
    for (int t = 0; t < net->n_tensors; t++) {
        char name[256];
        named(net->tensors[t].name, name);
        uint32_t hash = golden_hash(name);
        for (size_t i = 0; i < net->tensors[t].count; i++)
            if (net->tensors[t].data[i] != value_of(hash, i))
                fail_msg("%s[%zu] is %g", name, i, (double)net->tensors[t].data[i]);
    }
}

static void same_name(const char *name, char ret_name[256]) {
    snprintf(ret_name, 256, "%s", name);
}

static void check_form(const char *name, int renamed, int counters) {
    struct import_report report = {0};
    struct supernet *net = import(name, &report);
    check_values(net, same_name);
    assert_int_equal(report.tensors, net->n_tensors);
    assert_int_equal(report.renamed, renamed);
    assert_int_equal(report.counters, counters);
    assert_int_equal(report.transforms, 0);
    supernet_destroy(net);
}

/* 42 tensors, 30 of them in blocks. */
static void test_legacy_with_old_names(void **state) {
    check_form("import_legacy.pth", 30, 7);
}

static void test_zip(void **state) {
    check_form("import_zip.pth", 42, 7);
    check_form("import_deflate.pth", 42, 7);
}

static void test_safetensors_of_others(void **state) {
    check_form("import.safetensors", 15, 0);
}

/* ---- Where the state_dict stands, and kinds of numbers ---- */

/* Of each file one tensor is a weight: "w", [0.5, -2], among others in integers.pth alone. */
static void check_layout(const char *name) {
    struct err err = {0};
    struct tensor_file *file = NULL;
    float values[2] = {0};
    if (parse(name, &err, &file) != 0)
        fail_msg("%s: %s", name, err.message);
    assert_int_equal(file->n, 1);
    assert_string_equal(file->tensors[0].name, "w");
    assert_int_equal(file->tensors[0].count, 2);
    foreign_tensor_read(&file->tensors[0], values);
    assert_true(values[0] == 0.5F && values[1] == -2.0F);
    tensor_file_close(file);
}

static void test_layouts_of_checkpoints(void **state) {
    check_layout("layout_state_dict.pth");
    check_layout("layout_net.pth");
    check_layout("layout_ema.pth");
    check_layout("layout_model.pth");
    check_layout("layout_unnamed.pth");
    check_layout("layout_bare.pth");
}

static void test_integers_of_every_kind(void **state) {
    static const char *const names[] = {"int32", "int16", "int8", "uint8", "bool"};
    static const float values[] = {-70000, -300, -3, 200, 1};
    struct err err = {0};
    struct tensor_file *file = NULL;
    if (parse("layout_integers.pth", &err, &file) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(file->n, 5);
    for (int i = 0; i < 5; i++) {
        float value = 0;
        assert_string_equal(file->tensors[i].name, names[i]);
        assert_string_equal(tensor_dtype_names[file->tensors[i].dtype], names[i]);
        foreign_tensor_read(&file->tensors[i], &value);
        assert_true(value == values[i]);
    }
    tensor_file_close(file);
}

/* ---- What is refused ---- */

static void expect_refusal(void *bytes, size_t len, int code, const char *words) {
    struct err err = {0};
    struct tensor_file *file = NULL;
    int rc = tensor_file_parse(bytes, len, &err, &file);
    if (rc != code || !strstr(err.message, words))
        fail_msg("%d %s, not %d with '%s'", rc, err.message, code, words);
}

static void test_objects_are_refused_by_name(void **state) {
    size_t len = 0;
    char *bytes = golden_read("import_evil.pth", &len);
    expect_refusal(bytes, len, ESP_EPARSE, "posix.system");
}

static void test_several_state_dicts_are_named(void **state) {
    size_t len = 0;
    char *bytes = golden_read("layout_several.pth", &len);
    expect_refusal(bytes, len, ESP_EPARSE, "2 dictionaries of tensors (teacher, student)");
}

/* A list of so many ones. */
static int read_ones(size_t ones, struct err *err) {
    static const char head[] = {'\x80', 2, ']', '('}, tail[] = {'e', '.'};
    struct pickle pickle;
    struct pickle_value *value = NULL;
    size_t len = sizeof head + 2 * ones + sizeof tail, used = 0;
    char *bytes = malloc(len);
    assert_non_null(bytes);
    memcpy(bytes, head, sizeof head);
    for (size_t i = 0; i < ones; i++)
        memcpy(bytes + sizeof head + 2 * i, "K\x01", 2);
    memcpy(bytes + len - sizeof tail, tail, sizeof tail);
    pickle_init(&pickle);
    int rc = pickle_read(&pickle, bytes, len, err, &value, &used);
    pickle_finish(&pickle);
    free(bytes);
    return rc;
}

static void test_a_pickle_of_too_many_values_is_refused(void **state) {
    struct err err = {0};
    assert_int_equal(read_ones(400000, &err), 0);
    assert_int_equal(read_ones(PICKLE_VALUES_MAX + 1, &err), ESP_ELIMIT);
    assert_non_null(strstr(err.message, "more than 500000 values"));
}

/* Which is no limit of the pickle's, and is not called one. */
static void test_too_little_memory_is_told_as_such(void **state) {
    struct err err = {0};
    struct rlimit old, none;
    if (MEM_REDZONE > 0) /* the sanitizer's own allocations would fail first */
        return;
    assert_int_equal(getrlimit(RLIMIT_DATA, &old), 0);
    none = (struct rlimit){.rlim_cur = 4 << 20, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_DATA, &none), 0);
    int rc = read_ones(400000, &err);
    assert_int_equal(setrlimit(RLIMIT_DATA, &old), 0);
    assert_int_equal(rc, ESP_ENOMEM);
    assert_non_null(strstr(err.message, "no memory for a pickle's values beyond"));
    assert_non_null(strstr(err.message, "MiB"));
}

static void test_a_pipe_is_refused_at_once(void **state) {
    char dir[] = "/tmp/espalier-import-XXXXXX", path[64];
    struct err err = {0};
    struct tensor_file *file = NULL;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/weights.pth", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20); /* ends the test by a signal where it would hang */
    assert_int_equal(tensor_file_open(path, &err, &file), ESP_EINVAL);
    alarm(0);
    assert_non_null(strstr(err.message, "weights.pth is no regular file"));
    unlink(path);
    rmdir(dir);
}

/* At every length: an error, never a crash; the whole file alone is read. */
static void check_truncated(const char *name) {
    size_t len = 0;
    char *whole = golden_read(name, &len);
    for (size_t cut = 0; cut < len; cut += cut < 400 || cut + 400 > len ? 1 : 37) {
        struct err err = {0};
        struct tensor_file *file = NULL;
        char *part = malloc(cut + 1);
        assert_non_null(part);
        memcpy(part, whole, cut);
        assert_true(tensor_file_parse(part, cut, &err, &file) < 0);
        assert_true(err.message[0] != '\0');
    }
    free(whole);
}

static void test_truncated_files(void **state) {
    check_truncated("import_legacy.pth");
    check_truncated("import_zip.pth");
    check_truncated("import_deflate.pth");
    check_truncated("import.safetensors");
}

static void test_damage_in_an_archive_is_seen(void **state) {
    size_t len = 0;
    char *bytes = golden_read("import_deflate.pth", &len);
    bytes[len / 3] ^= 1; /* inside a storage */
    struct err err = {0};
    struct tensor_file *file = NULL;
    assert_int_equal(tensor_file_parse(bytes, len, &err, &file), ESP_EPARSE);
    assert_non_null(strstr(err.message, "of the archive is damaged"));
}

static void expect_header(const char *header, size_t data, int code, const char *words) {
    size_t text = strlen(header), len = 8 + text + data;
    char *bytes = calloc(1, len);
    assert_non_null(bytes);
    bytes[0] = (char)(text & 255);
    bytes[1] = (char)(text >> 8);
    memcpy(bytes + 8, header, text);
    expect_refusal(bytes, len, code, words);
}

static void test_bad_safetensors(void **state) {
    expect_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, ESP_EPARSE,
                  "the file is truncated: a ends at byte 8 of the values, of which there are 4");
    expect_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8.5]}}", 8,
                  ESP_EPARSE, "the end of a is no integer");
    expect_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, ESP_EPARSE,
                  "reaches beyond");
    expect_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, ESP_EPARSE,
                  "does not begin");
    expect_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, ESP_EPARSE,
                  "belong to no tensor");
    expect_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                  "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                  4, ESP_EPARSE, "does not begin");
    expect_header("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
                  ESP_EUNSUPPORTED, "F8_E4M3");
    expect_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
                  ESP_EPARSE, "a size");
    expect_header(
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[268435456,268435456],\"data_offsets\":[0,4]}}", 4,
        ESP_ELIMIT, "more than");
    expect_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, ESP_EPARSE, "data_offsets");
    expect_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                  "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}",
                  4, ESP_EPARSE, "");
    expect_header("{\"__metadata__\":{\"x\":1}}", 0, ESP_EPARSE, "no text");
    expect_header("{", 0, ESP_EPARSE, "");
}

static void expect_no_import(const char *name, const struct space *space, int code,
                             const char *words) {
    struct err err = {0};
    struct import_report report;
    struct tensor_file *file = NULL;
    struct supernet *net = NULL;
    assert_int_equal(parse(name, &err, &file), 0);
    int rc = supernet_import(file, space, &err, &report, &net);
    if (rc != code || !strstr(err.message, words))
        fail_msg("%d %s, not %d with '%s'", rc, err.message, code, words);
    tensor_file_close(file);
}

static void test_a_file_of_another_space_is_refused(void **state) {
    struct err err = {0};
    struct space *space = NULL;
    size_t len = 0;
    char *text = golden_read("import.json", &len);
    assert_int_equal(space_builtin("ofa_mbv3", &err, &space), 0);
    expect_no_import("import_zip.pth", space, ESP_EMISMATCH,
                     "for which the space ofa_mbv3 has no place");
    space_destroy(space);
    memcpy(strstr(text, "\"expand_channels\": 16"), "\"expand_channels\": 24", 21);
    assert_int_equal(space_parse(text, len, &err, &space), 0);
    expect_no_import("import_zip.pth", space, ESP_EMISMATCH,
                     "module.final_expand_layer.conv.weight is [16, 8, 1, 1] in the file, and "
                     "final_expand_layer.conv.weight ([24, 8, 1, 1])");
    space_destroy(space);
    expect_no_import("import_zip.pth", NULL, ESP_EINVAL, "name one");
    free(text);
}

/* ---- safetensors of our own ---- */

static char *write_net(const struct supernet *net, size_t *ret_len) {
    char path[] = "/tmp/espalier-test-XXXXXX", *bytes = NULL;
    struct err err = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    if (safetensors_write(path, net, "0123", &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(file_read(path, 1 << 26, &err, &bytes, ret_len), 0);
    unlink(path);
    return bytes;
}

static void check_round_trip(const char *space_name, int classes) {
    struct err err = {0};
    struct space *builtin = NULL, *space = NULL;
    struct supernet *net = NULL, *again = NULL;
    struct tensor_file *file = NULL;
    struct import_report report;
    size_t len = 0;
    assert_int_equal(space_builtin(space_name, &err, &builtin), 0);
    assert_int_equal(space_adapt(builtin, classes, builtin->input_channels, &err, &space), 0);
    assert_int_equal(supernet_create(space, 3, &err, &net), 0);
    golden_fill(net);
    char *bytes = write_net(net, &len);
    assert_int_equal(tensor_file_parse(bytes, len, &err, &file), 0);
    if (supernet_import(file, NULL, &err, &report, &again) != 0)
        fail_msg("%s", err.message);
    assert_string_equal(again->space->fingerprint, space->fingerprint);
    assert_int_equal(report.renamed, 0);
    for (int i = 0; i < net->n_tensors; i++)
        assert_memory_equal(net->tensors[i].data, again->tensors[i].data,
                            net->tensors[i].count * sizeof(float));
    supernet_destroy(again);
    /* by name the built-in space does as well: the number of classes is the file's */
    assert_int_equal(supernet_import(file, builtin, &err, &report, &again), 0);
    assert_int_equal(again->space->n_classes, classes);
    supernet_destroy(again);
    tensor_file_close(file);
    supernet_destroy(net);
    space_destroy(space);
    space_destroy(builtin);
}

static void test_round_trip_gives_the_same_bits(void **state) {
    check_round_trip("fashion_small", 10);
    check_round_trip("ofa_mbv3", 7);
}

/* Once-for-all's ProxylessNASNets says feature_mix_layer.{conv,bn}. */
static void test_names_of_proxyless(void **state) {
    struct err err = {0};
    struct space *space = NULL;
    struct supernet *net = NULL, *again = NULL;
    struct tensor_file *file = NULL;
    struct import_report report;
    size_t len = 0;
    assert_int_equal(space_builtin("ofa_proxyless", &err, &space), 0);
    assert_int_equal(supernet_create(space, 3, &err, &net), 0);
    golden_fill(net);
    char *bytes = write_net(net, &len);
    assert_int_equal(tensor_file_parse(bytes, len, &err, &file), 0);
    for (int i = 0; i < file->n; i++) {
        char *name = file->tensors[i].name, rest[TENSOR_FILE_NAME_MAX];
        if (sscanf(name, "final_expand_layer.%255s", rest) == 1)
            snprintf(name, TENSOR_FILE_NAME_MAX, "feature_mix_layer.%.200s", rest);
    }
    if (supernet_import(file, space, &err, &report, &again) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(report.renamed, 5);
    for (int i = 0; i < net->n_tensors; i++)
        assert_memory_equal(net->tensors[i].data, again->tensors[i].data,
                            net->tensors[i].count * sizeof(float));
    supernet_destroy(again);
    tensor_file_close(file);
    supernet_destroy(net);
    space_destroy(space);
}

static void test_a_carried_space_is_kept(void **state) {
    struct err err = {0};
    struct space *space = open_space(), *other = NULL;
    struct supernet *net = NULL;
    struct tensor_file *file = NULL;
    struct import_report report;
    size_t len = 0;
    assert_int_equal(supernet_create(space, 3, &err, &net), 0);
    char *bytes = write_net(net, &len);
    assert_int_equal(tensor_file_parse(bytes, len, &err, &file), 0);
    supernet_destroy(net);
    net = NULL;
    /* the same tensors, another set of resolutions: another space */
    char *text = space_print(space), *at = strstr(text, "[8]");
    assert_non_null(at);
    while (at && strncmp(at - 14, "\"resolutions\":", 14) != 0)
        at = strstr(at + 1, "[8]");
    assert_non_null(at);
    at[1] = '9';
    assert_int_equal(space_parse(text, strlen(text), &err, &other), 0);
    free(text);
    assert_int_equal(supernet_import(file, other, &err, &report, &net), ESP_EMISMATCH);
    assert_non_null(strstr(err.message, "fingerprint"));
    tensor_file_close(file);
    space_destroy(other);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_with_old_names),
        cmocka_unit_test(test_zip),
        cmocka_unit_test(test_safetensors_of_others),
        cmocka_unit_test(test_layouts_of_checkpoints),
        cmocka_unit_test(test_integers_of_every_kind),
        cmocka_unit_test(test_objects_are_refused_by_name),
        cmocka_unit_test(test_several_state_dicts_are_named),
        cmocka_unit_test(test_a_pickle_of_too_many_values_is_refused),
        cmocka_unit_test(test_too_little_memory_is_told_as_such),
        cmocka_unit_test(test_a_pipe_is_refused_at_once),
        cmocka_unit_test(test_truncated_files),
        cmocka_unit_test(test_damage_in_an_archive_is_seen),
        cmocka_unit_test(test_bad_safetensors),
        cmocka_unit_test(test_a_file_of_another_space_is_refused),
        cmocka_unit_test(test_round_trip_gives_the_same_bits),
        cmocka_unit_test(test_names_of_proxyless),
        cmocka_unit_test(test_a_carried_space_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
