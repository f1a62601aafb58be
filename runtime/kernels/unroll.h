/* How the vector kernels' functions are inlined and their loops unrolled. */
#pragma once

#define INLINE static inline __attribute__((always_inline))
/* Arrays of accumulators live in registers only when every loop over them is unrolled. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
