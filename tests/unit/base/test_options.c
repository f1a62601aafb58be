#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/nearest.h"
#include "base/options.h"

static struct {
    bool verbose;
    int64_t port, bytes, wait_us;
    double rate;
    const char *name;
    struct option_list tags;
} got;

static const struct option_row rows[] = {
    {"verbose", 'v', OPTION_FLAG, "false", 0, 0, "", "say more", &got.verbose},
    {"listen-port", 'p', OPTION_INT, "8080", 1, 65535, "", "port to listen on", &got.port},
    {"memory", 'm', OPTION_SIZE, "1M", 1024, 1e12, "bytes", "how much to use", &got.bytes},
    {"wait", 'w', OPTION_DURATION, "30s", 0, 3600e6, "", "how long to wait", &got.wait_us},
    {"rate", 0, OPTION_REAL, "0.5", 0, 1, "", "learning rate", &got.rate},
    {"name", 'n', OPTION_TEXT, NULL, 0, 0, "", "its name", &got.name},
    {"tag", 't', OPTION_LIST, NULL, 0, 8, "", "a word about it; again: one more", &got.tags},
    {0},
};

static char *argv_now[16];
static int argc_now, rest;
static struct err err;

/* Words are separated by blanks. */
static int parse(const char *line, bool stop_at_word) {
    static char copy[512];
    snprintf(copy, sizeof(copy), "program %s", line);
    argc_now = 0;
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv_now[argc_now++] = word;
    argv_now[argc_now] = NULL;
    memset(&got, 0, sizeof(got));
    memset(&err, 0, sizeof(err));
    rest = -1;
    return options_parse(rows, argc_now, argv_now, stop_at_word, &err, &rest);
}

static void defaults_come_from_the_table(void **state) {
    assert_int_equal(parse("", false), 0);
    assert_int_equal(got.port, 8080);
    assert_int_equal(got.bytes, 1 << 20);
    assert_int_equal(got.wait_us, 30000000);
    assert_true(got.rate == 0.5 && !got.verbose);
    assert_null(got.name);
    assert_int_equal(rest, 1);
}

static void both_forms_are_read(void **state) {
    assert_int_equal(parse("--listen-port=81 --wait 5m -v --name x --rate=0.25 -m 2GiB", false), 0);
    assert_int_equal(got.port, 81);
    assert_int_equal(got.wait_us, 300000000);
    assert_true(got.verbose && got.rate == 0.25);
    assert_string_equal(got.name, "x");
    assert_true(got.bytes == 2ll << 30);
    assert_int_equal(rest, argc_now);
    assert_int_equal(parse("-vp82 -n--odd --no-verbose", false), 0);
    assert_int_equal(got.port, 82);
    assert_string_equal(got.name, "--odd");
    assert_false(got.verbose);
}

static void words_are_left_in_their_order(void **state) {
    assert_int_equal(parse("one -p 81 - two --name three -v four", false), 0);
    assert_int_equal(argc_now - rest, 4);
    assert_string_equal(argv_now[rest], "one");
    assert_string_equal(argv_now[rest + 1], "-");
    assert_string_equal(argv_now[rest + 2], "two");
    assert_string_equal(argv_now[rest + 3], "four");
    assert_int_equal(got.port, 81);
    assert_string_equal(got.name, "three");
    assert_int_equal(parse("one -v -- -p two", false), 0);
    assert_int_equal(argc_now - rest, 3);
    assert_string_equal(argv_now[rest], "one");
    assert_string_equal(argv_now[rest + 1], "-p");
    assert_true(got.verbose);
}

static void a_word_may_end_the_options(void **state) {
    assert_int_equal(parse("-v search -p 81", true), 0);
    assert_int_equal(rest, 2);
    assert_string_equal(argv_now[rest], "search");
    assert_int_equal(got.port, 8080);
    assert_int_equal(parse("-- -p 81", true), 0);
    assert_string_equal(argv_now[rest], "-p");
}

static void environment_stands_between(void **state) {
    setenv("ESPALIER_LISTEN_PORT", "90", 1);
    setenv("ESPALIER_VERBOSE", "yes", 1);
    setenv("ESPALIER_NAME", "", 1);
    assert_int_equal(parse("", false), 0);
    assert_int_equal(got.port, 90);
    assert_true(got.verbose);
    assert_null(got.name);
    assert_int_equal(parse("-p 91", false), 0);
    assert_int_equal(got.port, 91);
    setenv("ESPALIER_LISTEN_PORT", "x", 1);
    assert_int_equal(parse("", false), ESP_EINVAL);
    assert_string_equal(err.message, "ESPALIER_LISTEN_PORT: \"x\" is not a whole number");
    unsetenv("ESPALIER_LISTEN_PORT");
    unsetenv("ESPALIER_VERBOSE");
    unsetenv("ESPALIER_NAME");
}

