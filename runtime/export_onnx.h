/* Writes a network as an ONNX file (opset 14, float32) that other runtimes run: BN folded, batch
 * size free, input "image" [N, C, H, W], output "logits" (for the graph of a unit alone its last
 * tensor). */
#pragma once

#include <stdbool.h>

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

/* A unit n times in one file (2 to ONNX_LINKS_MAX), for timing it without what surrounds it:
 * weights[n] are each link's own, so that no runtime can take two for one. Links stand in a row,
 * each reading what the one before it has written, where a unit's output can be its input
 * (export_onnx_in_a_row); else all read the image, and the file's output is the sum of theirs.
 * Errors as above, and ESP_EINVAL for n. */
enum { ONNX_LINKS_MAX = 16 };
bool export_onnx_in_a_row(const struct graph *unit);
int export_onnx_chain(const struct graph *unit, struct plan_weights *const *weights, int n,
                      const char *path, struct err *err);
