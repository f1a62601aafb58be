/* espalier energy fit, set, ls, show. */
#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"

static const struct column list[] = {{"ID", "id", CELL_TEXT},
                                     {"PROFILE", "profile_name|profile", CELL_TEXT},
                                     {"VERSION", "version", CELL_INT},
                                     {"NETWORKS", "n", CELL_INT},
                                     {"PJ/MAC", "mac_pj", CELL_REAL},
                                     {"PJ/BYTE", "byte_pj", CELL_REAL},
                                     {"UJ/RUN", "run_uj", CELL_REAL},
                                     {"MAPE BEFORE", "before.mape", CELL_PERCENT},
                                     {"MAPE AFTER", "after.mape", CELL_PERCENT},
                                     {"INTERVAL", "interval", CELL_PERCENT},
                                     {"INSIDE", "after.coverage", CELL_PERCENT}};
static const struct column fields[] = {{"id", "id", CELL_TEXT},
                                       {"profile", "profile_name|profile", CELL_TEXT},
                                       {"version", "version", CELL_INT},
                                       {"networks", "n", CELL_INT},
                                       {"a multiply-and-add, pJ", "mac_pj", CELL_REAL},
                                       {"a byte of traffic, pJ", "byte_pj", CELL_REAL},
                                       {"a run, uJ", "run_uj", CELL_REAL},
                                       {"error of the literature's", "before.mape", CELL_PERCENT},
                                       {"error, out of sample", "after.mape", CELL_PERCENT},
                                       {"within 10 %", "after.within_10", CELL_PERCENT},
                                       {"rank correlation", "after.kendall_tau", CELL_REAL},
                                       {"90 % interval", "interval", CELL_PERCENT},
                                       {"measured inside it", "after.coverage", CELL_PERCENT},
                                       {"fitted", "created_at", CELL_TIME}};
/* Nothing was fitted, and nobody has seen how good they are. */
static const struct column given[] = {{"id", "id", CELL_TEXT},
                                      {"profile", "profile_name|profile", CELL_TEXT},
                                      {"version", "version", CELL_INT},
                                      {"a multiply-and-add, pJ", "mac_pj", CELL_REAL},
                                      {"a byte of traffic, pJ", "byte_pj", CELL_REAL},
                                      {"a run, uJ", "run_uj", CELL_REAL},
                                      {"given", "created_at", CELL_TIME}};
static const struct resource prices = RESOURCE("/energy_prices", list, fields);

static int ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &prices, argc, argv);
}

static void print_prices(struct cli *cli, const cJSON *doc) {
    if (cli_number(doc, "n") == 0)
        cli_fields(doc, given, COUNT(given));
    else
        cli_fields(doc, fields, COUNT(fields));
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_page(cli, &(struct resource_word){"/energy_prices/", ""}, print_prices, argc,
                         argv);
}

static int fit_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "profile", argv[first]);
    return resource_answer(
        cli, &(struct resource_request){"POST", "/energy_prices", body, print_prices});
}

static int set_run(struct cli *cli, int argc, char **argv) {
    double mac_pj = 0, byte_pj = 0, run_uj = 0;
    const struct option_row rows[] = {
        {"mac", 0, OPTION_REAL, "4.6", 0, 1e15, "pJ",
         "of a multiply-and-add (default: the literature's, of 45 nm)", &mac_pj},
        {"byte", 0, OPTION_REAL, "160", 0, 1e15, "pJ",
         "of a byte of traffic (default: the literature's)", &byte_pj},
        {"run", 0, OPTION_REAL, "0", 0, 1e15, "uJ", "of any run, whatever the network", &run_uj},
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "profile", argv[first]);
    cJSON_AddNumberToObject(body, "mac_pj", mac_pj);
    cJSON_AddNumberToObject(body, "byte_pj", byte_pj);
    cJSON_AddNumberToObject(body, "run_uj", run_uj);
    return resource_answer(
        cli, &(struct resource_request){"POST", "/energy_prices", body, print_prices});
}

const struct cli_command cli_energy_fit = {
    "energy", "fit", "PROFILE", "fit prices of energy to what a board has told with its networks",
    fit_run};
const struct cli_command cli_energy_set = {
    "energy", "set", "PROFILE", "prices of energy that are known, of a board that cannot tell them",
    set_run};
const struct cli_command cli_energy_ls = {"energy", "ls", "", "prices of energy", ls_run};
const struct cli_command cli_energy_show = {
    "energy", "show", "PRICES", "prices of one fit, and how well they predict", show_run};
