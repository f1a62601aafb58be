#include "runtime/kernels/neon.h"
/* before what is written for its vectors */
#include "runtime/kernels/conv_vec.h"

void conv_f32_neon(const struct conv_args *a) {
    conv_run(a);
}
