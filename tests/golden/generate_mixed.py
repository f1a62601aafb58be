#!/usr/bin/python3
"""Golden values of a sandwich step of a space of mixed kinds of blocks, as generate.py makes those of
inverted residual blocks, whose noise, initial values and files' form it shares.

    /usr/bin/python3 tests/golden/generate_mixed.py    (Debian's python3-torch; rewrites mixed.* beside it)
"""
import torch
import torch.nn.functional as F

import generate as base

R, N = 12, base.N
SPACE = {
    "name": "golden_mixed", "description": "every kind of block in some ten thousand weights",
    "input_channels": 3, "n_classes": 5, "resolutions": [8, 12],
    "stem": {"channels": 8, "kernel_size": 3, "stride": 1, "act": "relu6"},
    "stages": [
        {"block": "conv", "depths": [1], "channels": [8, 16], "kernel_sizes": [3, 5], "stride": 2, "act": "relu6", "residual": False},
        {"block": "conv", "depths": [1, 2], "channels": [8], "kernel_sizes": [3, 5], "stride": 1, "act": "h_swish", "residual": True},
        {"block": "bottleneck", "depths": [1, 2], "channels": [8, 16], "kernel_sizes": [3], "expand_ratios": [1], "stride": 1, "act": "h_swish"},
        {"block": "bottleneck", "depths": [1], "channels": [24], "kernel_sizes": [3, 5], "expand_ratios": [0.25, 0.7], "stride": 2, "act": "relu"},
        {"depths": [1], "channels": [24], "kernel_sizes": [3], "expand_ratios": [1, 2], "stride": 1, "act": "relu6", "se": True},
        {"block": "conv", "depths": [1], "channels": [16], "kernel_sizes": [3], "stride": 2, "act": "relu", "residual": False},
    ],
    "head": {"expand_channels": 0, "mix_channels": 0, "act": "relu"},
}
# (depth, channels, [(kernel, expand or None) of each kept block]) for each stage
SUBNETS = [
    [(1, 16, [(5, None)]), (2, 8, [(5, None)] * 2), (2, 16, [(3, 1)] * 2), (1, 24, [(5, 0.7)]), (1, 24, [(3, 2)]), (1, 16, [(3, None)])],
    [(1, 8, [(3, None)]), (1, 8, [(3, None)]), (1, 8, [(3, 1)]), (1, 24, [(3, 0.25)]), (1, 24, [(3, 1)]), (1, 16, [(3, None)])],
    [(1, 8, [(5, None)]), (2, 8, [(3, None), (5, None)]), (2, 16, [(3, 1)] * 2), (1, 24, [(5, 0.25)]), (1, 24, [(3, 2)]), (1, 16, [(3, None)])],
    [(1, 16, [(3, None)]), (2, 8, [(5, None), (3, None)]), (1, 8, [(3, 1)]), (1, 24, [(3, 0.7)]), (1, 24, [(3, 1)]), (1, 16, [(3, None)])],
]


