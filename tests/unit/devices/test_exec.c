/* The command of the back end exec: configuration, requests, answers, and its process, for which
 * /bin/sh stands in. Whole measurements: tests/integration/worker/backends.py. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "devices/exec.h"

static int read_config(const char *text, struct err *err, struct exec_config *config) {
    char path[] = "/tmp/espalier-exec-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int rc = exec_config_read(path, err, config);
    unlink(path);
    return rc;
}

static void configurations(void **state) {
    struct exec_config config;
    struct err err = {0};

    assert_int_equal(
        read_config("{\"command\": [\"run\", \"it\"], \"runtime\": \"tool-2.1\"}", &err, &config),
        0);
    assert_string_equal(config.command[1], "it");
    assert_null(config.command[2]);
    assert_null(config.version_command[0]);
    assert_false(config.once);
    assert_true(config.check_outputs);
    assert_false(config.chain);
    assert_true(config.tolerance == 1e-3 && config.timeout_s == 30);
    assert_string_equal(config.precision, "fp32");
    exec_config_finish(&config);
    assert_int_equal(read_config("{\"command\": [\"run\", \"--net={model}\"], \"runtime\": \"x\", "
                                 "\"precision\": \"int8\", \"chain\": true}",
                                 &err, &config),
                     0);
    assert_true(config.once);
    assert_true(config.chain);
    assert_true(config.tolerance == 1e-2);
    exec_config_finish(&config);
}

static void wrong_configurations(void **state) {
    static const struct {
        const char *text, *pointer;
    } rows[] = {
        {"", ""},
        {"[]", ""},
        {"{\"runtime\": \"x\"}", "/command"},
        {"{\"command\": [], \"runtime\": \"x\"}", "/command"},
        {"{\"command\": [\"\"], \"runtime\": \"x\"}", "/command/0"},
        {"{\"command\": [\"a\", 1], \"runtime\": \"x\"}", "/command/1"},
        {"{\"command\": \"a\", \"runtime\": \"x\"}", "/command"},
        {"{\"command\": [\"a\"]}", "/runtime"},
        {"{\"command\": [\"a\"], \"runtime\": \"native\"}", "/runtime"},
        {"{\"command\": [\"a\"], \"runtime\": \"simulated\"}", "/runtime"},
        {"{\"command\": [\"a\"], \"runtime\": \"x/y\"}", "/runtime"},
        {"{\"command\": [\"a\"], \"runtime\": \"x\", \"timeout_s\": 61}", "/timeout_s"},
        {"{\"command\": [\"a\"], \"runtime\": \"x\", \"tolerance\": 0}", "/tolerance"},
        {"{\"command\": [\"a\"], \"runtime\": \"x\", \"shell\": true}", "/shell"},
        {"{\"command\": [\"a\"], \"runtime\": \"x\", \"chain\": 8}", "/chain"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct exec_config config = {.timeout_s = 42};
        struct err err = {0};
        if (!read_config(rows[i].text, &err, &config) || !err.message[0] ||
            strcmp(err.pointer, rows[i].pointer) != 0 || config.timeout_s != 42)
            fail_msg("%s: %s at %s", rows[i].text, err.message, err.pointer);
    }
}

static const struct exec_request request = {.model = "/m.onnx",
                                            .model_id = "abc",
                                            .input = "/in",
                                            .channels = 3,
                                            .height = 4,
                                            .width = 5,
                                            .threads = 2,
                                            .runs = 7,
                                            .samples = 10};

static void requests(void **state) {
    char *text = exec_request_print(&request);
    assert_string_equal(text,
                        "{\"protocol\":1,\"model\":\"/m.onnx\",\"model_id\":\"abc\",\"input\":"
                        "\"/in\",\"shape\":[1,3,4,5],\"threads\":2,\"runs\":7,\"samples\":"
                        "10}");
    free(text);

    const char *const command[] = {
        "tool", "--net={model}", "{runs}x{samples}", "{", "{other}", "{output}", NULL};
    char *argv[EXEC_ARGS_MAX + 1];
    struct err err = {0};
    struct buf arena;
    buf_init(&arena, 4096);
    assert_int_equal(exec_request_arguments(&request, command, &arena, &err, argv), 0);
    assert_string_equal(argv[1], "--net=/m.onnx");
    assert_string_equal(argv[2], "7x10");
    assert_string_equal(argv[3], "{");
    assert_string_equal(argv[4], "{other}");
    assert_string_equal(argv[5], "");
    assert_null(argv[6]);
    buf_finish(&arena);
    buf_init(&arena, 8);
    assert_int_equal(exec_request_arguments(&request, command, &arena, &err, argv), ESP_ELIMIT);
    buf_finish(&arena);
}

static void answers(void **state) {
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {"{\"samples_us\": [1.5, 2]}", 0},
        {"{\"samples_us\": [1.5, 2], \"more\": {\"a\": 1}}", 0},
        {"{\"samples_us\": [1.5]}", ESP_EPARSE},
        {"{\"samples_us\": [1.5, 2, 3]}", ESP_EPARSE},
        {"{\"samples_us\": [1.5, -2]}", ESP_EPARSE},
        {"{\"samples_us\": [1.5, 0]}", ESP_EPARSE},
        {"{\"samples_us\": [1.5, 1e12]}", ESP_EPARSE},
        {"{\"samples_us\": [1.5, null]}", ESP_EPARSE},
        {"{\"samples_us\": [1.5, \"2\"]}", ESP_EPARSE},
        {"{\"samples_us\": 2}", ESP_EPARSE},
        {"{}", ESP_EPARSE},
        {"{", ESP_EPARSE},
        {"{\"a\":[[[[[1]]]]]}", ESP_EPARSE},
        {"{\"error\": \"oom\"}", ESP_ENOMEM},
        {"{\"error\": \"unsupported\", \"message\": \"no such op\"}", ESP_EUNSUPPORTED},
        {"{\"error\": \"invalid\"}", ESP_EINVAL},
        {"{\"error\": \"crashed\"}", ESP_EIO},
        {"{\"error\": \"fine\"}", ESP_EPARSE},
        {"{\"error\": 3}", ESP_EPARSE},
        {"{\"error\": \"oom\", \"message\": 3}", ESP_EPARSE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        double us[2] = {-1, -1}, energy = -1;
        struct err err = {0};
        int rc = exec_answer_read(rows[i].text, strlen(rows[i].text), 2, &err, us, &energy);
        if (rc != rows[i].code || (rc && (err.code != rc || us[0] != -1)) ||
            (!rc && (us[0] != 1.5 || us[1] != 2)))
            fail_msg("%s gives %d: %s", rows[i].text, rc, err.message);
    }
}

static void answers_may_tell_energy(void **state) {
    static const struct {
        const char *text;
        int code;
        double energy;
    } rows[] = {{"{\"samples_us\": [1.5], \"energy_uj\": 820.5}", 0, 820.5},
                {"{\"samples_us\": [1.5]}", 0, NAN},
                {"{\"samples_us\": [1.5], \"energy_uj\": -1}", ESP_EPARSE, -7},
                {"{\"samples_us\": [1.5], \"energy_uj\": 1e13}", ESP_EPARSE, -7},
                {"{\"samples_us\": [1.5], \"energy_uj\": \"much\"}", ESP_EPARSE, -7},
                {"{\"samples_us\": [1.5, 2], \"energy_uj\": 5}", ESP_EPARSE, -7}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        double us[1], energy = -7;
        struct err err = {0};
        assert_int_equal(exec_answer_read(rows[i].text, strlen(rows[i].text), 1, &err, us, &energy),
                         rows[i].code);
        assert_true(isnan(rows[i].energy) ? isnan(energy) : energy == rows[i].energy);
    }
}

static int64_t in_s(double seconds) {
    return clock_mono_ns() + (int64_t)(seconds * 1e9);
}

static int ask_shell(const char *script, const char *line, double seconds, struct err *err,
                     struct buf *said) {
    char *argv[] = {"/bin/sh", "-c", (char *)(uintptr_t)script, NULL};
    struct exec_process process;

    exec_init(&process, "/", true);
    assert_int_equal(exec_start(&process, argv, err), 0);
    int rc = exec_ask(&process, line, in_s(seconds), err, said);
    exec_stop(&process);
    return rc;
}

static void a_process_answers_again_and_again(void **state) {
    char *argv[] = {"/bin/sh", "-c", "while read -r x; do echo chatter; echo \"{$x}\"; done", NULL};
    struct exec_process process;
    struct err err = {0};
    struct buf said;
    bool ended = true;

    buf_init(&said, EXEC_ANSWER_MAX);
    exec_init(&process, "/", true);
    assert_int_equal(exec_start(&process, argv, &err), 0);
    for (int i = 0; i < 3; i++) {
        char line[16], want[16];
        snprintf(line, sizeof(line), "%d", i);
        snprintf(want, sizeof(want), "{%d}", i);
        assert_int_equal(exec_ask(&process, line, in_s(60), &err, &said), 0);
        assert_int_equal(said.len, strlen(want));
        assert_memory_equal(said.data, want, said.len);
    }
    assert_int_equal(exec_ended(&process, &err, &ended), 0);
    assert_false(ended);
    assert_int_equal(exec_wait(&process, in_s(60), &err), 0); /* at the end of its stdin */
    assert_int_equal(exec_ended(&process, &err, &ended), 0);
    assert_true(ended);
    exec_stop(&process);
    buf_finish(&said);
}

