#include "devices/outputs.h"

#include <math.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "devices/plausible.h"
#include "runtime/export_onnx.h"

int outputs_expect(const struct graph *graph, const struct plan_weights *weights,
                   const float *input, struct err *err, float **ret_outputs, size_t *ret_n) {
    const struct tensor_shape *last = &graph->tensors[graph->ops[graph->n_ops - 1].output];
    size_t n = (size_t)last->channels * (size_t)last->height * (size_t)last->width;
    struct plan_options options = {.cpu_flags = CPU_SSE2, .batch = 1};
    struct plan *plan = NULL;
    float *outputs = NULL;
    int rc = plan_create(graph, weights, &options, err, &plan);

    if (!rc && !(outputs = mem_array(n, sizeof(*outputs))))
        rc = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (!rc)
        rc = plan_run(plan, input, 1, outputs);
    plan_destroy(plan);
    if (rc) {
        free(outputs);
        return rc;
    }
    *ret_outputs = outputs;
    *ret_n = n;
    return 0;
}

int outputs_expect_chain(const struct graph *unit, struct plan_weights *const *weights, int n,
                         const float *input, struct err *err, float **ret_outputs, size_t *ret_n) {
    bool in_a_row = export_onnx_in_a_row(unit);
    float *sum = NULL, *outputs = NULL;
    size_t n_outputs = 0;
    int rc = 0;

    for (int link = 0; link < n && !rc; link++) {
        rc = outputs_expect(unit, weights[link], in_a_row && sum ? sum : input, err, &outputs,
                            &n_outputs);
        for (size_t i = 0; !rc && !in_a_row && sum && i < n_outputs; i++)
            outputs[i] += sum[i];
        if (!rc) {
            free(sum);
            sum = outputs;
        }
    }
    if (rc) {
        free(sum);
        return rc;
    }
    *ret_outputs = sum;
    *ret_n = n_outputs;
    return 0;
}

int outputs_compare(const float *outputs, const float *expected, size_t n, double tolerance,
                    struct err *err, double *ret_error) {
    double error = 0, largest = 0;

    for (size_t i = 0; i < n; i++) {
        if (!isfinite(outputs[i]))
            return err_set(err, ESP_EINVAL, NULL, "output %zu is not finite", i);
        error = fmax(error, fabs((double)outputs[i] - (double)expected[i]));
        largest = fmax(largest, fabs((double)expected[i]));
    }
    if (error > tolerance * largest)
        return err_set(err, ESP_EINVAL, NULL,
                       "its outputs differ by %.2g of the largest (at most %g)", error / largest,
                       tolerance);
    *ret_error = largest > 0 ? error / largest : 0;
    return 0;
}

void outputs_tell(cJSON *result, const float *outputs, size_t n, double error, double tolerance) {
    cJSON *first = cJSON_AddArrayToObject(result, "outputs");

    for (size_t i = 0; i < n && i < PLAUSIBLE_OUTPUTS_MAX; i++)
        cJSON_AddItemToArray(first, cJSON_CreateNumber((double)outputs[i]));
    cJSON_AddNumberToObject(result, "output_error", error);
    cJSON_AddNumberToObject(result, "output_tolerance", tolerance);
}
