/* espalier report: reads all that is known of a search and writes it as one page. */
#include "daemon/cli/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/target.h"

enum { CANDIDATES_PAGE = 5000 };

/* ---- reading ------------------------------------------------------------------------------- */

/* What may have been removed since: then *ret_doc stays NULL. */
static int get_if_there(struct cli *cli, const char *path, const char *ref, struct err *err,
                        cJSON **ret_doc) {
    struct err said = {0};
    if (!ref[0])
        return 0;
    int rc = cli_get(cli, &said, ret_doc, "%s%s", path, cli_encode(ref));
    if (rc == 0 || said.code == ESP_ENOTFOUND || said.code == ESP_ECONFLICT)
        return 0;
    *err = said;
    return rc;
}

static void add_name(cJSON *names, const char *id, const char *name) {
    if (id[0] && name[0] && !cJSON_HasObjectItem(names, id))
        cJSON_AddStringToObject(names, id, name);
}

static void add_doc(cJSON *list, cJSON *names, cJSON *doc) {
    if (!doc)
        return;
    add_name(names, cli_text(doc, "id"), cli_text(doc, "name"));
    cJSON_AddItemToArray(list, doc);
}

static bool has(const cJSON *list, const char *id) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list) if (!strcmp(cli_text(item, "id"), id)) return true;
    return false;
}

/* The profile that an objective or a limit names, and its board. */
static int read_profile(struct cli *cli, const char *id, struct err *err, struct report *report) {
    cJSON *profile = NULL, *device = NULL;
    if (!id[0] || has(report->profiles, id))
        return 0;
    int rc = get_if_there(cli, "/profiles/", id, err, &profile);
    const char *board = cli_text(profile, "device");
    if (rc == 0 && !has(report->devices, board))
        rc = get_if_there(cli, "/devices/", board, err, &device);
    add_doc(report->profiles, report->names, profile);
    add_doc(report->devices, report->names, device);
    return rc;
}

static int read_profiles(struct cli *cli, struct err *err, struct report *report) {
    static const char *const goals[] = {"objectives", "constraints"};
    const cJSON *goal = NULL, *model = NULL;
    int rc = 0;
    cJSON_ArrayForEach(model, cli_item(report->search, "models"))
        add_name(report->names, cli_text(model, "id"), cli_text(model, "name"));
    for (int i = 0; i < 2; i++)
        cJSON_ArrayForEach(goal, cli_item(report->search, goals[i])) {
            const char *id = cli_text(goal, "profile");
            if (rc == 0 && !cJSON_HasObjectItem(report->names, id))
                rc = read_profile(cli, id, err, report);
        }
    return rc;
}

/* Whether no later one of the search is of the same profile. */
static bool is_newest(const cJSON *calibration) {
    const cJSON *other = NULL;
    for (other = calibration->next; other; other = other->next)
        if (!strcmp(cli_text(other, "profile_id"), cli_text(calibration, "profile_id")))
            return false;
    return true;
}

static bool is_calibrated(const struct report *report, const char *profile) {
    const cJSON *row = NULL;
    cJSON_ArrayForEach(
        row, report->calibrations) if (!strcmp(cli_text(row, "profile_id"), profile)) return true;
    return false;
}

/* A search whose profiles were calibrated before may fit none of its own. */
static int read_earlier_calibrations(struct cli *cli, struct err *err, struct report *report) {
    const cJSON *profile = NULL;
    int rc = 0;
    cJSON_ArrayForEach(profile, report->profiles) {
        cJSON *whole = NULL;
        if (rc == 0 && !is_calibrated(report, cli_text(profile, "id")))
            rc = get_if_there(cli, "/calibrations/", cli_text(profile, "calibration.id"), err,
                              &whole);
        if (whole)
            cJSON_AddItemToArray(report->calibrations, whole);
    }
    return rc;
}

