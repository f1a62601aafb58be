#include "runtime/kernels/neon.h"
/* before what is written for its vectors */
#include "runtime/kernels/dense_vec.h"

void dense_f32_neon(const struct dense_args *a) {
    dense_run_all(a);
}
