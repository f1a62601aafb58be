#include "runtime/kernels/avx2.h"
/* before what is written for its vectors */
#include "runtime/kernels/pw_vec.h"

void pw_f32_avx2(const struct pw_args *a) {
    pw_run(a);
}