static int read_calibrations(struct cli *cli, struct err *err, struct report *report) {
    const cJSON *row = NULL;
    int rc = 0;
    cJSON_ArrayForEach(row, cli_item(report->search, "calibrations")) {
        cJSON *whole = NULL;
        if (rc == 0 && is_newest(row))
            rc = get_if_there(cli, "/calibrations/", cli_text(row, "id"), err, &whole);
        if (whole)
            cJSON_AddItemToArray(report->calibrations, whole);
    }
    return rc;
}

/* The checkpoint that its subnets were scored by. */
static int read_checkpoint(struct cli *cli, struct err *err, struct report *report) {
    char path[512];
    cJSON *items = NULL;
    const char *id = cli_text(report->search, "checkpoint");
    if (!report->supernet || !id[0])
        return 0;
    snprintf(path, sizeof(path), "/supernets/%.300s/checkpoints",
             cli_encode(cli_text(report->supernet, "id")));
    int rc = cli_list(cli, path, err, &items);
    for (cJSON *item = items ? items->child : NULL; item && !report->checkpoint; item = item->next)
        if (!strcmp(cli_text(item, "id"), id))
            report->checkpoint = cJSON_Duplicate(item, true);
    cJSON_Delete(items);
    return rc;
}

static int read_parts(struct cli *cli, struct err *err, struct report *report) {
    const cJSON *search = report->search;
    int rc = get_if_there(cli, "/supernets/", cli_text(search, "supernet"), err, &report->supernet);
    if (rc == 0)
        rc = get_if_there(cli, "/datasets/", cli_text(search, "dataset"), err, &report->dataset);
    if (rc == 0)
        rc = get_if_there(cli, "/spaces/", cli_text(search, "space"), err, &report->space);
    if (rc == 0)
        rc = get_if_there(cli, "/jobs/", cli_text(search, "job"), err, &report->job);
    if (rc == 0)
        rc = read_checkpoint(cli, err, report);
    add_name(report->names, cli_text(report->supernet, "id"), cli_text(report->supernet, "name"));
    add_name(report->names, cli_text(report->dataset, "id"), cli_text(report->dataset, "name"));
    return rc;
}

/* ---- all candidates, as numbers ------------------------------------------------------------ */

static void take_columns(cJSON *clouds, const cJSON *metrics) {
    cJSON *cloud = NULL;
    cJSON_ArrayForEach(cloud, clouds) {
        cJSON *metric = cJSON_GetObjectItemCaseSensitive(metrics, cloud->string);
        cJSON *values = cJSON_GetObjectItemCaseSensitive(metric, "value");
        while (values && values->child)
            cJSON_AddItemToArray(cloud, cJSON_DetachItemViaPointer(values, values->child));
    }
}

/* A page has each metric that one of its candidates has; where it has none at all of an objective,
 * as many nulls keep the columns in step. */
static void keep_in_step(cJSON *clouds, int n) {
    cJSON *cloud = NULL;
    cJSON_ArrayForEach(cloud, clouds) for (int have = cJSON_GetArraySize(cloud); have < n; have++)
        cJSON_AddItemToArray(cloud, cJSON_CreateNull());
}

static int read_candidates(struct cli *cli, struct err *err, struct report *report) {
    const char *id = cli_text(report->search, "id");
    char after[256] = "", key[256];
    const cJSON *goal = NULL;
    int rc = 0, n = 0;

    cJSON_ArrayForEach(goal, cli_item(report->search, "objectives")) {
        snprintf(key, sizeof(key), "%.80s%s%.150s", cli_text(goal, "metric"),
                 cli_text(goal, "profile")[0] ? ":" : "", cli_text(goal, "profile"));
        cJSON_AddArrayToObject(report->clouds, key);
    }
    for (bool more = true; rc == 0 && more;) {
        cJSON *doc = NULL;
        rc = cli_get(cli, err, &doc, "/searches/%s/candidates?page_size=%d%s%s", cli_encode(id),
                     CANDIDATES_PAGE, after[0] ? "&after=" : "", cli_encode(after));
        n += cJSON_GetArraySize(cli_item(doc, "columns.arch_id"));
        take_columns(report->clouds, cli_item(doc, "columns.metrics"));
        keep_in_step(report->clouds, n);
        more = cJSON_IsString(cli_item(doc, "next"));
        snprintf(after, sizeof(after), "%s", cli_text(doc, "next"));
        cJSON_Delete(doc);
    }
    return rc;
}

