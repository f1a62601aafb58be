/* espalier status, doctor. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"

static void print_disk(struct cli *cli, const cJSON *kinds) {
    static const struct column columns[] = {{"ON DISK", "kind", CELL_TEXT},
                                            {"BYTES", "bytes", CELL_BYTES}};
    if (cJSON_GetArraySize(kinds) == 0) /* not measured yet */
        return;
    putchar('\n');
    cli_table(cli, kinds, columns, 2);
}

/* The figures, what takes how much of the disk, and what is kept for how long. */
static void print_status(struct cli *cli, const cJSON *both, const struct column *columns, int n) {
    static const struct column rules[] = {
        {"KEPT", "kind", CELL_TEXT}, {"ROWS", "rows", CELL_INT}, {"RULE", "rule", CELL_TEXT}};
    cli_fields(both, columns, n);
    print_disk(cli, cli_item(both, "system.disk.kinds"));
    putchar('\n');
    cli_table(cli, cli_item(both, "system.retention"), rules, 3);
}

static int status_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_DAEMON_ROWS(cli), CLI_NAMELESS_ROWS(cli)};
    static const struct column columns[] = {
        {"version", "version.version", CELL_TEXT},
        {"data folder", "system.data_dir", CELL_TEXT},
        {"started", "system.started_at", CELL_TIME},
        {"processor", "system.cpu_model", CELL_TEXT},
        {"cores", "system.cores", CELL_INT},
        {"memory of a job", "system.job_memory_bytes", CELL_BYTES},
        {"disk free", "system.disk_free_bytes", CELL_BYTES},
        {"stays free", "system.disk_floor_bytes", CELL_BYTES},
        {"data", "system.disk.bytes", CELL_BYTES},
        {"database", "system.database_bytes", CELL_BYTES},
        {"jobs running", "system.jobs_running", CELL_INT},
        {"boards online", "system.workers_online", CELL_INT}};
    struct err err = {0};
    cJSON *both = cJSON_CreateObject(), *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    if (code < 0 && cli_get(cli, &err, &doc, "/version"))
        code = cli_fail(&err);
    if (code < 0) {
        cJSON_AddItemToObject(both, "version", doc);
        doc = NULL;
        if (cli_get(cli, &err, &doc, "/system"))
            code = cli_fail(&err);
    }
    if (code < 0) {
        cJSON_AddItemToObject(both, "system", doc);
        if (!cli_print_plain(cli, both))
            print_status(cli, both, columns, sizeof(columns) / sizeof(columns[0]));
        code = CLI_OK;
    }
    cJSON_Delete(both);
    return code;
}

static int doctor_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    static const struct column columns[] = {
        {"CHECK", "name", CELL_TEXT}, {"OK", "ok", CELL_TEXT}, {"DETAIL", "detail", CELL_TEXT}};
    struct err err = {0};
    cJSON *doc = NULL;
    const cJSON *check = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    if (code >= 0)
        return code;
    if (cli_get(cli, &err, &doc, "/system?check=true"))
        return cli_fail(&err);
    code = CLI_OK;
    cJSON_ArrayForEach(check, cli_item(doc, "checks")) if (cJSON_IsFalse(cli_item(check, "ok")))
        code = CLI_FAILURE;
    if (!cli_print_plain(cli, cli_item(doc, "checks"))) { /* one document */
        cli_table(cli, cli_item(doc, "checks"), columns, 3);
        print_disk(cli, cli_item(doc, "disk.kinds"));
    }
    cJSON_Delete(doc);
    return code;
}

const struct cli_command cli_status = {"status", NULL, "", "what the daemon is and does",
                                       status_run};
const struct cli_command cli_doctor = {
    "doctor", NULL, "", "checks of the daemon's database, disk, job program and boards",
    doctor_run};
