/* Rows of a DyNAS-T log: subnets of once-for-all MobileNetV3 (w1.0), measured on ImageNet. */
#pragma once

#include <stdint.h>

#include "space/arch.h"

enum { DYNAST_BLOCKS = 20, DYNAST_STAGES = 5 };

struct dynast_row {
    int kernels[DYNAST_BLOCKS], ratios[DYNAST_BLOCKS], depths[DYNAST_STAGES], resolution;
    int64_t params, macs;
    double top1; /* per cent */
};

/* Calls row for every row of the log, until it answers other than 0. Returns that answer, 0, or -1
 * after a message about a file that cannot be read. */
int dynast_read(const char *path, int (*row)(void *context, const struct dynast_row *row),
                void *context);
/* The row in the text form of archs of the space ofa_mbv3. */
void dynast_format(const struct dynast_row *row, char ret_text[ARCH_TEXT_MAX]);
