#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "search/objective.h"

static const char *const known[] = {"top1", "latency_us", "macs", "energy_uj", NULL};

static int read(const char *text, struct err *err, struct goals *goals) {
    cJSON *doc;
    assert_int_equal(json_parse(text, strlen(text), &json_limits_default, NULL, &doc), 0);
    int code = goals_from_json(doc, "", known, err, goals);
    cJSON_Delete(doc);
    return code;
}

#define TOP1 "{\"metric\":\"top1\",\"direction\":\"maximise\"}"
#define LATENCY "{\"metric\":\"latency_us\",\"profile\":\"pf_1\",\"direction\":\"minimise\"}"

static void reads_objectives_and_constraints(void **state) {
    struct goals goals;
    assert_int_equal(read("{\"objectives\":[" TOP1 "," LATENCY "],\"constraints\":["
                          "{\"metric\":\"latency_us\",\"profile\":\"pf_1\",\"max\":1200.5},"
                          "{\"metric\":\"macs\",\"max\":5e6},{\"metric\":\"top1\",\"min\":0.5}],"
                          "\"seed\":1}",
                          NULL, &goals),
                     0);
    assert_int_equal(goals.n_objectives, 2);
    assert_true(goals.objectives[0].maximise && !goals.objectives[1].maximise);
    assert_string_equal(goals.keys[goals.objectives[1].metric], "latency_us:pf_1");
    assert_int_equal(goals.n_constraints, 3);
    assert_int_equal(goals.constraints[0].metric, goals.objectives[1].metric);
    assert_true(goals.constraints[0].is_max && goals.constraints[0].bound == 1200.5);
    assert_true(!goals.constraints[2].is_max);
    assert_int_equal(goals.n_metrics, 3);
}

/* Of every board at the literature's prices, and of two at their own: three metrics. */
static void energy_may_be_of_a_profile(void **state) {
    struct goals goals;
    assert_int_equal(
        read("{\"objectives\":[" TOP1 ",{\"metric\":\"energy_uj\",\"direction\":\"minimise\"},{"
             "\"metric\":\"energy_uj\",\"profile\":\"pf_1\",\"direction\":\"minimise\"}],"
             "\"constraints\":[{\"metric\":\"energy_uj\",\"profile\":\"pf_2\",\"max\":5}]}",
             NULL, &goals),
        0);
    assert_int_equal(goals.n_metrics, 4);
    assert_string_equal(goals.keys[1], "energy_uj");
    assert_string_equal(goals.keys[2], "energy_uj:pf_1");
    assert_string_equal(goals.keys[3], "energy_uj:pf_2");
}

static void assert_refused(const char *text, int code, const char *pointer) {
    struct goals goals = {.n_metrics = -7};
    struct err err = {0};
    assert_int_equal(read(text, &err, &goals), code);
    assert_string_equal(err.pointer, pointer);
    assert_int_equal(goals.n_metrics, -7);
}

static void points_at_what_is_wrong(void **state) {
    assert_refused("{}", ESP_EINVAL, "/objectives");
    assert_refused("{\"objectives\":[]}", ESP_EINVAL, "/objectives");
    assert_refused("{\"objectives\":[{\"metric\":\"speed\",\"direction\":\"maximise\"}]}",
                   ESP_EINVAL, "/objectives/0/metric");
    assert_refused("{\"objectives\":[" TOP1 ",{\"metric\":\"macs\",\"direction\":\"down\"}]}",
                   ESP_EINVAL, "/objectives/1/direction");
    assert_refused("{\"objectives\":[{\"metric\":\"latency_us\",\"direction\":\"minimise\"}]}",
                   ESP_EINVAL, "/objectives/0/profile");
    assert_refused(
        "{\"objectives\":[{\"metric\":\"macs\",\"profile\":\"p\",\"direction\":\"minimise\"}]}",
        ESP_EINVAL, "/objectives/0/profile");
    assert_refused("{\"objectives\":[" TOP1 "," TOP1 "]}", ESP_EINVAL, "/objectives/1");
    assert_refused("{\"objectives\":[" TOP1 "],\"constraints\":[{\"metric\":\"macs\"}]}",
                   ESP_EINVAL, "/constraints/0");
    assert_refused("{\"objectives\":[" TOP1
                   "],\"constraints\":[{\"metric\":\"macs\",\"max\":1,\"min\":0}]}",
                   ESP_EINVAL, "/constraints/0");
    assert_refused("{\"objectives\":[" TOP1
                   "],\"constraints\":[{\"metric\":\"macs\",\"max\":\"1\"}]}",
                   ESP_EINVAL, "/constraints/0/max");
}

