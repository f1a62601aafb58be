/* The search job against a board and a daemon that this test plays: whole, interrupted anywhere,
 * without a board, and with what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/map.h"
#include "daemon/job/job.h"
#include "search/sampling.h"
#include "space/cost.h"
#include "supernet/checkpoint.h"
#include "supernet/dataset.h"
#include "tests/unit/daemon/search_bed.h"
#include "tests/unit/search/toy.h"
#include "tests/unit/supernet/fixture.h"

static void search_ends_with_a_measured_front(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true};
    cJSON *spec = spec_of(&world, evaluated_body);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_final_front(&daemon, "measured");
    const cJSON *calibration = last_data(&daemon, "calibration");
    assert_true(fabs(cJSON_GetObjectItem(calibration, "a")->valuedouble - 1.3) < 0.02);
    assert_true(fabs(cJSON_GetObjectItem(calibration, "c")->valuedouble - 50) < 5);
    assert_true(cJSON_GetObjectItem(calibration, "version")->valueint >= 2);
    const cJSON *before = cJSON_GetObjectItem(calibration, "before");
    const cJSON *after = cJSON_GetObjectItem(calibration, "after");
    assert_true(cJSON_GetObjectItem(before, "mape")->valuedouble > 0.2);
    assert_true(cJSON_GetObjectItem(after, "mape")->valuedouble < 0.01);
    assert_true(cJSON_IsNumber(cJSON_GetObjectItem(after, "coverage")));
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(calibration, "rung")), "line");
    assert_true(cJSON_GetObjectItem(calibration, "interval")->valuedouble < 0.02);
    const cJSON *errors = cJSON_GetObjectItem(calibration, "errors");
    assert_true(cJSON_GetObjectItem(errors, "sum")->valuedouble >
                10 * cJSON_GetObjectItem(errors, "line")->valuedouble);
    assert_true(json_has(errors, "kinds") && json_has(errors, "entries"));
    assert_false(json_has(errors, "fleet"));
    assert_int_equal(count(&daemon, "generation"), 6);
    assert_int_equal(count(&daemon, "predictor"), 0);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

/* --- by validation losses --- */

/* The loss that the evaluation of a subnet told; NAN: there was none. */
static double loss_told(const struct daemon *daemon, const char *arch_id) {
    for (int i = 0; i < daemon->n; i++) {
        const cJSON *data = cJSON_GetObjectItem(daemon->events[i], "data");
        if (strcmp(kind_of(daemon->events[i]), "evaluation") == 0 &&
            strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(data, "arch_id")), arch_id) == 0)
            return cJSON_GetObjectItem(data, "loss")->valuedouble;
    }
    return NAN;
}

/* Whether a candidate of any strategy has a smaller loss and no more MACs, or the reverse. */
static bool is_dominated(const struct daemon *daemon, double loss, double macs) {
    const cJSON *item;
    for (int i = 0; i < daemon->n; i++) {
        const cJSON *data = cJSON_GetObjectItem(daemon->events[i], "data");
        if (strcmp(kind_of(daemon->events[i]), "candidates") != 0 ||
            strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(data, "strategy")), "gradient") != 0)
            continue;
        cJSON_ArrayForEach(item, cJSON_GetObjectItem(data, "items")) {
            double l = number_of(item, "loss", "value"), m = number_of(item, "macs", "value");
            if (l <= loss && m <= macs && (l < loss || m < macs))
                return true;
        }
    }
    return false;
}

/* Subnets that a evaluated and b did not. */
static int count_others(const struct daemon *a, const struct daemon *b) {
    int n = 0;
    for (int i = 0; i < a->n; i++)
        if (strcmp(kind_of(a->events[i]), "evaluation") == 0)
            n += isnan(loss_told(b, cJSON_GetStringValue(cJSON_GetObjectItem(
                                        cJSON_GetObjectItem(a->events[i], "data"), "arch_id"))));
    return n;
}

#define BY_LOSS(metric, direction)                                                                 \
    "{\"objectives\":[{\"metric\":\"" metric "\",\"direction\":\"" direction                       \
    "\"},{\"metric\":\"macs\",\"direction\":\"minimise\"}],\"strategy\":\"gradient\","             \
    "\"baseline\":\"random\",\"evaluations\":32,\"population\":8,\"accuracy\":\"evaluated\","      \
    "\"seed\":4}"