static void origins_are_told(void **state) {
    enum option_origin origins[8] = {OPTION_DEFAULT};
    struct option_row asked[8];
    char *words[] = {"program", "--wait", "30s", "--no-verbose", "x", NULL};
    char name[32];

    memcpy(asked, rows, sizeof(asked));
    for (int i = 0; i < 8; i++)
        asked[i].origin = &origins[i];
    setenv("ESPALIER_RATE", "0.5", 1);
    assert_int_equal(options_parse(asked, 5, words, false, &err, &rest), 0);
    unsetenv("ESPALIER_RATE");
    assert_int_equal(origins[0], OPTION_BY_HAND); /* also where it says what the default is */
    assert_int_equal(origins[1], OPTION_DEFAULT);
    assert_int_equal(origins[3], OPTION_BY_HAND);
    assert_int_equal(origins[4], OPTION_ENVIRONMENT);
    assert_int_equal(origins[5], OPTION_DEFAULT); /* unset */
    options_environment_name("listen-port", name, sizeof(name));
    assert_string_equal(name, "ESPALIER_LISTEN_PORT");
}

static void mistakes_are_named(void **state) {
    static const char *const lines[][2] = {
        {"--listen-port=0", "--listen-port: must be from 1 to 65535, not 0"},
        {"--listen-port", "--listen-port needs a whole number"},
        {"--listen-port=12x", "--listen-port: \"12x\" is not a whole number"},
        {"-p 99999999999999999999", "-p: \"99999999999999999999\" is not a whole number"},
        {"--wait 5", "--wait: \"5\" is not a duration such as 500ms, 30s or 5m"},
        {"-m 1", "-m: must be from 1K to 1TB, not 1"},
        {"--rate nan", "--rate: \"nan\" is not a number"},
        {"--name=", "--name: must have from 1 to 4096 bytes, not 0"},
        {"--wait 2h", "--wait: must be from 0 to 1h, not 2h"},
        {"--rate 1.5", "--rate: must be from 0 to 1, not 1.5"},
        {"--colour", "unknown option --colour"},
        {"--listn-port=1", "unknown option --listn-port=1; did you mean --listen-port?"},
        {"--waite 3s", "unknown option --waite; did you mean --wait?"},
        {"--no-name", "unknown option --no-name"},
        {"-x", "unknown option -x"},
        {"-vx", "unknown option -x"},
        {"-w", "-w needs a duration such as 500ms, 30s or 5m"},
        {"--verbose=maybe", "--verbose: \"maybe\" is not true or false"},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        assert_int_equal(parse(lines[i][0], false), ESP_EINVAL);
        assert_string_equal(err.message, lines[i][1]);
        assert_int_equal(rest, -1);
    }
}

