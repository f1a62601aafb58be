/* Reference points of many-objective search: directions in which a front is wanted to have a
 * member, spread evenly over the unit simplex (Das & Dennis 1998; in two layers as Deb & Jain 2014,
 * sec. V, where one has no point inside). */
#pragma once

/* Points of m coordinates in whole divisions: (m + divisions - 1) over (divisions). */
int reference_points_count(int m, int divisions);
struct reference_layers {
    int outer; /* divisions of the simplex, >= 1 */
    int inner; /* of another one of half its size around its middle; 0: there is none */
};
/* The most divisions that give no more than max points (at least 1): with fewer outer ones than
 * objectives, which all lie on the simplex's edge, inner ones as far as max has room. */
struct reference_layers reference_layers_for(int m, int max);
enum { REFERENCE_POINTS_MAX = 10000 };
/* The same with that many outer divisions; fewer where these had more than REFERENCE_POINTS_MAX
 * points. */
struct reference_layers reference_layers_of(int m, int divisions, int max);

/* Points of both layers, rows of m coordinates that sum to 1; NULL on memory exhaustion. m in
 * [1, OBJECTIVES_MAX]. The caller frees. */
double *reference_points(int m, struct reference_layers layers, int *ret_n);
