/* The calibration job: has the most useful networks of a space measured on one board, and learns a
 * calibration from all that is known of it. What a search does before its first generation, with
 * its pieces and for its own sake.
 *
 * It keeps nothing: what networks are asked for follows from the spec, and the daemon sends all
 * answers again after an interruption. One that gave up on its board asks again when it is tried
 * again. */
#include "daemon/job/search_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shares of the whole job. */
#define CHOICE_SHARE 0.02
#define FIT_SHARE 0.02

static void tell(struct search_run *run, int64_t done, double share) {
    int total = run->n_requests > 0 ? run->n_requests : run->spec.calibration_nets;
    progress_tell(&run->progress,
                  &(struct progress_point){done, total, "measurements", share, false});
}

static int choose_and_ask(struct search_run *run, struct err *err) {
    struct arch archs[CALIBRATION_CHOICE_MAX];
    if (run->spec.calibration_nets == 0)
        return 0;
    int n = search_choose_calibration(run, run->spec.calibration_nets, err, archs);
    return n < 0 ? n : search_request_measurements(run, archs, n, 1, err);
}

/* Networks that were measured; the last reason for one that was not. */
static int count_measured(const struct search_run *run, char ret_reason[REFUSAL_MAX]) {
    int n = 0;
    ret_reason[0] = '\0';
    for (int i = 0; i < run->n_requests; i++) {
        const struct measured *m = facts_measured(run->facts, run->requests[i].request);
        n += m && m->accepted;
        if (m && !m->accepted && m->refusal[0])
            memcpy(ret_reason, m->refusal, REFUSAL_MAX);
    }
    return n;
}

/* A calibration that rests on nothing new was not asked for. */
static int check_measured(const struct search_run *run, struct err *err) {
    char reason[REFUSAL_MAX];
    const char *gap;
    if (run->n_requests == 0 || count_measured(run, reason) > 0)
        return 0;
    gap = reason[0] ? ": " : "";
    if (run->gone[0])
        return err_set(err, ESP_EUNREACHABLE, "/profile",
                       "the board measured none of %d networks: it is gone, or did not answer for "
                       "%g s%s%s",
                       run->n_requests, run->spec.board_patience_s, gap, reason);
    return err_set(err, ESP_EUNSUPPORTED, "/profile", "the board refused all %d networks%s%s",
                   run->n_requests, gap, reason);
}

static int fit(struct search_run *run, struct err *err) {
    char reason[REFUSAL_MAX];
    bool fitted;
    int measured = count_measured(run, reason);
    progress_phase(&run->progress, "fit", 1 - FIT_SHARE, 1);
    tell(run, measured, 0);
    int rc = search_calibrate(run, err, &fitted);
    if (rc == 0 && !fitted)
        rc = err_set(err, ESP_EMISSING, "/networks",
                     "a calibration needs %d networks that were measured and whose units are in "
                     "the table; %d were measured now, %d were known before",
                     CALIBRATION_MIN_NETWORKS, measured, run->spec.profiles[0].n_known);
    if (rc == 0)
        tell(run, measured, 1);
    return rc;
}

static cJSON *describe(const struct search_run *run) {
    const struct calibration *c = &run->spec.profiles[0].calibration;
    char reason[REFUSAL_MAX], note[REFUSAL_MAX + 100];
    int measured = count_measured(run, reason);
    const char *why = reason[0] ? reason : run->gone[0] ? "the board answered no more" : "";
    cJSON *result = cJSON_CreateObject(), *notes = cJSON_AddArrayToObject(result, "notes");
    cJSON_AddNumberToObject(result, "networks", run->n_requests);
    cJSON_AddNumberToObject(result, "measured", measured);
    cJSON_AddNumberToObject(result, "n", c->n);
    cJSON_AddStringToObject(result, "rung", ladder_rung_names[c->rung]);
    snprintf(note, sizeof note, "%d of %d networks were not measured%s%s",
             run->n_requests - measured, run->n_requests, why[0] ? ": " : "", why);
    if (measured < run->n_requests)
        cJSON_AddItemToArray(notes, cJSON_CreateString(note));
    return result;
}

static int calibrate(struct search_run *run, struct err *err) {
    int rc = facts_open(NULL, "", err, &run->facts);
    progress_init(&run->progress, run->job->channel, "choose");
    tell(run, 0, 0);
    if (rc == 0)
        rc = choose_and_ask(run, err);
    search_enter_calibrate(run);
    if (rc == 0)
        rc = search_wait_for_board(run, err);
    if (rc == 0)
        rc = check_measured(run, err);
    return rc == 0 ? fit(run, err) : rc;
}

static int run_calibrate(struct job *job, struct err *err, cJSON **ret_result) {
    struct search_run run = {
        .job = job,
        .steps = SEARCH_STEPS_NOW,
        .plan = {.evaluate = CHOICE_SHARE, .calibrate = 1 - CHOICE_SHARE - FIT_SHARE}};
    int rc = search_spec_read_calibration(&run.spec, job->spec, err);
    if (rc == 0)
        rc = calibrate(&run, err);
    if (rc == 0)
        *ret_result = describe(&run);
    free(run.requests);
    map_finish(&run.request_index);
    facts_close(run.facts);
    search_spec_finish(&run.spec);
    return rc;
}

extern const struct job_phase phase_calibrate;
const struct job_phase phase_calibrate = {
    .kind = "calibrate",
    .help = "measure the most useful networks of a space and calibrate their latency",
    .run = run_calibrate};