static void durations_and_sizes(void **state) {
    static const struct {
        const char *text;
        int64_t value;
    } durations[] = {{"0", 0},
                     {"250us", 250},
                     {"1.5ms", 1500},
                     {"2s", 2000000},
                     {"3min", 180000000},
                     {"1h", 3600000000},
                     {"2d", 172800000000}},
      sizes[] = {{"0", 0},      {"17", 17},          {"17B", 17},         {"4K", 4096},
                 {"4kB", 4000}, {"1.5MiB", 1572864}, {"3GB", 3000000000}, {"1T", 1099511627776}};
    static const char *const bad[] = {"",      "s",  "-1s",        "1 s",     "1e999s",
                                      "0x10s", "1S", "999999999d", "1parsec", "inf"};
    int64_t value = -7;
    for (size_t i = 0; i < sizeof(durations) / sizeof(*durations); i++) {
        assert_int_equal(options_parse_duration(durations[i].text, &value), 0);
        assert_true(value == durations[i].value);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        assert_int_equal(options_parse_size(sizes[i].text, &value), 0);
        assert_true(value == sizes[i].value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        value = -7;
        assert_int_equal(options_parse_duration(bad[i], &value), ESP_EINVAL);
        assert_int_equal(options_parse_size(bad[i], &value), ESP_EINVAL);
        assert_true(value == -7);
    }
}

/* What fn writes to the descriptor, as a text. */
static char *captured(int fd, void (*fn)(void)) {
    static char text[8192];
    FILE *file = tmpfile();
    fflush(NULL);
    int saved = dup(fd);
    dup2(fileno(file), fd);
    fn();
    fflush(NULL);
    dup2(saved, fd);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void print_help(void) {
    options_print_help(rows);
}

static void help_has_a_line_for_every_row(void **state) {
    const char *text = captured(STDOUT_FILENO, print_help);
    assert_non_null(strstr(text, "-p, --listen-port NUMBER"));
    assert_non_null(strstr(text, "port to listen on [8080]\n"));
    assert_non_null(strstr(text, "how much to use (bytes) [1M]\n"));
    assert_non_null(strstr(text, "      --rate NUMBER"));
    assert_non_null(strstr(text, "its name\n"));
}

static void print_long_help(void) {
    static bool flag;
    static const struct option_row long_rows[] = {
        {"x", 0, OPTION_FLAG, NULL, 0, 0, "", "short", &flag},
        {"a-name-that-is-longer-than-most", 0, OPTION_TEXT, NULL, 0, 0, "",
         "words that go on and on, so that they fill more than the hundred columns of a terminal, "
         "and then some more of them",
         &flag},
        {0}};
    options_print_help(long_rows);
}

static void help_stands_in_one_column_and_keeps_to_a_hundred(void **state) {
    const char *text = captured(STDOUT_FILENO, print_long_help);
    const char *lines[8] = {"", "", "", ""};
    int n = 0;
    for (char *line = strtok((char *)(uintptr_t)text, "\n"); line && n < 8;
         line = strtok(NULL, "\n"))
        lines[n++] = line;
    assert_int_equal(n, 4);
    long column = strstr(lines[0], "short") - lines[0];
    assert_int_equal(strstr(lines[1], "words") - lines[1], column);
    for (int i = 2; i < n; i++)
        assert_int_equal(strspn(lines[i], " "), column);
    for (int i = 0; i < n; i++)
        assert_true(strlen(lines[i]) <= OPTIONS_HELP_COLUMNS);
    assert_true(strlen(lines[1]) > 85);
}

static void slips_are_told_from_other_words(void **state) {
    static const struct {
        const char *a, *b;
        int distance;
        bool slip;
    } pairs[] = {{"search", "search", 0, true},
                 {"serach", "search", 1, true},
                 {"shwo", "show", 1, true},
                 {"ls", "rm", 2, false},
                 {"", "ls", 2, false},
                 {"zzz", "arch", 4, false},
                 {"supernets", "supernet", 1, true},
                 {"devcies", "device", 2, true},
                 {"kitten", "sitting", 3, false}};
    char far[100];
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        assert_int_equal(nearest_distance(pairs[i].a, pairs[i].b), pairs[i].distance);
        assert_int_equal(nearest_distance(pairs[i].b, pairs[i].a), pairs[i].distance);
        assert_int_equal(nearest_is_slip(pairs[i].a, pairs[i].distance), pairs[i].slip);
    }
    memset(far, 'x', 99);
    far[99] = '\0';
    assert_false(nearest_is_slip("x", nearest_distance(far, "x")));
}

static void write_log(void) {
    log_set_level(LOG_WARN);
    log_info("hidden");
    log_warn("two\nlines and %s", "\x1b[31mcolour\x7f");
    log_set_level(LOG_INFO);
}

static void a_log_line_is_one_line(void **state) {
    const char *text = captured(STDERR_FILENO, write_log);
    assert_null(strstr(text, "hidden"));
    assert_int_equal(text[10], 'T');
    assert_string_equal(text + 26, "Z warn two\\x0alines and \\x1b[31mcolour\\x7f\n");
}

static void a_list_takes_each_time_it_is_given(void **state) {
    assert_int_equal(parse("", false), 0);
    assert_int_equal(got.tags.n, 0);
    assert_int_equal(parse("--tag one -t two --tag=three word", false), 0);
    assert_int_equal(got.tags.n, 3);
    assert_string_equal(got.tags.items[0], "one");
    assert_string_equal(got.tags.items[1], "two");
    assert_string_equal(got.tags.items[2], "three");
    assert_int_equal(parse("--tag muchtoolong", false), ESP_EINVAL);
    assert_int_equal(parse("--tag", false), ESP_EINVAL);
}

/* The environment's stands until the command line says any. */
static void a_list_of_the_command_line_replaces_the_environments(void **state) {
    setenv("ESPALIER_TAG", "from-env", 1);
    assert_int_equal(parse("", false), 0);
    assert_int_equal(got.tags.n, 1);
    assert_string_equal(got.tags.items[0], "from-env");
    assert_int_equal(parse("-t one -t two", false), 0);
    assert_int_equal(got.tags.n, 2);
    assert_string_equal(got.tags.items[0], "one");
    unsetenv("ESPALIER_TAG");
}

static void a_list_has_an_end(void **state) {
    char *words[2 * OPTION_LIST_MAX + 4] = {"program"};
    int n = 1;
    for (int i = 0; i <= OPTION_LIST_MAX; i++) {
        words[n++] = "-t";
        words[n++] = "x";
    }
    memset(&got, 0, sizeof(got));
    assert_int_equal(options_parse(rows, n, words, false, &err, &rest), ESP_EINVAL);
    memset(&got, 0, sizeof(got));
    words[n - 2] = NULL;
    assert_int_equal(options_parse(rows, n - 2, words, false, &err, &rest), 0);
    assert_int_equal(got.tags.n, OPTION_LIST_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_from_the_table),
        cmocka_unit_test(both_forms_are_read),
        cmocka_unit_test(words_are_left_in_their_order),
        cmocka_unit_test(a_word_may_end_the_options),
        cmocka_unit_test(environment_stands_between),
        cmocka_unit_test(origins_are_told),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_list_takes_each_time_it_is_given),
        cmocka_unit_test(a_list_of_the_command_line_replaces_the_environments),
        cmocka_unit_test(a_list_has_an_end),
        cmocka_unit_test(durations_and_sizes),
        cmocka_unit_test(help_has_a_line_for_every_row),
        cmocka_unit_test(help_stands_in_one_column_and_keeps_to_a_hundred),
        cmocka_unit_test(slips_are_told_from_other_words),
        cmocka_unit_test(a_log_line_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
