#include "runtime/kernels/neon.h"
/* before what is written for its vectors */
#include "runtime/kernels/pw_vec.h"

void pw_f32_neon(const struct pw_args *a) {
    pw_run(a);
}
