/* Channel sorting: before narrower subnets are trained, each block's middle channels are put in
 * the order of their importance, so that the leading slice that a narrower subnet uses holds the
 * most important ones. Source: Cai et al. 2020, sec. 3.2 and its code (re_organize_middle_weights).
 */
#pragma once

#include "supernet/supernet.h"

struct channel_sort_options {
    /* How many of a stage's expand ratios, counted from the largest, have been trained so far (at
     * least 1; beyond a stage's number: all). Channels change places only inside the groups that
     * these widths part, so every subnet of trained widths computes the same as before. */
    int trained_ratios;
    /* true: the hidden channels of SE are sorted as a whole, as once-for-all does even where
     * narrower widths have been trained (which changes those subnets); false: they keep their
     * groups too. The same when trained_ratios is 1. */
    bool se_as_a_whole;
};

/* Importance of a middle channel is the sum of |weight| of the projection that reads it, of an SE
 * channel that of SE's expansion; ties keep their order. Weights, gradients, momentum, the moving
 * average and BN statistics move together (a frozen teacher has an order of its own). Blocks that
 * never expand are left alone, and so are the channels of ratio 1 once it has been trained (its
 * subnets filter the block's input, whose order is fixed). Errors: ESP_EINVAL, ESP_ENOMEM (the
 * supernet is then untouched). */
int channel_sort(struct supernet *supernet, const struct channel_sort_options *options,
                 struct err *err);
