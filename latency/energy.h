/* Prices of energy of a profile: what a multiply-and-add, a byte of traffic and a run cost a board
 * that tells its energy, fitted on networks that were measured as a whole. Shrunk towards the
 * literature's prices in the board's own scale: those are of one old process, so how they stand to
 * each other is worth something and how high they are is not. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "latency/quality.h"
#include "space/cost.h"

enum { ENERGY_MIN_NETWORKS = 3, ENERGY_MAX_NETWORKS = 5000 };
#define ENERGY_LEVEL CALIBRATION_LEVEL /* of the intervals */

/* Given prices may be off by a factor of two, nine times of ten. */
#define ENERGY_GIVEN_SD 0.4214

struct energy_network {
    double macs, traffic_bytes; /* as graph_cost counts them at 4 bytes an element; > 0 */
    double measured_uj;         /* of one run; > 0 */
};

struct energy_fit {
    double mac_pj, byte_pj; /* >= 0, not both 0 where run_uj is 0 */
    double run_uj;          /* of every run, whatever the network; >= 0 */
    int n;                  /* networks that it was fitted on; 0: none, prices that were given */
    double strength;        /* of the shrinkage; infinite (as JSON: null): the literature's prices
                               times one number */
    double residual_sd; /* of log(measured / predicted), networks left out in turn; of prices that
                           were given ENERGY_GIVEN_SD, which nobody has seen */
};

struct energy_report {
    struct latency_quality before; /* the literature's prices as they are */
    struct latency_quality after;  /* each network by a fit of others, its strength chosen among
                                      those; the interval is that fit's */
};

/* The prices of space/cost.h. */
extern const struct energy_fit energy_fit_literature;

/* Minimises the sum of ((predicted - measured) / measured)^2 + strength * (the squares of how far
 * the prices, in units of the literature's times the scale that fits best alone, are from 1, and
 * run_uj, in units of a typical network, from 0), prices being >= 0. The strength is that whose
 * mean |log(measured / predicted)| on networks left out in turn (in 40 folds when there are more)
 * is least. Deterministic. Errors: ESP_EMISSING (fewer than ENERGY_MIN_NETWORKS), ESP_EINVAL (a
 * value not positive and finite), ESP_ELIMIT, ESP_ENOMEM. */
int energy_fit_networks(const struct energy_network *networks, size_t n, struct err *err,
                        struct energy_fit *ret_fit, struct energy_report *ret_report);

/* What is not known of networks' energy before any is measured, for latency/design.h: prices that
 * are off by a factor, of networks in which they have the shares of the literature's. [n][n];
 * measured_uj is not read. */
void energy_covariance(const struct energy_network *networks, size_t n, double *ret_covariance);

/* Microjoules of one run; at the literature's prices to the bit those of cost_energy. */
double energy_fit_apply(const struct energy_fit *fit, double macs, double traffic_bytes);
/* As calibration_interval_factor, but at most 1000; of given prices that of a normal distribution:
 * 2, or 1 where their residual_sd is 0 (the literature's). */
double energy_fit_factor(const struct energy_fit *fit);

/* {"mac_pj", "byte_pj", "run_uj", "n", "strength", "residual_sd"}; NULL on memory exhaustion. */
cJSON *energy_fit_to_json(const struct energy_fit *fit);
/* The same with "interval" (energy_fit_factor - 1), "before" and "after", as the API shows a fit;
 * these are null without a report, for nobody knows how good given prices are. NULL on memory
 * exhaustion. */
cJSON *energy_fit_describe(const struct energy_fit *fit, const struct energy_report *report);
/* Prices that somebody knows, with ENERGY_GIVEN_SD: mac_pj, byte_pj and run_uj (0 where it is not
 * there) of doc. Other members are the caller's. Errors: ESP_EINVAL. */
int energy_fit_given(const cJSON *doc, const char *at, struct err *err, struct energy_fit *ret_fit);
/* Other members are the caller's. Errors: ESP_EINVAL. */
int energy_fit_from_json(const cJSON *doc, const char *at, struct err *err,
                         struct energy_fit *ret_fit);