/* Strategy, front and reference go by the loss that the supernet told. */
static void losses_are_searched_by(void **state) {
    struct world world;
    const cJSON *id;
    open_world(&world);
    struct daemon daemon = {.world = &world}, by_top1 = {.world = &world};
    cJSON *spec = spec_of(&world, BY_LOSS("loss", "minimise"));
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    const cJSON *front = last_data(&daemon, "front");
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(front, "arch_ids")) > 0);
    cJSON_ArrayForEach(id, cJSON_GetObjectItem(front, "arch_ids")) {
        const cJSON *item = candidate(&daemon, id->valuestring);
        double loss = number_of(item, "loss", "value");
        assert_source(item, "loss", "evaluated");
        assert_source(item, "top1", "evaluated");
        assert_true(loss == loss_told(&daemon, id->valuestring) && loss > 0);
        assert_false(is_dominated(&daemon, loss, number_of(item, "macs", "value")));
    }
    const cJSON *reference = cJSON_GetObjectItem(front, "reference_point");
    assert_true(fabs(cJSON_GetObjectItem(reference, "loss")->valuedouble - log(5)) < 1e-12);
    assert_false(json_has(reference, "top1"));
    cJSON_Delete(spec);
    forget_job(&world);
    spec = spec_of(&world, BY_LOSS("top1", "maximise"));
    assert_int_equal(attempt(&by_top1, spec, 1), JOB_DONE);
    const cJSON *last = last_data(&by_top1, "candidates");
    assert_false(json_has(cJSON_GetObjectItem(cJSON_GetObjectItem(last, "items")->child, "metrics"),
                          "loss"));                   /* nobody asked for it */
    assert_true(count_others(&daemon, &by_top1) > 0); /* it was told other values */
    forget_events(&daemon);
    forget_events(&by_top1);
    cJSON_Delete(spec);
    close_world(&world);
}

static double regular_top1(const struct arch *arch) {
    return 0.3 + 0.1 * arch->resolution + 0.05 * arch->depth[0] + 0.07 * arch->depth[1] +
           0.06 * arch->channels[1] + 0.03 * arch->kernel[0];
}

static double random_top1(const struct arch *arch) {
    return (double)(map_hash(arch, sizeof *arch) % 1000) / 1000;
}

/* Puts scores of the n subnets that a search of seed 4 evaluates first into the facts of a job that
 * was stopped at once: the supernet of this test has learnt nothing that could be predicted. */
static void teach_scores(const struct world *world, int n, double (*top1)(const struct arch *)) {
    char path[300], *text, id[HASH_TEXT];
    size_t len;
    struct arch archs[200];
    snprintf(path, sizeof path, "%s/facts.jsonl", world->job_dir);
    assert_int_equal(file_read(path, 1 << 20, NULL, &text, &len), 0);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    n = sample_spread(world->space, 4, n, NULL, archs);
    for (int i = 0; i < n; i++) {
        arch_id(world->space, &archs[i], id);
        if (!strstr(text, id))
            fprintf(file,
                    "{\"arch_id\":\"%s\",\"split\":\"validation\",\"top1\":%.17g,\"loss\":1,"
                    "\"images\":100}\n",
                    id, top1(&archs[i]));
    }
    fclose(file);
    free(text);
}

/* Its first attempt, stopped before anything is evaluated: where the stop came later, begun anew.
 */
static void begin_unscored(struct world *world, struct daemon *daemon, const cJSON *spec) {
    daemon->stop_after = 1;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(attempt(daemon, spec, 1), JOB_STOPPED);
        if (count(daemon, "evaluation") == 0)
            return;
        forget_events(daemon);
        daemon->acked = 0;
        forget_job(world);
    }
    fail_msg("it was never stopped before its first evaluation");
}

/* Scores of all subnets of the space, so that the predictor is as good after the front was
 * evaluated as it was before. */
static void teach_all(const struct world *world) {
    char path[300], id[HASH_TEXT];
    int n;
    struct arch *all = toy_enumerate(world->space, &n);
    snprintf(path, sizeof path, "%s/facts.jsonl", world->job_dir);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    for (int i = 0; i < n; i++) {
        arch_id(world->space, &all[i], id);
        fprintf(file,
                "{\"arch_id\":\"%s\",\"split\":\"validation\",\"top1\":%.17g,\"loss\":1,"
                "\"images\":100}\n",
                id, regular_top1(&all[i]));
    }
    fclose(file);
    free(all);
}

