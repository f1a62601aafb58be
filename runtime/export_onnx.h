/* Writes a network as an ONNX file (opset 14, float32) that other runtimes run: BN folded, batch
 * size free, input "image" [N, C, H, W], output "logits" (for the graph of a unit alone its last
 * tensor). */
#pragma once

#include "base/error.h"
#include "runtime/plan.h"

/* What stands beside the network in the file (metadata_props): keys differ. */
enum { ONNX_NOTES_MAX = 16 };
struct onnx_note {
    const char *key, *value;
};
struct onnx_notes {
    int n; /* <= ONNX_NOTES_MAX */
    const struct onnx_note *items;
};

/* Writes path atomically. notes may be NULL. weights: those that plan_create takes for graph.
 * Errors: ESP_EINVAL (weights missing or of another graph), ESP_ETOOLARGE (beyond protobuf's 2
 * GiB), ESP_ENOMEM, ESP_EIO, ESP_ENOSPACE. */
int export_onnx(const struct graph *graph, const struct plan_weights *weights,
                const struct onnx_notes *notes, const char *path, struct err *err);