int report_read(struct cli *cli, const char *search, struct err *err, struct report *ret_report) {
    struct report *report = ret_report;
    report->profiles = cJSON_CreateArray();
    report->devices = cJSON_CreateArray();
    report->calibrations = cJSON_CreateArray();
    report->names = cJSON_CreateObject();
    report->clouds = cJSON_CreateObject();
    int rc = cli_get(cli, err, &report->search, "/searches/%s", cli_encode(search));
    const char *id = cli_text(report->search, "id");
    if (rc == 0)
        rc = cli_get(cli, err, &report->daemon, "/version");
    if (rc == 0)
        rc = cli_get(cli, err, &report->front, "/searches/%s/front", cli_encode(id));
    if (rc == 0)
        rc = cli_get(cli, err, &report->curve, "/searches/%s/hypervolume", cli_encode(id));
    if (rc == 0) {
        char path[256];
        snprintf(path, sizeof(path), "%.200s/request", cli_encode(id));
        struct err said = {0}; /* results that were taken over cannot be repeated */
        if (cli_get(cli, &said, &report->request, "/searches/%s", path) != 0 &&
            said.code != ESP_ECONFLICT) {
            *err = said;
            rc = said.code;
        }
    }
    if (rc == 0)
        rc = read_parts(cli, err, report);
    if (rc == 0)
        rc = read_profiles(cli, err, report);
    if (rc == 0)
        rc = read_calibrations(cli, err, report);
    if (rc == 0)
        rc = read_earlier_calibrations(cli, err, report);
    return rc != 0 ? rc : read_candidates(cli, err, report);
}

void report_finish(struct report *report) {
    cJSON *const docs[] = {report->daemon, report->search,  report->request,     report->job,
                           report->front,  report->curve,   report->supernet,    report->checkpoint,
                           report->space,  report->dataset, report->profiles,    report->devices,
                           report->names,  report->clouds,  report->calibrations};
    for (size_t i = 0; i < sizeof(docs) / sizeof(docs[0]); i++)
        cJSON_Delete(docs[i]);
}

/* ---- writing ------------------------------------------------------------------------------- */

static int write_page(const struct buf *page, const char *path, struct err *err) {
    struct target target;
    int rc = target_begin(&target, path, err);

    if (rc)
        return rc;
    fwrite(page->data, 1, page->len, target.stream); /* the end tells whether that went well */
    return target_end(&target, 0, err);
}

static int report_run(struct cli *cli, int argc, char **argv) {
    const char *path = NULL;
    const struct option_row rows[] = {
        {"file", 'o', OPTION_TEXT, NULL, 0, 0, "", "write it here (default: print it)", &path},
        CLI_TEXT_ROWS(cli)};
    struct report report = {NULL};
    struct err err = {0};
    struct buf page;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    buf_init(&page, 0);
    int rc = report_read(cli, argv[first], &err, &report);
    if (rc == 0) {
        report_put(&page, &report);
        rc = page.error ? err_set(&err, page.error, NULL, "out of memory")
                        : write_page(&page, path, &err);
    }
    buf_finish(&page);
    report_finish(&report);
    return rc ? cli_fail(&err) : CLI_OK;
}

const struct cli_command cli_report = {
    "report", NULL, "SEARCH", "all that is known of a search as one HTML page, to keep or print",
    report_run};
