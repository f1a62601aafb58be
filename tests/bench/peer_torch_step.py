#!/usr/bin/python3
"""The sandwich step of peer_28, peer_32 and ofa_mbv3 in PyTorch on the CPU, for comparing speed.

    /usr/bin/python3 tests/bench/peer_torch_step.py --input 3x32x32 --batch 64 --threads 2 --steps 3
    /usr/bin/python3 tests/bench/peer_torch_step.py --net ofa --input 3x128x128 --batch 32

Layer for layer the network of the spaces peer_28 (1x28x28), peer_32 (3x32x32) and, with --net ofa,
once-for-all's MobileNetV3 of width 1.0: weights shared by
leading slices, smaller depthwise kernels by learnt matrices, the largest subnet on the labels, the
smallest and two random ones on its logits, one step of SGD with Nesterov momentum. Channels-last
unless --layout nchw. Prints one line of JSON.
"""
import argparse
import json
import random
import re
import resource
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

KERNELS, RATIOS, DEPTHS = (3, 5, 7), (3, 4, 6), (2, 3, 4)
STAGES, BLOCKS = 5, 5 * DEPTHS[-1]
NETS = {
    "peer": {"widths": (16, 24, 40, 80, 96), "strides": (1, 2, 2, 2, 1), "hswish": (0, 0, 1, 1, 1), "se": (0, 0, 1, 1, 1),
             "stem_stride": 1, "first": False, "head": 576, "mix": 0, "classes": 10},
    "ofa": {"widths": (24, 40, 80, 112, 160), "strides": (2, 2, 2, 1, 2), "hswish": (0, 0, 1, 1, 1), "se": (0, 1, 0, 1, 1),
            "stem_stride": 2, "first": True, "head": 960, "mix": 1280, "classes": 1000},
}


def se_channels(c):
    n = max(8, int(c / 4 + 4) // 8 * 8)
    return n + 8 if n < 0.9 * c / 4 else n


def weight(*shape):
    fan_out = shape[0] * shape[2] * shape[3] if shape[1] > 1 else shape[2] * shape[3]
    return nn.Parameter(torch.randn(*shape) * (2.0 / fan_out) ** 0.5)


class BatchNorm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))
        self.register_buffer("mean", torch.zeros(c))
        self.register_buffer("variance", torch.ones(c))

    def forward(self, x):
        c = x.size(1)
        return F.batch_norm(x, self.mean[:c], self.variance[:c], self.gamma[:c], self.beta[:c], self.training, 0.1, 1e-5)