/* Figures that are told are those of the predictor that the last candidates were scored by. */
static void a_predictor_that_is_fitted_anew_says_how_good_it_is(void **state) {
    struct world world;
    open_world(&world);
    struct daemon whole = {.world = &world, .has_board = true};
    struct daemon parts = {.world = &world, .has_board = true};
    cJSON *spec = spec_of(&world, predicted_body);
    begin_unscored(&world, &whole, spec);
    teach_all(&world);
    whole.stop_after = 0;
    assert_int_equal(attempt(&whole, spec, 2), JOB_DONE);
    const cJSON *predictor = last_data(&whole, "predictor");
    const cJSON *result = cJSON_GetObjectItem(last_data(&whole, "done"), "result");
    assert_true(count(&whole, "predictor") >= 2);
    assert_true(cJSON_GetObjectItem(predictor, "n")->valueint > 40);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(predictor, "accepted")));
    assert_true(cJSON_GetObjectItem(result, "kendall_tau")->valuedouble ==
                cJSON_GetObjectItem(predictor, "kendall_tau")->valuedouble);
    forget_job(&world);
    begin_unscored(&world, &parts, spec);
    teach_all(&world);
    parts.stop_after = 9;
    attempt_in_parts(&parts, spec, 1, 99);
    assert_same_events(&whole, &parts);
    forget_events(&whole);
    forget_events(&parts);
    cJSON_Delete(spec);
    close_world(&world);
}

static const cJSON *first_data(const struct daemon *daemon, const char *kind) {
    for (int i = 0; i < daemon->n; i++)
        if (strcmp(kind_of(daemon->events[i]), kind) == 0)
            return cJSON_GetObjectItem(daemon->events[i], "data");
    return NULL;
}

static void predicted_search_judges_its_predictor(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true};
    cJSON *spec = spec_of(&world, predicted_body);
    begin_unscored(&world, &daemon, spec);
    teach_scores(&world, 40, regular_top1);
    daemon.stop_after = 0;
    assert_int_equal(attempt(&daemon, spec, 2), JOB_DONE);
    assert_final_front(&daemon, "measured");
    const cJSON *predictor = first_data(&daemon, "predictor");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(predictor, "accepted")));
    assert_true(cJSON_GetObjectItem(predictor, "kendall_tau")->valuedouble > 0.6);
    assert_int_equal(count(&daemon, "generation"), 20);
    assert_int_equal(count(&daemon, "front"), 2);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

static bool is_evaluated(const cJSON *candidate) {
    const cJSON *top1 = cJSON_GetObjectItem(cJSON_GetObjectItem(candidate, "metrics"), "top1");
    return strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(top1, "source")), "evaluated") == 0;
}

/* Of a candidate that was evaluated nothing less is said later. Returns how often it was said. */
static int assert_evaluated_stay(const struct daemon *daemon) {
    const cJSON *item;
    int found = 0;
    for (int i = 0; i < daemon->n; i++) {
        const cJSON *data = cJSON_GetObjectItem(daemon->events[i], "data");
        if (strcmp(kind_of(daemon->events[i]), "candidates") != 0)
            continue;
        cJSON_ArrayForEach(item, cJSON_GetObjectItem(data, "items")) {
            if (!is_evaluated(item))
                continue;
            const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch_id"));
            assert_true(is_evaluated(candidate(daemon, id)));
            found++;
        }
    }
    return found;
}

/* The baseline meets in the second round what the first had evaluated: it says no less of it. */
static void what_is_evaluated_stays_so(void **state) {
    struct world world;
    char body[512];
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true};
    snprintf(body, sizeof body,
             "{\"evaluations\":%d,\"strategy\":\"exhaustive\",\"rounds\":2,\"population\":100,"
             "\"initial_evaluations\":40," OBJECTIVES ",\"baseline\":\"random\","
             "\"measure_front\":6,\"calibration_nets\":5,\"seed\":4}",
             (int)space_cardinality(world.space));
    cJSON *spec = spec_of(&world, body);
    begin_unscored(&world, &daemon, spec);
    teach_scores(&world, 40, regular_top1);
    daemon.stop_after = 0;
    assert_int_equal(attempt(&daemon, spec, 2), JOB_DONE);
    assert_final_front(&daemon, "measured");
    assert_true(assert_evaluated_stay(&daemon) > 0);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

