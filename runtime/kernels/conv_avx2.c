#include "runtime/kernels/avx2.h"
/* before what is written for its vectors */
#include "runtime/kernels/conv_vec.h"

void conv_f32_avx2(const struct conv_args *a) {
    conv_run(a);
}
