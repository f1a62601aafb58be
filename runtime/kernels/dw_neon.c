#include "runtime/kernels/neon.h"
/* before what is written for its vectors */
#include "runtime/kernels/dw_vec.h"

void dw_f32_neon(const struct dw_args *a) {
    dw_run(a);
}
void pad_f32_neon(const struct pad_args *a) {
    pad_run(a);
}
