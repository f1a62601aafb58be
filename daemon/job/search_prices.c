/* Energy that boards tell with what a search has them measure. */
#include "daemon/job/search_run.h"

#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

/* A sensor's figure has no scatter of its own: what scatters with the runs is how long they took.
 */
static void widen(const struct measured *m, struct metric *energy) {
    energy->low = fmin(energy->low, m->energy_uj * m->low_us / m->median_us);
    energy->high = fmax(energy->high, m->energy_uj * m->high_us / m->median_us);
}

int search_measured_energy(const struct search_run *run, int board, const struct arch *arch,
                           struct metric *ret_energy) {
    struct metric energy = {0, INFINITY, 0, METRIC_MEASURED};
    int n = 0;
    for (int take = 1; take <= SEARCH_TAKES; take++) {
        const struct measured *m = search_accepted(run, board, arch, take);
        if (!m || m->energy_uj <= 0)
            continue;
        energy.value += (m->energy_uj - energy.value) / ++n;
        widen(m, &energy);
    }
    if (n > 0)
        *ret_energy = energy;
    return n;
}

static bool is_silent(const struct search_run *run, int board) {
    bool measured = false;
    for (int i = 0; i < run->n_requests; i++) {
        const struct measured *m = facts_measured(run->facts, run->requests[i].request);
        if (run->requests[i].board != board || !m || !m->accepted)
            continue;
        if (m->energy_uj > 0)
            return false;
        measured = true;
    }
    return measured;
}

void search_note_silent(struct search_run *run) {
    for (int b = 0; b < run->spec.n_boards; b++) {
        bool before = run->silent[b];
        if (run->spec.boards[b].energy >= 0)
            run->silent[b] = is_silent(run, b);
        if (run->silent[b] && !before)
            log_warn("the board of %s tells no energy: it stays predicted", run->spec.boards[b].id);
    }
}

/* --- prices --- */

static int count_network(const struct search_run *run, const struct arch *arch, double energy_uj,
                         struct err *err, struct energy_network *ret_network) {
    struct graph *graph = NULL;
    struct cost cost;
    int rc = graph_build(run->spec.space, arch, err, &graph);
    if (rc == 0)
        rc = graph_cost(graph, 4, err, &cost);
    if (rc == 0)
        *ret_network =
            (struct energy_network){(double)cost.macs, (double)cost.traffic_bytes, energy_uj};
    free(graph);
    return rc;
}

/* Networks whose energy a board told, each once, and the number of takes that told it. */
static int collect(const struct search_run *run, int board, struct err *err,
                   struct energy_network *networks, size_t *ret_n, int *ret_takes) {
    size_t n = 0;
    int rc = 0, takes = 0;
    for (int i = 0; i < run->n_requests && rc == 0 && n < ENERGY_MAX_NETWORKS; i++) {
        const struct search_request *request = &run->requests[i];
        struct metric energy;
        int told = request->board == board && request->take == 1
                       ? search_measured_energy(run, board, &request->arch, &energy)
                       : 0;
        takes += told;
        if (told > 0)
            rc = count_network(run, &request->arch, energy.value, err, &networks[n++]);
    }
    *ret_n = n;
    *ret_takes = takes;
    return rc;
}

static int emit_prices(struct search_run *run, const struct search_prices *prices,
                       const struct energy_report *report, struct err *err) {
    cJSON *data = energy_fit_describe(&prices->fit, report);
    if (!data)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for prices of energy");
    cJSON_AddStringToObject(data, "profile_id", prices->profile);
    cJSON_AddStringToObject(data, "profile_revision", prices->revision);
    return search_emit(run, "energy_prices", data, err);
}

/* Takes prices that rest on n networks, if those that there are do not rest on more. */
static int fit(struct search_run *run, int energy, const struct energy_network *networks, size_t n,
               struct err *err, bool *ret_changed) {
    struct search_prices *prices = &run->spec.energy[energy];
    struct energy_report report;
    struct energy_fit fitted;
    if (n < ENERGY_MIN_NETWORKS || (int)n < prices->fit.n)
        return 0;
    int rc = energy_fit_networks(networks, n, err, &fitted, &report);
    if (rc != 0)
        return rc;
    prices->fit = fitted;
    energy_evaluator_reprice(run->energy[energy], &fitted);
    *ret_changed = true;
    return prices->revision ? emit_prices(run, prices, &report, err) : 0;
}

int search_fit_prices(struct search_run *run, struct err *err, bool *ret_changed) {
    struct energy_network *networks = mem_array(ENERGY_MAX_NETWORKS, sizeof *networks);
    int rc = networks ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for prices of energy");
    for (int i = 0; i < run->spec.n_energy; i++)
        ret_changed[i] = false;
    for (int b = 0; b < run->spec.n_boards && rc == 0; b++) {
        int energy = run->spec.boards[b].energy;
        size_t n = 0;
        int takes = 0;
        if (energy < 0)
            continue;
        rc = collect(run, b, err, networks, &n, &takes);
        if (rc == 0 && (takes > run->priced[energy] || run->steps == SEARCH_STEPS_UNSETTLED))
            rc = fit(run, energy, networks, n, err, &ret_changed[energy]);
        run->priced[energy] = takes;
    }
    free(networks);
    return rc;
}
