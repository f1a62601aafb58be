#!/usr/bin/env python3
"""Speed of the architecture search in Python, on the OFA MobileNetV3 encoding (20 kernels, 20 expands, 5 depths, 1 resolution).
  python3 peer_search.py nsga2 [generations]                      DEAP NSGA-II, same predictor in numpy, same look-up
"""
import random, sys, time
import numpy as np

KS, ES, DS, RS = (3, 5, 7), (3, 4, 6), (2, 3, 4), (128, 160, 192, 224)
LUT = {(i, k, e, r): (1 + i * .05) * (k + 2 * e) * r * r / 5e5 for i in range(20) for k in KS for e in ES for r in RS}


# --- the accuracy predictor in numpy: one-hot (20 x 3 + 20 x 3 + 4 = 124 wide) - 400 - 400 - 400 - 1
W = [np.random.default_rng(i).normal(0, (2 / a) ** .5, (a, b)).astype("f4") for i, (a, b) in enumerate(((124, 400), (400, 400), (400, 400), (400, 1)))]


def features(pop):
    x = np.zeros((len(pop), 124), "f4")
    for n, g in enumerate(pop):
        for i in range(20):
            if i % 4 < DS[g[40 + i // 4]]:
                x[n, 3 * i + g[i]] = 1; x[n, 60 + 3 * i + g[20 + i]] = 1
        x[n, 120 + g[45]] = 1
    return x


def predict(pop):
    h = features(pop)
    for w in W[:-1]: h = np.maximum(h @ w, 0)
    return (h @ W[-1])[:, 0]


def glat(g):
    return sum(LUT[4 * s + j, KS[g[4 * s + j]], ES[g[20 + 4 * s + j]], RS[g[45]]] for s in range(5) for j in range(DS[g[40 + s]]))


def nsga2(gens):
    from deap import base, creator, tools
    creator.create("Fit", base.Fitness, weights=(1.0, -1.0)); creator.create("Ind", list, fitness=creator.Fit)
    random.seed(1)
    def evaluate(inds):
        for i, a in zip(inds, predict(inds)): i.fitness.values = (float(a), glat(i))
    def sample(): return creator.Ind([random.randrange(3) for _ in range(45)] + [random.randrange(4)])
    up = [2] * 45 + [3]
    t = time.perf_counter()
    pop = [sample() for _ in range(100)]; evaluate(pop); pop = tools.selNSGA2(pop, 100)
    ts = 0.0
    for _ in range(gens):
        off = [creator.Ind(x) for x in tools.selTournamentDCD(pop, 100)]
        for a, b in zip(off[::2], off[1::2]):
            if random.random() < .9: tools.cxUniform(a, b, .5)
            tools.mutUniformInt(a, 0, up, .05); tools.mutUniformInt(b, 0, up, .05)
        evaluate(off)
        u = time.perf_counter(); pop = tools.selNSGA2(pop + off, 100); ts += time.perf_counter() - u
    t = time.perf_counter() - t
    print(f"DEAP NSGA-II: population 100, {gens} generations: {t:.2f} s; {100*(gens+1)/t:.0f} candidates/s; of it {ts:.2f} s in selNSGA2 "
          f"({ts/gens*1e3:.2f} ms a selection of 100 out of 200); 500 generations would take {t/gens*500:.1f} s", flush=True)
    v = []
    for _ in range(5):
        u = time.perf_counter(); predict(pop); v.append(time.perf_counter() - u)
    u = time.perf_counter(); [glat(g) for g in pop]; l = time.perf_counter() - u
    print(f"  of 100 candidates: predictor {min(v)*1e3:.2f} ms (one-hot coding included), look-up {l*1e3:.2f} ms", flush=True)


nsga2(int(sys.argv[2]) if len(sys.argv) > 2 else 500)
