/* A graph from hostile JSON, as a board gets it: refused with an error, or one whose links, shapes
 * and sizes a runtime can rely on. */
#include <stdlib.h>

#include "base/json.h"
#include "space/cost.h"
#include "tests/fuzz/fuzz.h"

static void require(bool ok) {
    if (!ok)
        abort();
}

static void check_op(const struct graph *graph, int index) {
    const struct op *op = &graph->ops[index];
    require(op->input >= 0 && op->input <= index && op->output == index + 1 &&
            op->residual <= index);
    const struct tensor_shape *in = &graph->tensors[op->input], *out = &graph->tensors[index + 1];
    require(op->c_in == in->channels && op->h_in == in->height && op->w_in == in->width);
    require(op->c_out == out->channels && op->h_out == out->height && op->w_out == out->width);
    require(op->c_out > 0 && op->h_out > 0 && op->w_out > 0);
    if (op->residual >= 0) {
        const struct tensor_shape *added = &graph->tensors[op->residual];
        require(added->channels == out->channels && added->height == out->height &&
                added->width == out->width);
    }
}

int fuzz_one(const uint8_t *data, size_t size) {
    cJSON *doc = NULL;
    struct graph *graph = NULL;
    struct err err = {0};
    struct cost cost;
    if (json_parse((const char *)data, size, &json_limits_default, &err, &doc))
        return 0;
    if (graph_from_json(doc, "", &err, &graph) == 0) {
        for (int i = 0; i < graph->n_ops; i++)
            check_op(graph, i);
        require(graph_cost(graph, 4, &err, &cost) == 0);
        require((double)cost.macs <= SPACE_MACS_MAX && (double)cost.model_bytes <= SPACE_BYTES_MAX);
        require((double)cost.peak_activation_bytes <= SPACE_BYTES_MAX);
    } else {
        require(err.code < 0 && err.message[0] && !graph);
    }
    cJSON_Delete(doc);
    free(graph);
    return 0;
}
