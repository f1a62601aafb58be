/* Energy by played sensors, against what was written into them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "devices/energy.h"

struct fixture {
    char root[64];
    struct energy_meter meter;
};

static int start(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->root, "/tmp/espalier-sysfs-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    *state = f;
    return 0;
}

static int stop(void **state) {
    struct fixture *f = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->root);
    int r = system(command);
    free(f);
    return r;
}

/* path below the root. */
static void put(const struct fixture *f, const char *path, const char *text) {
    char whole[256], folder[256];
    snprintf(whole, sizeof(whole), "%s/%s", f->root, path);
    snprintf(folder, sizeof(folder), "%s", whole);
    *strrchr(folder, '/') = 0;
    assert_int_equal(file_make_dirs(folder, NULL), 0);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void put_package(const struct fixture *f, int i, const char *name, const char *energy) {
    char path[128];
    snprintf(path, sizeof(path), "class/powercap/intel-rapl:%d/name", i);
    put(f, path, name);
    snprintf(path, sizeof(path), "class/powercap/intel-rapl:%d/max_energy_range_uj", i);
    put(f, path, "1000000\n");
    snprintf(path, sizeof(path), "class/powercap/intel-rapl:%d/energy_uj", i);
    put(f, path, energy);
}

static void put_chip(const struct fixture *f, int i, const char *name, const char *file,
                     const char *value) {
    char path[128];
    snprintf(path, sizeof(path), "class/hwmon/hwmon%d/name", i);
    put(f, path, name);
    snprintf(path, sizeof(path), "class/hwmon/hwmon%d/%s", i, file);
    put(f, path, value);
}

static void nothing_there_is_no_meter(void **state) {
    struct fixture *f = *state;
    assert_false(energy_open(f->root, NULL, &f->meter));
    assert_string_equal(f->meter.source, "");
    put_chip(f, 0, "coretemp\n", "temp1_input", "40000\n");
    assert_false(energy_open(f->root, NULL, &f->meter));
    assert_false(energy_open(f->root, "powercap", &f->meter));
}

/* Two packages are summed; what is no package (the whole platform) would count twice. */
static void packages_are_summed(void **state) {
    struct fixture *f = *state;
    put_package(f, 0, "package-0\n", "100\n");
    put_package(f, 1, "package-1\n", "5000\n");
    put_package(f, 2, "psys\n", "7\n");
    assert_true(energy_open(f->root, NULL, &f->meter));
    assert_string_equal(f->meter.source, "powercap");
    assert_true(energy_read(&f->meter, 0) == 0);
    put_package(f, 0, "package-0\n", "350\n");
    put_package(f, 1, "package-1\n", "5040\n");
    put_package(f, 2, "psys\n", "90000\n");
    assert_true(energy_read(&f->meter, 0) == 290);
}

/* 999,900 to 150 in a counter of 1,000,000 is 250, and it goes on from there. */
static void a_counter_begins_anew(void **state) {
    struct fixture *f = *state;
    put_package(f, 0, "package-0\n", "999900\n");
    assert_true(energy_open(f->root, NULL, &f->meter));
    put_package(f, 0, "package-0\n", "150\n");
    assert_true(energy_read(&f->meter, 0) == 250);
    put_package(f, 0, "package-0\n", "200\n");
    assert_true(energy_read(&f->meter, 0) == 300);
}

/* Without its range it cannot be told how far it went. */
static void a_counter_without_a_range_must_not_fall(void **state) {
    struct fixture *f = *state;
    put_chip(f, 0, "amd_energy\n", "energy1_input", "500\n");
    assert_true(energy_open(f->root, NULL, &f->meter));
    assert_string_equal(f->meter.source, "amd_energy");
    put_chip(f, 0, "amd_energy\n", "energy1_input", "800\n");
    assert_true(energy_read(&f->meter, 0) == 300);
    put_chip(f, 0, "amd_energy\n", "energy1_input", "10\n");
    assert_true(isnan(energy_read(&f->meter, 0)));
}

/* 2 W, then 4 W after half a second: 3 W for half a second is 1.5 J. */
static void power_is_integrated(void **state) {
    struct fixture *f = *state;
    put_chip(f, 0, "coretemp\n", "temp1_input", "40000\n");
    put_chip(f, 3, "ina219\n", "power1_input", "2000000\n");
    assert_true(energy_open(f->root, NULL, &f->meter));
    assert_string_equal(f->meter.source, "ina219");
    double before = energy_read(&f->meter, 1000000000);
    put_chip(f, 3, "ina219\n", "power1_input", "4000000\n");
    assert_true(fabs(energy_read(&f->meter, 1500000000) - before - 1500000) < 1e-6);
}

static void the_owner_says_which_chip(void **state) {
    struct fixture *f = *state;
    put_package(f, 0, "package-0\n", "1\n");
    put_chip(f, 0, "amdgpu\n", "power1_average", "9000000\n");
    put_chip(f, 1, "ina219\n", "power1_input", "2000000\n");
    assert_true(energy_open(f->root, "ina219", &f->meter));
    assert_string_equal(f->meter.source, "ina219");
    assert_true(energy_open(f->root, NULL, &f->meter));
    assert_string_equal(f->meter.source, "powercap");
    assert_false(energy_open(f->root, "none", &f->meter));
    assert_false(energy_open(f->root, "ina226", &f->meter));
}

/* One that goes away, or says nonsense, spoils what was begun: no figure is better than a wrong
 * one. */
static void a_sensor_that_fails_gives_no_figure(void **state) {
    static const char *const wrong[] = {"", "-5\n", "much\n", "12x\n"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        put_package(f, 0, "package-0\n", "100\n");
        assert_true(energy_open(f->root, NULL, &f->meter));
        put_package(f, 0, "package-0\n", wrong[i]);
        assert_true(isnan(energy_read(&f->meter, 0)));
        put_package(f, 0, "package-0\n", "200\n");
        assert_true(isnan(energy_read(&f->meter, 0)));
    }
    put_package(f, 0, "package-0\n", "none\n");
    assert_false(energy_open(f->root, NULL, &f->meter));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(nothing_there_is_no_meter),
        TEST(packages_are_summed),
        TEST(a_counter_begins_anew),
        TEST(a_counter_without_a_range_must_not_fall),
        TEST(power_is_integrated),
        TEST(the_owner_says_which_chip),
        TEST(a_sensor_that_fails_gives_no_figure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
