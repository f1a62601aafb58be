#!/usr/bin/python3
"""Expected answers of tests/unit/latency/test_interpolate.c, by normal equations and Gaussian elimination. Prints C."""
import math

NEIGHBOURS, NEAR, RIDGE = 48, 0.01, 0.03


def sample(i):
    """The same in the test: sizes that repeat with different periods, a law with a bend, and a wobble."""
    side, c_in, c_out, kernel = 7 + 7 * (i % 4), 16 + 8 * (i % 11), 24 + 16 * (i % 7), 3 + 2 * (i % 3)
    macs = side * side * c_in * c_out * kernel
    us = 2 + macs / (3e3 + 40 * side * c_out) * (1 + 0.01 * (i * 7919 % 11 - 5))
    return [side, c_in, c_out, kernel], us


def solve(a, b):
    n = len(b)
    rows = [a[i][:] + [b[i]] for i in range(n)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(n):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [x - factor * y for x, y in zip(rows[r], rows[i])]
    return [rows[i][n] / rows[i][i] for i in range(n)]


def ask(samples, features):
    at = [math.log1p(f) for f in features]
    points = []
    for index, (f, us) in enumerate(samples):
        x = [math.log1p(v) for v in f]
        points.append((sum((p - q) ** 2 for p, q in zip(x, at)), index, x, math.log(us)))
    points.sort()
    points = points[:NEIGHBOURS]
    rows = [[1] + [p - q for p, q in zip(x, at)] for _, _, x, _ in points]
    weights = [1 / (NEAR + d) for d, _, _, _ in points]
    n = len(rows[0])
    a = [[sum(w * r[i] * r[j] for w, r in zip(weights, rows)) for j in range(n)] for i in range(n)]
    for i in range(1, n):
        a[i][i] += RIDGE * sum(weights) / len(points)
    terms = solve(a, [sum(w * r[i] * p[3] for w, r, p in zip(weights, rows, points)) for i in range(n)])
    total = 0
    for w, r, p in zip(weights, rows, points):
        pull = w * sum(x * y for x, y in zip(r, solve(a, r)))
        equals = sum(q[2] == p[2] for q in points)
        residual = (p[3] - sum(x * y for x, y in zip(r, terms))) / max(1 - pull * equals, 0.1)
        total += w * residual * residual
    return math.exp(terms[0]), math.sqrt(total / sum(weights))


QUESTIONS = [[14, 40, 56, 3], [21, 20, 100, 5], [10, 96, 30, 7], [28, 12, 24, 4]]
for n in (60, 2000):
    for question in QUESTIONS:
        us, sd = ask([sample(i) for i in range(n)], question)
        print("    {%d, {%s}, %.12g, %.12g}," % (n, ", ".join(map(str, question)), us, sd))