def declare():
    """name -> shape"""
    shapes = {}

    def conv(at, out, c_in, k, norm):
        shapes[f"{at}.weight"] = (out, c_in, k, k)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (out,)

    conv("first_conv.conv", SPACE["stem"]["channels"], SPACE["input_channels"], 3, "first_conv.bn")
    c_in, choices, b = SPACE["stem"]["channels"], [SPACE["stem"]["channels"]], 0
    for st in SPACE["stages"]:
        c_out, k = st["channels"][-1], st["kernel_sizes"][-1]
        for i in range(st["depths"][-1]):
            if st.get("block") == "conv":
                conv(f"blocks.{b}.conv.conv", c_out, c_in, k, f"blocks.{b}.conv.bn")
            elif st.get("block") == "bottleneck":
                mid = base.divisible(round(c_out * st["expand_ratios"][-1]))
                for n, sizes in enumerate([(mid, c_in, 1), (mid, mid, k), (c_out, mid, 1)], 1):
                    conv(f"blocks.{b}.conv{n}.conv.conv", *sizes, f"blocks.{b}.conv{n}.bn.bn")
                if i == 0 and (st["stride"] > 1 or choices != st["channels"] or len(choices) > 1):
                    conv(f"blocks.{b}.downsample.conv.conv", c_out, c_in, 1, f"blocks.{b}.downsample.bn.bn")
            else:
                at, mid = f"blocks.{b}.conv", base.mid_channels(c_in, st["expand_ratios"][-1])
                m = base.divisible(mid // 4)
                conv(f"{at}.inverted_bottleneck.conv.conv", mid, c_in, 1, f"{at}.inverted_bottleneck.bn.bn")
                conv(f"{at}.depth_conv.conv.conv", mid, 1, k, f"{at}.depth_conv.bn.bn")
                shapes.update({f"{at}.depth_conv.se.fc.reduce.weight": (m, mid, 1, 1), f"{at}.depth_conv.se.fc.reduce.bias": (m,),
                               f"{at}.depth_conv.se.fc.expand.weight": (mid, m, 1, 1), f"{at}.depth_conv.se.fc.expand.bias": (mid,)})
                conv(f"{at}.point_linear.conv.conv", c_out, mid, 1, f"{at}.point_linear.bn.bn")
            c_in, choices, b = c_out, st["channels"], b + 1
    shapes["classifier.linear.weight"] = (SPACE["n_classes"], c_in)
    shapes["classifier.linear.bias"] = (SPACE["n_classes"],)
    return shapes


ACTS = {"relu": F.relu, "relu6": F.relu6, "h_swish": F.hardswish}


class Net(base.Net):
    def __init__(self):
        self.p = {n: base.initial(n, s) for n, s in declare().items()}
        for n, t in self.p.items():
            t.requires_grad_("running_" not in n)

    def act(self, kind, x):
        return ACTS[kind](x)

    def conv_bn(self, at, norm, x, c_out, kernel, stride, mode):
        """The centre of the leading filters, then BN."""
        w = self.p[f"{at}.weight"]
        cut = (w.shape[2] - kernel) // 2
        w = w[:c_out, :x.shape[1], cut:cut + kernel, cut:cut + kernel]
        return self.bn(norm, F.conv2d(x, w, None, stride, kernel // 2), mode)

    def plain(self, b, st, c_out, kernel, stride, x, mode):
        y = self.act(st["act"], self.conv_bn(f"blocks.{b}.conv.conv", f"blocks.{b}.conv.bn", x, c_out, kernel, stride, mode))
        return x + self.branch(b, y) if st["residual"] and x.shape == y.shape else y

    def bottleneck(self, b, st, c_out, kernel, ratio, stride, x, mode):
        mid, at = base.divisible(round(c_out * ratio)), f"blocks.{b}"
        y = self.act(st["act"], self.conv_bn(f"{at}.conv1.conv.conv", f"{at}.conv1.bn.bn", x, mid, 1, 1, mode))
        y = self.act(st["act"], self.conv_bn(f"{at}.conv2.conv.conv", f"{at}.conv2.bn.bn", y, mid, kernel, stride, mode))
        y = self.conv_bn(f"{at}.conv3.conv.conv", f"{at}.conv3.bn.bn", y, c_out, 1, 1, mode)
        if stride > 1 or x.shape[1] != c_out:
            x = self.conv_bn(f"{at}.downsample.conv.conv", f"{at}.downsample.bn.bn", x, c_out, 1, stride, mode)
        else:
            y = self.branch(b, y)
        return self.act(st["act"], x + y)

    def forward(self, subnet, x, mode):
        x = self.act(SPACE["stem"]["act"], self.bn("first_conv.bn", F.conv2d(x, self.p["first_conv.conv.weight"], None, 1, 1), mode))
        b = 0
        for st, (depth, channels, blocks) in zip(SPACE["stages"], subnet):
            for i, (kernel, ratio) in enumerate(blocks):
                stride = st["stride"] if i == 0 else 1
                if st.get("block") == "conv":
                    x = self.plain(b + i, st, channels, kernel, stride, x, mode)
                elif st.get("block") == "bottleneck":
                    x = self.bottleneck(b + i, st, channels, kernel, ratio, stride, x, mode)
                else:
                    x = self.block(b + i, st, False, channels, kernel, ratio, stride, x, mode)
            b += st["depths"][-1]
        return F.linear(x.mean((2, 3)), self.p["classifier.linear.weight"], self.p["classifier.linear.bias"])


def arch_text(subnet):
    stages = (f" | d{d} c{c} " + " ".join(f"k{k}" + (f"e{e}" if e else "") for k, e in blocks) for d, c, blocks in subnet)
    return f"r{R}" + "".join(stages)


if __name__ == "__main__":
    base.write_step("mixed", SPACE, Net(), SUBNETS, arch_text)
