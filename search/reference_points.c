#include "search/reference_points.h"

#include <stddef.h>

#include "base/memory.h"
#include "search/objective.h"

enum { COUNT_MAX = 1 << 20 };

int reference_points_count(int m, int divisions) {
    double count = 1;
    for (int i = 1; i < m; i++)
        count = count * (divisions + i) / i;
    return count < COUNT_MAX ? (int)(count + 0.5) : COUNT_MAX;
}

static int most_divisions(int m, int max) {
    int divisions = 0;
    while (m > 1 && reference_points_count(m, divisions + 1) <= max)
        divisions++;
    return divisions;
}

struct reference_layers reference_layers_of(int m, int divisions, int max) {
    int most = most_divisions(m, REFERENCE_POINTS_MAX);
    divisions = m > 1 && divisions > most ? most : divisions;
    struct reference_layers layers = {divisions, 0};
    if (m > 1 && divisions < m) {
        int inner = most_divisions(m, max - reference_points_count(m, divisions));
        layers.inner = inner < divisions ? inner : divisions - 1;
    }
    return layers;
}

struct reference_layers reference_layers_for(int m, int max) {
    int divisions = most_divisions(m, max);
    return reference_layers_of(m, divisions > 1 ? divisions : 1, max);
}

/* The next row of whole numbers with the same sum, in descending order; false after the last. */
static bool next_row(int m, int *row) {
    int at = m - 2;
    while (at >= 0 && row[at] == 0)
        at--;
    if (at < 0)
        return false;
    int behind = row[m - 1] + 1;
    row[m - 1] = 0;
    row[at]--;
    row[at + 1] = behind;
    return true;
}

/* Appends a layer, drawn towards the middle to the given size. */
static int add_layer(int m, int divisions, double size, double *points) {
    int row[OBJECTIVES_MAX] = {divisions}, n = 0;
    do {
        for (int k = 0; k < m; k++)
            points[n * m + k] = size * row[k] / divisions + (1 - size) / m;
        n++;
    } while (next_row(m, row));
    return n;
}

double *reference_points(int m, struct reference_layers layers, int *ret_n) {
    int n = reference_points_count(m, layers.outer);
    n += layers.inner ? reference_points_count(m, layers.inner) : 0;
    double *points = mem_array((size_t)n * (size_t)m, sizeof *points);
    if (!points)
        return NULL;
    int first = add_layer(m, layers.outer, 1, points);
    if (layers.inner)
        add_layer(m, layers.inner, 0.5, points + first * m);
    *ret_n = n;
    return points;
}
