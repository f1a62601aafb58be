/* Writes a network as one C99 header: weights as arrays with BN folded, the list of ops with their
 * shapes, and a plain forward pass that needs no library. For microcontrollers and for whoever
 * writes kernels of his own. */
#pragma once

#include "base/error.h"
#include "runtime/export_onnx.h"

/* Writes path atomically. notes (may be NULL) become comments. weights: those that plan_create
 * takes for graph. Numbers have nine digits, so that they are read as the same floats. Errors:
 * ESP_EINVAL (weights missing or of another graph), ESP_ENOMEM, ESP_EIO, ESP_ENOSPACE. */
int export_c(const struct graph *graph, const struct plan_weights *weights,
             const struct onnx_notes *notes, const char *path, struct err *err);
