#!/usr/bin/python3
"""Inference of subnets of peer_28 and peer_32 in PyTorch on the CPU, for comparing speed: each is cut
out of the supernet as plain modules, as a user would deploy it, and run in the modes that PyTorch has.

    /usr/bin/python3 tests/bench/peer_torch_eval.py --input 3x32x32 --batch 100 --threads 2 --subnet "r32 | ..."

Prints a line of JSON for each --subnet ("largest" and "smallest" are known): milliseconds of each mode
in both layouts, and the best.
"""
import argparse
import json
import statistics
import time
import warnings

import torch
import torch.nn as nn

from peer_torch_step import Supernet, capability, parse_subnet, same, se_channels


def batch_norm(source, n):
    m = nn.BatchNorm2d(n)
    m.weight.data, m.bias.data = source.gamma[:n].detach().clone(), source.beta[:n].detach().clone()
    m.running_mean, m.running_var = source.mean[:n].clone(), source.variance[:n].clone()
    return m


def conv(w, bias=None, **options):
    m = nn.Conv2d(w.size(1) * options.get("groups", 1), w.size(0), w.size(2), bias=bias is not None, **options)
    m.weight.data = w.detach().clone()
    if bias is not None:
        m.bias.data = bias.detach().clone()
    return m


class Frozen(nn.Module):
    def __init__(self, block, kernel, ratio):
        super().__init__()
        c = block.c_in * ratio
        act = nn.Hardswish if block.hswish else nn.ReLU
        self.body = nn.Sequential(
            conv(block.expand[:c]), batch_norm(block.bn1, c), act(),
            conv(block.filters(c, kernel), stride=block.stride, padding=kernel // 2, groups=c), batch_norm(block.bn2, c), act())
        self.se, self.residual = block.se, block.residual
        if block.se:
            h = se_channels(c)
            self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(block.reduce[:h, :c], block.reduce_bias[:h]), nn.ReLU(),
                                      conv(block.excite[:c, :h], block.excite_bias[:c]), nn.Hardsigmoid())
        self.project = nn.Sequential(conv(block.project[:, :c]), batch_norm(block.bn3, block.project.size(0)))

    def forward(self, x):
        y = self.body(x)
        if self.se:
            y = y * self.gate(y)
        y = self.project(y)
        return x + y if self.residual else y


def cut_out(net, subnet):
    depths, kernels, ratios = subnet
    blocks = [Frozen(b, kernels[i], ratios[i]) for i, b in enumerate(net.blocks) if i % 4 < depths[i // 4]]
    stem = [conv(net.stem, padding=1), batch_norm(net.stem_bn, net.stem.size(0)), nn.Hardswish()]
    head = [conv(net.head), batch_norm(net.head_bn, net.head.size(0)), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*stem, *blocks, *head, net.classifier).eval()


def median_ms(fn, seconds):
    for _ in range(3):
        fn()
    ms, end = [], time.perf_counter() + seconds
    while len(ms) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        fn()
        ms.append((time.perf_counter() - start) * 1e3)
    return statistics.median(ms)


warnings.filterwarnings("ignore", message="An output with one or more elements was resized")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--input", default="3x32x32")
    ap.add_argument("--batch", type=int, default=100)
    ap.add_argument("--seconds", type=float, default=0.4, help="of each mode")
    ap.add_argument("--subnet", action="append", required=True)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    c_in, h, w = map(int, a.input.split("x"))
    net = Supernet(c_in).eval()
    named = {"largest": same(-1), "smallest": same(0)}
    for text in a.subnet:
        modes = {}
        with torch.inference_mode():
            frozen = cut_out(net, named.get(text) or parse_subnet(text))
            for layout, form in (("nchw", torch.contiguous_format), ("nhwc", torch.channels_last)):
                x = torch.randn(a.batch, c_in, h, w).to(memory_format=form)
                net_in = frozen.to(memory_format=form)
                traced = torch.jit.freeze(torch.jit.trace(net_in, x))
                optimised = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net_in, x)))
                for mode, fn in (("eager", net_in), ("freeze", traced), ("optimize_for_inference", optimised)):
                    modes[f"{mode} {layout}"] = median_ms(lambda fn=fn, x=x: fn(x), a.seconds)
        best = min(modes, key=modes.get)
        print(json.dumps({"torch": torch.__version__, "capability": capability(), "subnet": text, "batch": a.batch, "threads": a.threads,
                          "modes_ms": modes, "best": best, "best_ms": modes[best]}), flush=True)


main()
