/* What this processor can do, for choosing kernels at run time. */
#pragma once

#include <stdint.h>

enum cpu_flag {
    CPU_SSE2 = 1,
    CPU_AVX2 = 2 /* with FMA */,
    CPU_AVX512 = 4 /* F, BW, DQ, VL */,
    CPU_NEON = 8
};

uint32_t cpu_flags(void);         /* what this processor and kernel offer, and the mask allows */
void cpu_set_mask(uint32_t mask); /* --cpu-mask: flags outside mask are as if absent */
const char *cpu_model_name(void); /* "AMD EPYC …" or "unknown"; static */
