/* Small dense systems. */
#pragma once

#include <stddef.h>

/* Factors a symmetric positive definite a [n, n] = L L', of which the lower half is read, into L in
 * place (the upper half stays as it was). A pivot that rounding made negative or zero is lifted to
 * the smallest positive one, so that a semidefinite a gives some finite solution. */
void cholesky_factor(double *a, size_t n);
/* L z = b (half of a solution: |z|^2 = b' a^-1 b). b [n] becomes z. */
void cholesky_forward(const double *l, size_t n, double *b);
/* L' z = b. b [n] becomes z. */
void cholesky_backward(const double *l, size_t n, double *b);
