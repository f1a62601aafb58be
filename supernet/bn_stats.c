#include <stdlib.h>

#include "base/memory.h"
#include "supernet/engine.h"

static int count_layers(const struct graph *graph) {
    int n = 0;
    for (int i = 0; i < graph->n_ops; i++)
        n += graph->ops[i].bn;
    return n;
}

static int allocate_layers(struct bn_stats *stats, const struct graph *graph) {
    int layer = 0;
    stats->n_layers = count_layers(graph);
    stats->channels = mem_array((size_t)stats->n_layers, sizeof *stats->channels);
    stats->mean = mem_array((size_t)stats->n_layers, sizeof *stats->mean);
    stats->variance = mem_array((size_t)stats->n_layers, sizeof *stats->variance);
    if (!stats->channels || !stats->mean || !stats->variance)
        return ESP_ENOMEM;
    for (int i = 0; i < graph->n_ops; i++) {
        if (!graph->ops[i].bn)
            continue;
        size_t channels = (size_t)graph->ops[i].c_out;
        stats->channels[layer] = graph->ops[i].c_out;
        stats->mean[layer] = mem_array(channels, sizeof(float));
        stats->variance[layer] = mem_array(channels, sizeof(float));
        if (!stats->mean[layer] || !stats->variance[layer])
            return ESP_ENOMEM;
        layer++;
    }
    return 0;
}

int bn_stats_create(const struct space *space, const struct arch *arch, struct err *err,
                    struct bn_stats **ret_stats) {
    struct graph *graph = NULL;
    struct bn_stats *stats = NULL;
    int rc = graph_build(space, arch, err, &graph);
    if (rc < 0)
        return rc;
    stats = mem_array(1, sizeof *stats);
    rc = stats ? allocate_layers(stats, graph) : ESP_ENOMEM;
    if (rc < 0) {
        err_set(err, rc, NULL, "no memory for a subnet's BN statistics");
        goto out;
    }
    *ret_stats = stats;
    stats = NULL;
out:
    bn_stats_destroy(stats);
    free(graph);
    return rc;
}

void bn_stats_destroy(struct bn_stats *stats) {
    if (!stats)
        return;
    for (int i = 0; i < stats->n_layers; i++) {
        if (stats->mean)
            free(stats->mean[i]);
        if (stats->variance)
            free(stats->variance[i]);
    }
    free(stats->channels);
    free(stats->mean);
    free(stats->variance);
    free(stats);
}