static void processes_that_fail(void **state) {
    static const struct {
        const char *script, *text;
        int code;
        double seconds;
    } rows[] = {
        {"echo no such device >&2; exit 3", "status 3: no such device", ESP_EIO, 60},
        {"kill -SEGV $$", "signal 11", ESP_EIO, 60},
        {"exit 0", "without an answer", ESP_EPARSE, 60},
        {"sleep 60", "in time", ESP_ETIMEOUT, 0.2},
        {"sleep 60 <&- >&-", "in time", ESP_ETIMEOUT, 0.2},
        {"yes", "more than", ESP_EPARSE, 60},
        {"printf '{'; tr '\\0' x < /dev/zero", "more than", ESP_EPARSE, 60},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct err err = {0};
        struct buf said;
        buf_init(&said, EXEC_ANSWER_MAX);
        int rc = ask_shell(rows[i].script, "{}", rows[i].seconds, &err, &said);
        if (rc != rows[i].code || !strstr(err.message, rows[i].text))
            fail_msg("%s gives %d: %s", rows[i].script, rc, err.message);
        buf_finish(&said);
    }
}

static void a_process_that_reads_nothing_holds_nobody_up(void **state) {
    size_t len = 1 << 20; /* more than a pipe takes */
    char *line = malloc(len + 1);
    struct err err = {0};
    struct buf said;

    memset(line, ' ', len);
    line[len] = 0;
    buf_init(&said, EXEC_ANSWER_MAX);
    assert_int_equal(ask_shell("sleep 60", line, 0.2, &err, &said), ESP_ETIMEOUT);
    assert_int_equal(ask_shell("read -r x; echo \"{}\"", line, 60, &err, &said), 0);
    buf_finish(&said);
    free(line);
}

static void a_program_that_is_not_there(void **state) {
    char *argv[] = {"/no/such/program", NULL};
    struct exec_process process;
    struct err err = {0};

    exec_init(&process, "/", true);
    assert_int_equal(exec_start(&process, argv, &err), 0);
    assert_int_equal(exec_wait(&process, in_s(60), &err), ESP_EIO);
    assert_non_null(strstr(err.message, "/no/such/program cannot be run"));
    exec_stop(&process);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN); /* as in the worker */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations),
        cmocka_unit_test(wrong_configurations),
        cmocka_unit_test(requests),
        cmocka_unit_test(answers),
        cmocka_unit_test(answers_may_tell_energy),
        cmocka_unit_test(a_process_answers_again_and_again),
        cmocka_unit_test(processes_that_fail),
        cmocka_unit_test(a_process_that_reads_nothing_holds_nobody_up),
        cmocka_unit_test(a_program_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