static void gives_up_when_accuracy_cannot_be_predicted(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true};
    cJSON *spec = spec_of(&world, predicted_body);
    begin_unscored(&world, &daemon, spec);
    teach_scores(&world, 40, random_top1);
    teach_scores(&world, 80, random_top1);
    daemon.stop_after = 0;
    assert_int_equal(attempt(&daemon, spec, 2), JOB_FAILED);
    /* It tried twice, the second time with twice as many. */
    assert_int_equal(count(&daemon, "predictor"), 2);
    const cJSON *predictor = last_data(&daemon, "predictor");
    assert_int_equal(cJSON_GetObjectItem(predictor, "n")->valueint, 80);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(predictor, "accepted")));
    assert_non_null(
        strstr(cJSON_GetStringValue(cJSON_GetObjectItem(last_data(&daemon, "failed"), "message")),
               "Kendall's tau"));
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

/* What a power cut may leave of the facts: a line begun, a line of noise, or only a part of them.
 */
static void damage_facts(const struct world *world, int attempt) {
    static const char *const ends[] = {"{\"arch_id\":\"torn", "\1\2noise\n{}\n", NULL};
    char path[300], *text;
    size_t len;
    snprintf(path, sizeof path, "%s/facts.jsonl", world->job_dir);
    assert_int_equal(file_read(path, 1 << 20, NULL, &text, &len), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    const char *end = ends[attempt % 3];
    fwrite(text, 1, end ? len : len - len / 3, file);
    if (end)
        fputs(end, file);
    fclose(file);
    free(text);
}

static void forget_evaluations(const struct world *world) {
    char path[400];
    snprintf(path, sizeof path, "%s/evaluations", world->supernet_dir);
    fixture_remove_dir(strdup(path));
}

static void a_second_search_evaluates_nothing_again(void **state) {
    struct world world;
    open_world(&world);
    struct daemon first = {.world = &world, .has_board = true}, second = first, third = first;
    cJSON *spec = spec_of(&world, evaluated_body);
    assert_int_equal(attempt(&first, spec, 1), JOB_DONE);
    assert_true(first.evaluated >= 24);
    forget_job(&world);
    assert_int_equal(attempt(&second, spec, 1), JOB_DONE);
    assert_int_equal(second.evaluated, 0);
    assert_int_equal(second.reused, first.evaluated + first.reused);
    assert_same_events(&first, &second);
    forget_job(&world);
    forget_evaluations(&world);
    assert_int_equal(attempt(&third, spec, 1), JOB_DONE);
    assert_int_equal(third.evaluated, first.evaluated);
    assert_same_events(&first, &third);
    forget_events(&first);
    forget_events(&second);
    forget_events(&third);
    cJSON_Delete(spec);
    close_world(&world);
}

static void forget_versions(const struct daemon *daemon) {
    static const char *const keys[] = {"version", "calibration_version"};
    for (int i = 0; i < daemon->n; i++) {
        cJSON *data = cJSON_GetObjectItem(daemon->events[i], "data");
        cJSON_DeleteItemFromObject(cJSON_GetObjectItem(data, "calibration"), "version");
        for (int k = 0; k < 2; k++)
            cJSON_DeleteItemFromObject(data, keys[k]);
    }
}

static int first_version(const struct daemon *daemon, const char *kind) {
    const cJSON *data = first_data(daemon, kind);
    return data ? cJSON_GetObjectItem(data, "version")->valueint : -1;
}

static cJSON *spec_that_continues(const char *dir, const char *body) {
    cJSON *spec = cJSON_CreateObject();
    cJSON_AddStringToObject(spec, "search_id", "se_1");
    cJSON_AddStringToObject(spec, "continues", dir);
    cJSON_AddItemToObject(spec, "search", parse(body));
    cJSON_AddItemToObject(spec, "versions", parse("{\"front\":2,\"calibrations\":{\"pf_1\":7}}"));
    return spec;
}

/* The shorter one ends within a generation; the longer one is interrupted, and its supernet was
 * trained on. */
static void a_search_that_goes_on_is_one_that_was_longer(void **state) {
    static const char shorter_body[] =
        "{" OBJECTIVES ",\"baseline\":\"random\",\"evaluations\":12,\"population\":8,"
        "\"accuracy\":\"evaluated\",\"measure_front\":6,\"calibration_nets\":5,\"seed\":4}";
    struct world world;
    open_world(&world);
    struct daemon whole = {.world = &world, .has_board = true}, shorter = whole, longer = whole;
    cJSON *spec = spec_of(&world, evaluated_body), *shorter_spec = spec_of(&world, shorter_body);
    assert_int_equal(attempt(&whole, spec, 1), JOB_DONE);
    forget_job(&world);
    assert_int_equal(attempt(&shorter, shorter_spec, 1), JOB_DONE);
    char *shorter_dir = world.job_dir;
    cJSON *longer_spec = spec_that_continues(shorter_dir, evaluated_body);
    world.job_dir = fixture_make_dir();
    unlink(world.checkpoint);
    longer.stop_after = 3;
    assert_true(attempt_in_parts(&longer, longer_spec, 0, 100) >= 4);
    assert_int_equal(first_version(&longer, "front"), 3);
    assert_int_equal(first_version(&longer, "calibration"), 8);
    forget_versions(&whole);
    forget_versions(&longer);
    assert_same_events(&whole, &longer);
    assert_true(shorter.n < longer.n);
    forget_events(&whole);
    forget_events(&shorter);
    forget_events(&longer);
    cJSON_Delete(spec);
    cJSON_Delete(shorter_spec);
    cJSON_Delete(longer_spec);
    fixture_remove_dir(shorter_dir);
    close_world(&world);
}

static void interrupted_search_says_what_an_undisturbed_one_says(void **state) {
    struct world world;
    open_world(&world);
    struct daemon whole = {.world = &world, .has_board = true};
    cJSON *spec = spec_of(&world, evaluated_body);
    assert_int_equal(attempt(&whole, spec, 1), JOB_DONE);
    forget_job(&world);
    forget_evaluations(&world);
    struct daemon parts = {.world = &world, .has_board = true, .stop_after = 3};
    int status = JOB_STOPPED, attempts = 0;
    while (status == JOB_STOPPED && attempts < 100) {
        status = attempt(&parts, spec, ++attempts);
        damage_facts(&world, attempts);
        unlink(world.checkpoint); /* as when the supernet is trained on */
    }
    assert_int_equal(status, JOB_DONE);
    assert_true(attempts >= 4);
    assert_same_events(&whole, &parts);
    forget_events(&whole);
    forget_events(&parts);
    cJSON_Delete(spec);
    close_world(&world);
}

static void refuses_what_cannot_succeed(void **state) {
    struct world world;
    open_world(&world);
    assert_fails(&world,
                 spec_of(&world, "{" OBJECTIVES ",\"constraints\":[{\"metric\":\"latency_us\","
                                 "\"profile\":\"pf_1\",\"max\":1}]}"),
                 "infeasible", "/constraints/0/max");
    assert_fails(&world, spec_of(&world, "{" OBJECTIVES ",\"evaluations\":0}"), "invalid_value",
                 "/evaluations");
    assert_fails(&world, spec_of(&world, "{" OBJECTIVES ",\"calibration_choice\":\"best\"}"),
                 "invalid_value", "/calibration_choice");
    assert_fails(&world, spec_of(&world, "{" OBJECTIVES ",\"strategy\":\"magic\"}"),
                 "invalid_value", "/strategy");
    assert_fails(&world,
                 spec_of(&world, "{\"objectives\":[{\"metric\":\"latency_us\",\"profile\":\"pf_2\","
                                 "\"direction\":\"minimise\"}]}"),
                 "not_found", "/profiles");
    assert_fails(
        &world,
        spec_of(&world, "{\"objectives\":[{\"metric\":\"loss\",\"direction\":\"minimise\"}]}"),
        "not_found", ""); /* it is not predicted */
    assert_fails(&world, spec_of(&world, BY_LOSS("loss", "maximise")), "invalid_value",
                 "/objectives/0/direction");
    assert_fails(&world, with_fleet(&world, "{}"), "invalid_value", "/fleet");
    assert_fails(&world, with_fleet(&world, "[{\"profile_id\":\"pf_2\"}]"), "invalid_value",
                 "/fleet/0/table");
    assert_fails(&world,
                 with_fleet(&world, "[{\"profile_id\":\"pf_2\",\"table\":{\"profile_revision\":"
                                    "\"r\",\"entries\":[{}]}}]"),
                 "invalid_value", "/fleet/0/table/entries/0/signature");
    close_world(&world);
}

/* Facts with the identity that a search with this spec had whose strategies were of these
 * revisions: what boards told is lost to every search that has another one. */
static void keep_identity(const struct world *world, const cJSON *spec, const char *revisions) {
    const struct dataset_options options = {.path = world->data_dir, .validation = 100};
    struct checkpoint *checkpoint;
    struct dataset *dataset;
    char text[2000], identity[HASH_TEXT], path[300];
    char *body = json_print_canonical(cJSON_GetObjectItem(spec, "search"));
    assert_int_equal(checkpoint_open(world->checkpoint, NULL, &checkpoint), 0);
    assert_int_equal(dataset_open(&options, NULL, &dataset), 0);
    int len = snprintf(text, sizeof text, "%s %s %s %s takes%s settled", checkpoint->summary.id,
                       dataset->revision, world->space->fingerprint, body, revisions);
    hash_text(text, (size_t)len, identity);
    len = snprintf(text, sizeof text, "{\"identity\":\"%s\"}\n", identity);
    snprintf(path, sizeof path, "%s/facts.jsonl", world->job_dir);
    assert_int_equal(file_write_atomic(path, text, (size_t)len, NULL), 0);
    dataset_close(dataset);
    checkpoint_close(checkpoint);
    cJSON_free(body);
}

static int go_on_from(struct world *world, const char *strategies, const char *revisions) {
    char body[600];
    struct daemon daemon = {.world = world, .has_board = true, .stop_after = 1};
    snprintf(body, sizeof body,
             "{" OBJECTIVES ",%s,\"evaluations\":24,\"population\":8,\"accuracy\":\"evaluated\"}",
             strategies);
    cJSON *spec = spec_of(world, body);
    forget_job(world);
    keep_identity(world, spec, revisions);
    int status = attempt(&daemon, spec, 1);
    const cJSON *failed = last_data(&daemon, "failed");
    if (failed)
        assert_non_null(strstr(cJSON_GetStringValue(cJSON_GetObjectItem(failed, "message")),
                               "with an older version of its strategy"));
    forget_events(&daemon);
    cJSON_Delete(spec);
    return status;
}

/* One that a version began which did not tell of later fits goes on without: its events keep their
 * numbers. */
static void an_older_search_goes_on_by_its_steps(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true};
    cJSON *spec = spec_of(&world, predicted_body);
    keep_identity(&world, spec, "");
    teach_all(&world);
    assert_int_equal(attempt(&daemon, spec, 2), JOB_DONE);
    assert_int_equal(count(&daemon, "predictor"), 1);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

static void another_revision_of_a_strategy_is_another_search(void **state) {
    static const char plain[] = "\"baseline\":\"random\"",
                      counted[] = "\"strategy\":\"nsga3\",\"baseline\":\"random\"",
                      beside[] = "\"baseline\":\"nsga3\"";
    struct world world;
    open_world(&world);
    assert_int_equal(go_on_from(&world, plain, ""), JOB_STOPPED);
    assert_int_equal(go_on_from(&world, counted, " revision 1"), JOB_STOPPED);
    assert_int_equal(go_on_from(&world, counted, ""), JOB_FAILED);
    assert_int_equal(go_on_from(&world, beside, " baseline revision 1"), JOB_STOPPED);
    assert_int_equal(go_on_from(&world, beside, ""), JOB_FAILED);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search_ends_with_a_measured_front),
        cmocka_unit_test(losses_are_searched_by),
        cmocka_unit_test(predicted_search_judges_its_predictor),
        cmocka_unit_test(a_predictor_that_is_fitted_anew_says_how_good_it_is),
        cmocka_unit_test(what_is_evaluated_stays_so),
        cmocka_unit_test(gives_up_when_accuracy_cannot_be_predicted),
        cmocka_unit_test(a_second_search_evaluates_nothing_again),
        cmocka_unit_test(interrupted_search_says_what_an_undisturbed_one_says),
        cmocka_unit_test(a_search_that_goes_on_is_one_that_was_longer),
        cmocka_unit_test(an_older_search_goes_on_by_its_steps),
        cmocka_unit_test(another_revision_of_a_strategy_is_another_search),
        cmocka_unit_test(refuses_what_cannot_succeed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
