/* Writes a network as an ONNX file (opset 14, float32) that other runtimes run: BN folded, batch
 * size free, input "image" [N, C, H, W], output "logits" (for the graph of a unit alone its last
 * tensor). */
#pragma once

#include "base/error.h"
#include "runtime/plan.h"

/* Writes path atomically. weights: those that plan_create takes for graph. Errors: ESP_EINVAL
 * (weights missing or of another graph), ESP_ETOOLARGE (beyond protobuf's 2 GiB), ESP_ENOMEM,
 * ESP_EIO, ESP_ENOSPACE. */
int export_onnx(const struct graph *graph, const struct plan_weights *weights, const char *path,
                struct err *err);
