#include "runtime/kernels/neon.h"
/* before what is written for its vectors */
#include "runtime/kernels/elementwise_vec.h"

void affine_f32_neon(const struct affine_args *a) {
    affine_run(a);
}
void stats_f32_neon(const struct stats_args *a) {
    stats_run(a);
}
void linear_f32_neon(const struct linear_args *a) {
    linear_run(a);
}
void to_blocked_f32_neon(const struct layout_args *a) {
    to_blocked_run(a);
}
void from_blocked_f32_neon(const struct layout_args *a) {
    from_blocked_run(a);
}
