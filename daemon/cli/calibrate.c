/* espalier latency calibrate: what a search does before its first generation, by itself. */
#include <stdio.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

static const struct column fields[] = {{"calibration", "id", CELL_TEXT},
                                       {"profile", "profile_name|profile_id", CELL_TEXT},
                                       {"version", "version", CELL_INT},
                                       {"rung", "rung", CELL_TEXT},
                                       {"networks", "n", CELL_INT},
                                       {"known before", "n_known", CELL_INT},
                                       {"error of the plain sum", "before.mape", CELL_PERCENT},
                                       {"error, out of sample", "after.mape", CELL_PERCENT},
                                       {"within 5 %", "after.within_5", CELL_PERCENT},
                                       {"within 10 %", "after.within_10", CELL_PERCENT},
                                       {"Kendall tau", "after.kendall_tau", CELL_REAL},
                                       {"90 % interval", "interval", CELL_PERCENT},
                                       {"measured inside it", "after.coverage", CELL_PERCENT}};

static void print_remarks(struct cli *cli, const cJSON *calibration, const cJSON *job) {
    FILE *to = cli_remarks(cli);
    const cJSON *note;
    cJSON_ArrayForEach(note, cli_item(job, "result.notes")) {
        fprintf(to, "%s\n", cJSON_IsString(note) ? note->valuestring : "");
    }
    if (!cJSON_IsObject(cli_item(calibration, "after")))
        fprintf(to, "too few networks to judge it on those that were left out\n");
    else
        fprintf(to, "network by network: espalier latency residuals %s\n",
                cli_text(calibration, "id"));
}

static int send(struct cli *cli, const cJSON *body) {
    struct err err = {0};
    cJSON *doc = NULL;
    if (cli_send(cli, "POST", "/calibrations", body, &err, &doc))
        return cli_fail(&err);
    if (!cli->wait)
        return cli_started(cli, doc, "calibration");
    int code = cli_wait_started(cli, doc, "calibration");
    if (cli_is_plain(cli)) {
        cli_print_started(cli, doc, "calibration");
    } else if (code == CLI_OK) {
        cli_fields(cli_item(doc, "calibration"), fields, COUNT(fields));
        if (!cli->no_headers)
            print_remarks(cli, cli_item(doc, "calibration"), cli_item(doc, "job"));
    }
    cJSON_Delete(doc);
    return code;
}

static int run(struct cli *cli, int argc, char **argv) {
    const char *profile = NULL, *space = NULL;
    int64_t networks = CLI_UNSET, seed = CLI_UNSET;
    const struct option_row rows[] = {
        {"profile", 'p', OPTION_TEXT, NULL, 0, 0, "", "the profile, where no word names it",
         &profile},
        {"space", 's', OPTION_TEXT, NULL, 0, 0, "", "the space, where no word names it", &space},
        {"networks", 'n', OPTION_INT, NULL, 0, 0, "",
         "to be measured, beside those that are known (10; 128 at most, 0: none)", &networks},
        {"seed", 0, OPTION_INT, NULL, 0, 0, "", "of the networks that are chosen of (1)", &seed},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 2}, &first);

    if (code >= 0)
        return code;
    char **words = argv + first, **end = argv + argc;
    profile = profile || words == end ? profile : *words++;
    space = space || words == end ? space : *words++;
    if (!profile || !space || words < end)
        return cli_usage("a profile and a space are needed, once each: espalier latency calibrate "
                         "PROFILE SPACE, or --profile and --space");
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "profile", profile);
    cJSON_AddStringToObject(body, "space", space);
    cli_put_int(body, "networks", networks);
    cli_put_int(body, "seed", seed);
    code = send(cli, body);
    cJSON_Delete(body);
    return code;
}

const struct cli_command cli_latency_calibrate = {
    "latency", "calibrate", "[PROFILE SPACE]",
    "have the most useful networks of a space measured, and calibrate a board's latencies on them",
    run};
