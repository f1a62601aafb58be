/* The passes over pixels of BN and activations: one loop over (channel, pixel) each. */
#include "supernet/kernels/activation_scalar.h"
#include "supernet/kernels/kernels_internal.h"

void act_sums_f32_scalar(const struct act_sums_args *g) {
    for (int c = 0; c < g->channels; c++) {
        double sum = 0;
        for (int p = 0; p < g->pixels; p++)
            sum += bn_act_value(&g->bn_act, c, g->a[blocked(g->a_block, p, c)]);
        g->sum[c] += (float)sum;
    }
}

void act_grad_f32_scalar(const struct act_grad_args *g) {
    for (int c = 0; c < g->channels; c++) {
        float gate = g->gate ? g->gate[c] : 1, add = g->add ? g->add[c] : 0;
        double sum = 0, sum_a = 0;
        for (int p = 0; p < g->pixels; p++) {
            float a = g->a[blocked(g->a_block, p, c)], z = bn_act_pre(&g->bn_act, c, a);
            float dy = g->dy ? g->dy[blocked(g->dy_block, p, c)] : 0;
            float dz = (dy * gate + add) * act_slope(g->bn_act.act, z);
            sum += dz;
            sum_a += (double)dz * a;
            if (g->dz)
                g->dz[blocked(g->dz_block, p, c)] = dz;
            if (g->h)
                g->h[blocked(g->h_block, p, c)] = act_value(g->bn_act.act, z) * gate;
        }
        if (g->sum) {
            g->sum[c] += (float)sum;
            g->sum_a[c] += (float)sum_a;
        }
    }
}

void se_gate_grad_f32_scalar(const struct se_gate_grad_args *g) {
    for (int c = 0; c < g->channels; c++) {
        double sum = 0;
        for (int p = 0; p < g->pixels; p++) {
            float h = bn_act_value(&g->bn_act, c, g->a[blocked(g->a_block, p, c)]);
            sum += g->dy[blocked(g->dy_block, p, c)] * h;
            if (g->h)
                g->h[blocked(g->h_block, p, c)] = h * g->gate[c];
        }
        g->d_gate[c] += (float)sum;
    }
}

void bn_grad_f32_scalar(const struct bn_grad_args *g) {
    for (int c = 0; c < g->channels; c++)
        for (int p = 0; p < g->pixels; p++)
            g->da[blocked(g->da_block, p, c)] =
                g->coef.on_dz[c] * g->dz[blocked(g->dz_block, p, c)] +
                g->coef.on_a[c] * g->a[blocked(g->a_block, p, c)] + g->coef.offset[c];
}
