/* Dominance, ranking and crowding of points whose objectives are costs (all minimised). A point is
 * a row of m numbers; violation 0 is feasible. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Not worse anywhere and better somewhere. */
bool pareto_dominates(const double *a, const double *b, int m);
/* The same with constraints (Deb 2000): feasible before infeasible, less violation before more. */
bool pareto_dominates_constrained(const double *a, double violation_a, const double *b,
                                  double violation_b, int m);

/* Rank of each of n points (row-major costs [n, m]), 0 = not dominated, by constrained dominance;
 * equal rows share a rank. Efficient nondominated sort (Zhang et al. 2015): O(n log n) for two
 * objectives. Rows must not hold NAN; infinite violations are the worst. Returns the number of
 * ranks or ESP_ENOMEM. */
int pareto_rank(const double *costs, const double *violations, int n, int m, int *ret_ranks);

/* The rows of rank 0 alone when all are feasible, in lexicographic order of their costs; equal rows
 * are all among them, in their order. ret_front has room for n. Two objectives: O(n log n); more:
 * O(n * front) comparisons, given up with ESP_ELIMIT beyond PARETO_COMPARISONS_MAX. Rows must not
 * hold NAN. ESP_ENOMEM. */
#define PARETO_COMPARISONS_MAX INT64_C(1000000000) /* some seconds */
int pareto_front(const double *costs, int n, int m, int *ret_front, int *ret_n);

/* Crowding distance (Deb et al. 2002) of the members of one rank: infinite at the ends of each
 * objective. members are row numbers. ret_distances is indexed as members. ESP_ENOMEM. */
int pareto_crowding(const double *costs, int m, const int *members, int n, double *ret_distances);

/* What survivors of a population are chosen by: pareto_rank, and the crowding distance of every row
 * among those of its rank. ret_distances [n]. Returns as pareto_rank. */
int pareto_standing(const double *costs, const double *violations, int n, int m, int *ret_ranks,
                    double *ret_distances);
