#!/usr/bin/python3
"""The sandwich step of peer_28 and peer_32 in PyTorch on the CPU, for comparing speed.

    /usr/bin/python3 tests/bench/peer_torch_step.py --input 3x32x32 --batch 64 --threads 2 --steps 3

Layer for layer the network of the spaces peer_28 (1x28x28) and peer_32 (3x32x32): weights shared by
leading slices, smaller depthwise kernels by learnt matrices, the largest subnet on the labels, the
smallest and two random ones on its logits, one step of SGD with Nesterov momentum. Channels-last
unless --layout nchw. Prints one line of JSON.
"""
import argparse
import json
import random
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

WIDTHS, STRIDES = (16, 24, 40, 80, 96), (1, 2, 2, 2, 1)
HSWISH, SE = (0, 0, 1, 1, 1), (0, 0, 1, 1, 1)
KERNELS, RATIOS, DEPTHS = (3, 5, 7), (3, 4, 6), (2, 3, 4)
HEAD, BLOCKS = 576, len(WIDTHS) * DEPTHS[-1]


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


class Supernet(nn.Module):
    def __init__(self, c_in, classes=10):
        super().__init__()
        self.stem, self.stem_bn, self.blocks = weight(16, c_in, 3, 3), BatchNorm(16), nn.ModuleList()
        c = 16
        for i in range(BLOCKS):
            s, first = i // DEPTHS[-1], i % DEPTHS[-1] == 0
            self.blocks.append(Block(c, WIDTHS[s], STRIDES[s] if first else 1, HSWISH[s], SE[s]))
            c = WIDTHS[s]
        self.head, self.head_bn, self.classifier = weight(HEAD, c, 1, 1), BatchNorm(HEAD), nn.Linear(HEAD, classes)

    def forward(self, x, subnet):
        depths, kernels, ratios = subnet
        x = F.hardswish(self.stem_bn(F.conv2d(x, self.stem, None, 1, 1)))
        for i, block in enumerate(self.blocks):
            if i % DEPTHS[-1] < depths[i // DEPTHS[-1]]:
                x = block(x, kernels[i], ratios[i])
        return self.classifier(F.hardswish(self.head_bn(F.conv2d(x, self.head))).mean((2, 3)))


def random_subnet(rng):
    return rng.choices(DEPTHS, k=len(WIDTHS)), rng.choices(KERNELS, k=BLOCKS), rng.choices(RATIOS, k=BLOCKS)


def parse_subnet(text):
    """an arch in the form of arch_format: r32 | d2 c16 k3e3 k5e4 | ..."""
    depths, kernels, ratios = [], [], []
    for stage in text.split("|")[1:]:
        words = stage.split()
        blocks = [w[1:].split("e") for w in words[2:]]
        rest = [0] * (DEPTHS[-1] - len(blocks))
        depths.append(int(words[0][1:]))
        kernels += [int(k) for k, _ in blocks] + rest
        ratios += [int(e) for _, e in blocks] + rest
    return depths, kernels, ratios


def same(i):
    return [DEPTHS[i]] * len(WIDTHS), [KERNELS[i]] * BLOCKS, [RATIOS[i]] * BLOCKS


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--input", default="3x32x32")
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--steps", type=int, default=3)
    ap.add_argument("--layout", choices=("nhwc", "nchw"), default="nhwc")
    ap.add_argument("--subnet", action="append", help="one of the two between largest and smallest; else random ones")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    rng = random.Random(1)
    c_in, h, w = map(int, a.input.split("x"))
    net = Supernet(c_in).train()
    optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=3e-5)
    x, y = torch.randn(a.batch, c_in, h, w), torch.randint(0, 10, (a.batch,))
    if a.layout == "nhwc":
        x = x.to(memory_format=torch.channels_last)

    def step():
        optimiser.zero_grad(set_to_none=True)
        z = net(x, same(-1))
        F.cross_entropy(z, y, label_smoothing=0.1).backward()
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
    print(json.dumps({"torch": torch.__version__, "layout": a.layout, "batch": a.batch, "threads": a.threads,
                      "step_ms": ms, "median_ms": statistics.median(ms)}))


main()
