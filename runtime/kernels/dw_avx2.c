#include "runtime/kernels/avx2.h"
/* before what is written for its vectors */
#include "runtime/kernels/dw_vec.h"

void dw_f32_avx2(const struct dw_args *a) {
    dw_run(a);
}
void pad_f32_avx2(const struct pad_args *a) {
    pad_run(a);
}
