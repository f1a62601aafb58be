/* Writes a network as one C99 header: weights as arrays with BN folded, the list of ops with their
 * shapes, and a plain forward pass that needs no library. For microcontrollers and for whoever
 * writes kernels of his own. All names hold an id of the network's ops and weights, so that one
 * file can include several; the one that comes first has names without it too (espalier_net_run).
 */
#pragma once

#include "base/error.h"
#include "runtime/export_onnx.h"

/* Writes path atomically. notes (may be NULL) become comments. weights: those that plan_create
 * takes for graph. Numbers have nine digits, so that they are read as the same floats. Errors:
 * ESP_EINVAL (weights missing, of another graph or not
 * finite), ESP_ENOMEM, ESP_EIO, ESP_ENOSPACE. */
int export_c(const struct graph *graph, const struct plan_weights *weights,
             const struct onnx_notes *notes, const char *path, struct err *err);