class Block(nn.Module):
    def __init__(self, c_in, c_out, stride, hswish, se):
        super().__init__()
        mid = c_in * RATIOS[-1]
        self.c_in, self.stride, self.hswish, self.se = c_in, stride, hswish, se
        self.residual = c_in == c_out and stride == 1
        self.expand, self.depthwise, self.project = weight(mid, c_in, 1, 1), weight(mid, 1, 7, 7), weight(c_out, mid, 1, 1)
        self.to5, self.to3 = nn.Parameter(torch.eye(25)), nn.Parameter(torch.eye(9))
        self.bn1, self.bn2, self.bn3 = BatchNorm(mid), BatchNorm(mid), BatchNorm(c_out)
        if se:
            hidden = se_channels(mid)
            self.reduce, self.reduce_bias = weight(hidden, mid, 1, 1), nn.Parameter(torch.zeros(hidden))
            self.excite, self.excite_bias = weight(mid, hidden, 1, 1), nn.Parameter(torch.zeros(mid))

    def filters(self, c, kernel):
        w = self.depthwise[:c]
        if kernel < 7:
            w = (w[:, :, 1:6, 1:6].reshape(c, 25) @ self.to5.t()).view(c, 1, 5, 5)
        if kernel < 5:
            w = (w[:, :, 1:4, 1:4].reshape(c, 9) @ self.to3.t()).view(c, 1, 3, 3)
        return w.contiguous()

    def act(self, x):
        return F.hardswish(x) if self.hswish else F.relu(x)

    def forward(self, x, kernel, ratio):
        c = self.c_in * ratio
        y = self.act(self.bn1(F.conv2d(x, self.expand[:c])))
        y = self.act(self.bn2(F.conv2d(y, self.filters(c, kernel), None, self.stride, kernel // 2, 1, c)))
        if self.se:
            hidden = se_channels(c)
            s = y.mean((2, 3), keepdim=True)
            s = F.relu(F.conv2d(s, self.reduce[:hidden, :c].contiguous(), self.reduce_bias[:hidden]))
            y = y * F.hardsigmoid(F.conv2d(s, self.excite[:c, :hidden].contiguous(), self.excite_bias[:c]))
        y = self.bn3(F.conv2d(y, self.project[:, :c].contiguous()))
        return x + y if self.residual else y


class FirstBlock(nn.Module):
    """Depthwise 3x3 and project, no choices, as the first block of once-for-all's network."""

    def __init__(self, c):
        super().__init__()
        self.depthwise, self.project, self.bn1, self.bn2 = weight(c, 1, 3, 3), weight(c, c, 1, 1), BatchNorm(c), BatchNorm(c)

    def forward(self, x):
        y = F.relu(self.bn1(F.conv2d(x, self.depthwise, None, 1, 1, 1, x.size(1))))
        return x + self.bn2(F.conv2d(y, self.project))


class Supernet(nn.Module):
    def __init__(self, c_in, net="peer"):
        super().__init__()
        n = NETS[net]
        self.stem, self.stem_bn, self.stem_stride = weight(16, c_in, 3, 3), BatchNorm(16), n["stem_stride"]
        self.first, self.blocks = FirstBlock(16) if n["first"] else None, nn.ModuleList()
        c = 16
        for i in range(BLOCKS):
            s, first = i // DEPTHS[-1], i % DEPTHS[-1] == 0
            self.blocks.append(Block(c, n["widths"][s], n["strides"][s] if first else 1, n["hswish"][s], n["se"][s]))
            c = n["widths"][s]
        self.head, self.head_bn = weight(n["head"], c, 1, 1), BatchNorm(n["head"])
        self.mix = weight(n["mix"], n["head"], 1, 1) if n["mix"] else None
        self.classifier = nn.Linear(n["mix"] or n["head"], n["classes"])

    def forward(self, x, subnet):
        depths, kernels, ratios = subnet
        x = F.hardswish(self.stem_bn(F.conv2d(x, self.stem, None, self.stem_stride, 1)))
        if self.first is not None:
            x = self.first(x)
        for i, block in enumerate(self.blocks):
            if i % DEPTHS[-1] < depths[i // DEPTHS[-1]]:
                x = block(x, kernels[i], ratios[i])
        x = F.hardswish(self.head_bn(F.conv2d(x, self.head))).mean((2, 3), keepdim=True)
        if self.mix is not None:
            x = F.hardswish(F.conv2d(x, self.mix))
        return self.classifier(x.flatten(1))


def random_subnet(rng):
    return rng.choices(DEPTHS, k=STAGES), rng.choices(KERNELS, k=BLOCKS), rng.choices(RATIOS, k=BLOCKS)


def parse_subnet(text):
    """an arch in the form of arch_format: r32 | d2 c16 k3e3 k5e4 | ..."""
    depths, kernels, ratios = [], [], []
    for stage in text.split("|")[-STAGES:]:
        words = stage.split()
        blocks = [w[1:].split("e") for w in words[2:]]
        rest = [0] * (DEPTHS[-1] - len(blocks))
        depths.append(int(words[0][1:]))
        kernels += [int(k) for k, _ in blocks] + rest
        ratios += [int(e) for _, e in blocks] + rest
    return depths, kernels, ratios


def same(i):
    return [DEPTHS[i]] * STAGES, [KERNELS[i]] * BLOCKS, [RATIOS[i]] * BLOCKS


def capability():
    """The instruction set of PyTorch's own kernels."""
    return re.search(r"CPU capability usage: (.*)", torch.__config__.show()).group(1)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--input", default="3x32x32")
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--steps", type=int, default=3)
    ap.add_argument("--net", choices=sorted(NETS), default="peer")
    ap.add_argument("--only-smallest", action="store_true", help="the smallest subnet alone, on the labels")
    ap.add_argument("--layout", choices=("nhwc", "nchw"), default="nhwc")
    ap.add_argument("--subnet", action="append", help="one of the two between largest and smallest; else random ones")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    rng = random.Random(1)
    c_in, h, w = map(int, a.input.split("x"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    net = Supernet(c_in, a.net).train()
    classes = NETS[a.net]["classes"]
    optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=3e-5)
    x, y = torch.randn(a.batch, c_in, h, w), torch.randint(0, classes, (a.batch,))
    if a.layout == "nhwc":
        x = x.to(memory_format=torch.channels_last)

    def step():
        optimiser.zero_grad(set_to_none=True)
        z = net(x, same(0 if a.only_smallest else -1))
        F.cross_entropy(z, y, label_smoothing=0.1).backward()
        if a.only_smallest:
            optimiser.step()
            return
        target = F.softmax(z.detach(), 1)
        others = [parse_subnet(t) for t in a.subnet] if a.subnet else [random_subnet(rng), random_subnet(rng)]
        for subnet in [same(0)] + others:
            (-(target * F.log_softmax(net(x, subnet), 1)).sum(1).mean()).backward()
        optimiser.step()

    step()
    ms = []
    for _ in range(a.steps):
        start = time.perf_counter()
        step()
        ms.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({"torch": torch.__version__, "capability": capability(), "layout": a.layout, "batch": a.batch, "threads": a.threads,
                      "step_ms": ms, "median_ms": statistics.median(ms),
                      "memory_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}))


if __name__ == "__main__":
    main()
