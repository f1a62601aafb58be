/* Prices of energy: fitted to what boards tell or given, listed, shown. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/api.h"
#include "daemon/api_measurements.h"
#include "daemon/api_nouns.h"
#include "daemon/store_energy.h"

/* Prices that were fitted in the thread pool, or given: what the store writes. */
struct fitted {
    char profile[ID_MAX], revision[ID_MAX];
    cJSON *data;
};

static void fitted_destroy(void *state) {
    struct fitted *fitted = state;
    if (fitted != NULL)
        cJSON_Delete(fitted->data);
    free(fitted);
}

static int fit(struct sql *sql, struct fitted *fitted, struct err *err) {
    struct energy_network *networks = NULL;
    struct energy_report report;
    struct energy_fit prices;
    size_t n = 0;
    int r = store_energy_networks(sql, fitted->profile, err, fitted->revision, &networks, &n);
    if (r == 0 && n < ENERGY_MIN_NETWORKS)
        r = err_set(err, ESP_EMISSING, "/profile",
                    "energy is known of %zu networks on the profile as it is now, and prices need "
                    "%d: measure some (espalier latency measure PROFILE SPACE ARCH...) on a board "
                    "or by a command that tells its energy, or name prices that you know (espalier "
                    "energy set)",
                    n, ENERGY_MIN_NETWORKS);
    if (r == 0)
        r = energy_fit_networks(networks, n, err, &prices, &report);
    free(networks);
    if (r != 0)
        return r;
    fitted->data = energy_fit_describe(&prices, &report);
    return fitted->data != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

/* Of a data sheet, or of another board: for one that cannot tell its energy. */
static int take_given(struct api_call *call, struct fitted *fitted, struct err *err) {
    struct energy_fit prices;
    int r = store_energy_revision(call->sql, fitted->profile, err, fitted->revision);
    if (r == 0)
        r = energy_fit_given(call->body, "", err, &prices);
    if (r != 0)
        return r;
    fitted->data = energy_fit_describe(&prices, NULL);
    return fitted->data != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

static bool are_given(const cJSON *body) {
    return json_has(body, "mac_pj") || json_has(body, "byte_pj") || json_has(body, "run_uj");
}

static int find_prices(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"profile", "mac_pj", "byte_pj", "run_uj", NULL};
    const char *profile;
    struct fitted *fitted = mem_array(1, sizeof(*fitted));
    if (fitted == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    call->state = fitted;
    call->state_destroy = fitted_destroy;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_string(call->body, "", "profile", 1, 256, err, &profile);
    if (r == 0)
        r = api_find_profile(call->sql, profile, err, fitted->profile);
    if (r != 0)
        return r;
    return are_given(call->body) ? take_given(call, fitted, err) : fit(call->sql, fitted, err);
}

static int keep_prices(struct api_call *call, struct err *err) {
    const struct fitted *fitted = call->state;
    char id[ID_MAX];
    int r = store_energy_add(call->tx, fitted->profile, fitted->revision, fitted->data, err, id);
    return r != 0 ? r : store_energy_get(call->sql, id, err, &call->answer);
}

static int list_prices(struct api_call *call, struct err *err) {
    const char *ref = api_query(call, "profile");
    struct sql_page_args page;
    char profile[ID_MAX];
    int r = api_page(call, "ep_", err, &page);
    if (r == 0 && ref != NULL)
        r = api_of_query(api_find_profile(call->sql, ref, err, profile), "profile", err);
    return r != 0 ? r
                  : store_energy_list(call->sql, ref != NULL ? profile : NULL, &page, err,
                                      &call->answer);
}

static int get_prices(struct api_call *call, struct err *err) {
    return store_energy_get(call->sql, call->id, err, &call->answer);
}

const struct api_route api_energy[] = {
    {"GET", "/api/v1/energy_prices", "profile,page_size,after", .read = list_prices},
    {"POST", "/api/v1/energy_prices", NULL, .read = find_prices, .write = keep_prices},
    {"GET", "/api/v1/energy_prices/{id}", NULL, .read = get_prices, .by_key = api_by_key},
    {.method = NULL}};