static const struct goals two = {.n_metrics = 2,
                                 .keys = {"top1", "macs"},
                                 .n_objectives = 2,
                                 .objectives = {{0, true}, {1, false}},
                                 .n_constraints = 2,
                                 .constraints = {{1, true, 100}, {0, false, 0.5}}};

static void counts_violation_in_units_of_the_bound(void **state) {
    struct metric m[2] = {{.value = 0.75}, {.value = 100}};
    double costs[2];
    goals_costs(&two, m, costs);
    assert_true(costs[0] == -0.75 && costs[1] == 100);
    assert_true(goals_violation(&two, m) == 0);
    m[1].value = 150;
    assert_true(fabs(goals_violation(&two, m) - 0.5) < 1e-12);
    m[0].value = 0.25;
    assert_true(fabs(goals_violation(&two, m) - 1.0) < 1e-12);
    m[0].value = NAN;
    assert_true(isinf(goals_violation(&two, m)));
}

static void metrics_survive_json(void **state) {
    struct metric m[2] = {{0.75, 0.7, 0.8, METRIC_PREDICTED}, {NAN, NAN, NAN, METRIC_COUNTED}};
    struct metric copy[2];
    cJSON *doc = metrics_to_json(&two, m);
    assert_null(cJSON_GetObjectItem(doc, "macs"));
    assert_int_equal(metrics_from_json(&two, doc, "", NULL, copy), 0);
    assert_true(copy[0].value == 0.75 && copy[0].low == 0.7 && copy[0].high == 0.8);
    assert_int_equal(copy[0].source, METRIC_PREDICTED);
    assert_true(isnan(copy[1].value));
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(doc, "top1"), "source",
                              cJSON_CreateString("interpolated"));
    assert_int_equal(metrics_from_json(&two, doc, "", NULL, copy), 0);
    assert_int_equal(copy[0].source, METRIC_INTERPOLATED);
    assert_int_equal(metric_kind(METRIC_INTERPOLATED), METRIC_PREDICTED);
    assert_int_equal(metric_kind(METRIC_MEASURED), METRIC_MEASURED);
    for (int i = 0; metric_source_names[i] != NULL; i++)
        assert_int_equal(metric_source_find(metric_source_names[i], strlen(metric_source_names[i])),
                         i);
    assert_int_equal(metric_source_find("measured\"", 8), METRIC_MEASURED);
    assert_int_equal(metric_source_find("measured", 7), -1);
    assert_int_equal(metric_source_find("measured ", 9), -1);
    assert_int_equal(metric_source_find("", 0), -1);
    assert_int_equal(metric_source_find(NULL, 0), -1);
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(doc, "top1"), "low", cJSON_CreateNumber(0.9));
    struct err err = {0};
    assert_int_equal(metrics_from_json(&two, doc, "/metrics", &err, copy), ESP_EINVAL);
    assert_string_equal(err.pointer, "/metrics/top1/low");
    cJSON_Delete(doc);
}

static void metrics_are_limited(void **state) {
    struct goals goals = {0};
    char key[METRIC_KEY_MAX + 1];
    for (int i = 0; i < METRICS_MAX; i++) {
        key[0] = (char)('a' + i);
        key[1] = 0;
        assert_int_equal(goals_add_metric(&goals, key, NULL), i);
        assert_int_equal(goals_add_metric(&goals, key, NULL), i);
    }
    assert_int_equal(goals_add_metric(&goals, "one more", NULL), ESP_ELIMIT);
    memset(key, 'x', METRIC_KEY_MAX);
    key[METRIC_KEY_MAX] = 0;
    assert_int_equal(goals_add_metric(&goals, key, NULL), ESP_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_objectives_and_constraints),
        cmocka_unit_test(energy_may_be_of_a_profile),
        cmocka_unit_test(points_at_what_is_wrong),
        cmocka_unit_test(counts_violation_in_units_of_the_bound),
        cmocka_unit_test(metrics_survive_json),
        cmocka_unit_test(metrics_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
