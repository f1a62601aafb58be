/* How far a front reaches along each objective, after which costs of any units compare: from the
 * ideal point to where the plane through the front's extreme points meets the axes (Deb & Jain
 * 2014, section IV.C), with the safeguards of Blank, Deb & Roy (2019): an intercept beyond the
 * worst member gives way to that, on its axis alone; where there is no plane with positive
 * intercepts the worst of the front stands for all of them; an objective in which the whole front
 * is equal has the range of the members. */
#pragma once

#include "search/objective.h"

struct front_plane {
    int m;
    double ideal[OBJECTIVES_MAX]; /* the front's best */
    double range[OBJECTIVES_MAX]; /* from there to the nadir; above 0 */
};

/* Of n members with costs [n, m], violations [n] and ranks [n], of which one is 0 at least: those
 * of rank 0 are the front; of the others those count that violate no more than it. */
void front_plane_fit(const double *costs, const double *violations, const int *ranks, int n, int m,
                     struct front_plane *ret_plane);
/* A cost of objective k: 0 at the ideal point, 1 at the nadir. */
double front_plane_scaled(const struct front_plane *plane, int k, double cost);
