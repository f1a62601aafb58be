#!/usr/bin/python3
"""Golden values of subnets of a dozen small spaces, as generate.py makes those of a sandwich step: channels on both
sides of the limit below which expansion is merged, no head convolutions behind elastic channels, every kind of block.

    /usr/bin/python3 tests/golden/generate_spaces.py    (Debian's python3-torch; rewrites spaces.* beside it)

spaces.txt      as step.txt, and for each space a line with its JSON; subnets are numbered through all spaces
spaces.bin      little-endian float32

Of a gradient only four numbers are kept: its norm and its products with three noises.
"""
import json, os
import torch
import torch.nn.functional as F

import generate as base
import generate_mixed as mixed


def stage(block, depths, channels, kernels, stride, act, ratios=None, **more):
    st = {"block": block, "depths": depths, "channels": channels, "kernel_sizes": kernels, "stride": stride, "act": act, **more}
    return {**st, "expand_ratios": ratios} if ratios else st


def inverted(depths, channels, kernels, ratios, stride, act, se=False):
    return stage("inverted_residual", depths, channels, kernels, stride, act, ratios, se=se)


def bottleneck(depths, channels, kernels, ratios, stride, act="relu"):
    return stage("bottleneck", depths, channels, kernels, stride, act, ratios)


def conv(depths, channels, kernels, stride, act, residual=False):
    return stage("conv", depths, channels, kernels, stride, act, residual=residual)


def space(stem, stages, expand=0, mix=0, bias=None, act="relu", channels=3, classes=5, sides=(9, 12)):
    head = {"expand_channels": expand, "mix_channels": mix, "act": act}
    if bias is not None:
        head["mix_bias"] = bias
    return {"name": "golden", "input_channels": channels, "n_classes": classes, "resolutions": list(sides),
            "stem": dict(zip(("channels", "kernel_size", "stride", "act"), stem)), "stages": stages, "head": head}


# images; the space; subnets behind the largest: its first choices, then one of each position in turn
SPACES = [
    # the input of an expanding block is below the limit for some subnets and above for others
    (9, space((8, 3, 1, "relu"), [inverted([1], [16, 40], [3], [2], 1, "relu"), inverted([1, 2], [24], [3, 5], [2, 3], 2, "h_swish", True)], 24, 16, True)),
    (16, space((16, 3, 2, "h_swish"), [inverted([1, 2], [32, 64], [3, 7], [1, 2], 1, "h_swish"), inverted([1], [16, 40], [5], [2], 1, "relu6")], 40)),
    (8, space((8, 3, 1, "relu"), [conv([1], [24, 48], [3], 2, "relu"), inverted([2], [24, 48], [3], [2], 1, "relu6", True)], 0, 24, False)),
    (9, space((16, 3, 2, "relu"), [bottleneck([1], [16, 40], [3], [0.5], 1), inverted([1, 2], [32, 40], [3, 5], [1.5], 1, "relu")])),
    # no head convolution behind elastic channels
    (16, space((16, 3, 1, "relu"), [bottleneck([1, 2], [16, 24], [3], [0.5, 1], 1), bottleneck([1, 2], [24, 32], [3], [0.5, 1], 2),
                                    bottleneck([1, 2], [32, 48, 64], [3], [0.5, 1], 2)])),
    (9, space((8, 3, 2, "h_swish"), [conv([1, 2], [8, 24, 40], [3, 5], 1, "h_swish", True)])),
    (8, space((8, 5, 2, "relu6"), [inverted([1, 2], [8, 24], [3, 5], [1, 2], 1, "relu6", True), inverted([1], [16, 40], [3], [3], 2, "h_swish")])),
    (16, space((8, 3, 1, "relu"), [conv([1], [8, 16], [3], 2, "relu"), inverted([1, 2], [8, 16], [3, 5, 7], [1, 2], 1, "h_swish")], 0, 16)),
    # one image
    (1, space((8, 3, 1, "relu"), [inverted([1, 2], [16, 40], [3, 5], [2], 1, "h_swish"), conv([1], [16, 24], [3], 1, "h_swish")])),
    # images that are grouped at the lower resolution only
    (9, space((8, 3, 1, "relu6"), [inverted([1], [8], [3], [3], 1, "relu"), bottleneck([1], [16, 24], [3], [1], 1, "h_swish")], 24, 0, None, "h_swish", 1, 11, (11, 12))),
]


def choice(choices, which):
    """which: "max", "min" or a number"""
    return choices[-1] if which == "max" else choices[0] if which == "min" else choices[which % len(choices)]


def subnet(sp, which, turn):
    def pick(choices):
        nonlocal which
        chosen = choice(choices, which)
        if isinstance(which, int):
            which += turn
        return chosen
    side, stages = pick(sp["resolutions"]), []
    for st in sp["stages"]:
        depth, channels = pick(st["depths"]), pick(st["channels"])
        stages.append((depth, channels, [(pick(st["kernel_sizes"]), pick(st["expand_ratios"]) if "expand_ratios" in st else None) for _ in range(depth)]))
    return side, stages


def arch_text(side, stages):
    return f"r{side}" + "".join(f" | d{d} c{c} " + " ".join(f"k{k}" + ("" if e is None else f"e{e:g}") for k, e in blocks) for d, c, blocks in stages)


def fixed(st, elastic_in):
    """once-for-all names a block that has no choices otherwise"""
    return not elastic_in and all(len(st[k]) == 1 for k in ("channels", "kernel_sizes", "expand_ratios"))


def declare(sp):
    """name -> shape"""
    shapes = {}

    def layer(at, norm, *shape):
        shapes[f"{at}.weight"] = shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (shape[0],)

    stem, head = sp["stem"], sp["head"]
    layer("first_conv.conv", "first_conv.bn", stem["channels"], sp["input_channels"], stem["kernel_size"], stem["kernel_size"])
    choices, b = [stem["channels"]], 0
    for st in sp["stages"]:
        c_out, k = st["channels"][-1], st["kernel_sizes"][-1]
        for i in range(st["depths"][-1]):
            c_in, at = choices[-1], f"blocks.{b}"
            if st["block"] == "conv":
                layer(f"{at}.conv.conv", f"{at}.conv.bn", c_out, c_in, k, k)
            elif st["block"] == "bottleneck":
                mid = base.divisible(round(c_out * st["expand_ratios"][-1]))
                for n, shape in enumerate([(mid, c_in, 1, 1), (mid, mid, k, k), (c_out, mid, 1, 1)], 1):
                    layer(f"{at}.conv{n}.conv.conv", f"{at}.conv{n}.bn.bn", *shape)
                if i == 0 and (st["stride"] > 1 or choices != st["channels"] or len(choices) > 1):
                    layer(f"{at}.downsample.conv.conv", f"{at}.downsample.bn.bn", c_out, c_in, 1, 1)
            else:
                w, norm = ("conv", "bn") if fixed(st, i == 0 and len(choices) > 1) else ("conv.conv", "bn.bn")
                at, ratio = at + ".conv", st["expand_ratios"][-1]
                mid = base.mid_channels(c_in, ratio)
                if ratio > 1:
                    layer(f"{at}.inverted_bottleneck.{w}", f"{at}.inverted_bottleneck.{norm}", mid, c_in, 1, 1)
                layer(f"{at}.depth_conv.{w}", f"{at}.depth_conv.{norm}", mid, 1, k, k)
                for s in range(st["kernel_sizes"][0], k, 2):
                    shapes[f"{at}.depth_conv.conv.{s + 2}to{s}_matrix"] = (s * s, s * s)
                if st["se"]:
                    m, fc = base.divisible(mid / 4), f"{at}.depth_conv.se.fc"
                    shapes.update({f"{fc}.reduce.weight": (m, mid, 1, 1), f"{fc}.reduce.bias": (m,),
                                   f"{fc}.expand.weight": (mid, m, 1, 1), f"{fc}.expand.bias": (mid,)})
                layer(f"{at}.point_linear.{w}", f"{at}.point_linear.{norm}", c_out, mid, 1, 1)
            choices, b = st["channels"], b + 1
    c_in = choices[-1]
    if head["expand_channels"]:
        layer("final_expand_layer.conv", "final_expand_layer.bn", head["expand_channels"], c_in, 1, 1)
        c_in = head["expand_channels"]
    if head["mix_channels"]:
        shapes["feature_mix_layer.conv.weight"] = (head["mix_channels"], c_in, 1, 1)
        if head.get("mix_bias"):
            shapes["feature_mix_layer.conv.bias"] = (head["mix_channels"],)
        c_in = head["mix_channels"]
    shapes["classifier.linear.weight"], shapes["classifier.linear.bias"] = (sp["n_classes"], c_in), (sp["n_classes"],)
    return shapes


class Net(mixed.Net):
    def __init__(self, sp, dtype=torch.float64):
        self.space, self.p = sp, {n: base.initial(n, s).to(dtype) for n, s in declare(sp).items()}
        for n, t in self.p.items():
            t.requires_grad_("running_" not in n)

    def bn(self, at, x, mode):
        """The running statistics stay."""
        c = x.shape[1]
        g, b, m, v = (self.p[f"{at}.{k}"][:c] for k in ("weight", "bias", "running_mean", "running_var"))
        return F.batch_norm(x, None, None, g, b, True, 0, base.EPS) if mode == "train" else F.batch_norm(x, m, v, g, b, False, 0, base.EPS)

    def forward(self, stages, x, mode):
        stem, head, b, elastic_in = self.space["stem"], self.space["head"], 0, False
        x = F.conv2d(x, self.p["first_conv.conv.weight"], None, stem["stride"], stem["kernel_size"] // 2)
        x = self.act(stem["act"], self.bn("first_conv.bn", x, mode))
        for st, (depth, channels, blocks) in zip(self.space["stages"], stages):
            for i, (kernel, ratio) in enumerate(blocks):
                stride = st["stride"] if i == 0 else 1
                if st["block"] == "conv":
                    x = self.plain(b + i, st, channels, kernel, stride, x, mode)
                elif st["block"] == "bottleneck":
                    x = self.bottleneck(b + i, st, channels, kernel, ratio, stride, x, mode)
                else:
                    x = self.block(b + i, st, fixed(st, i == 0 and elastic_in), channels, kernel, ratio, stride, x, mode)
            b += st["depths"][-1]
            elastic_in = len(st["channels"]) > 1
        if head["expand_channels"]:
            x = F.conv2d(x, self.p["final_expand_layer.conv.weight"][:, :x.shape[1]])
            x = self.act(head["act"], self.bn("final_expand_layer.bn", x, mode))
        x = x.mean((2, 3), keepdim=True)
        if head["mix_channels"]:
            w = self.p["feature_mix_layer.conv.weight"][:, :x.shape[1]]
            x = self.act(head["act"], F.conv2d(x, w, self.p.get("feature_mix_layer.conv.bias")))
        x = x.flatten(1)
        return F.linear(x, self.p["classifier.linear.weight"][:, :x.shape[1]], self.p["classifier.linear.bias"])


def trained(sp, stages, x, labels, dtype):
    net = Net(sp, dtype)
    z = net.forward(stages, x.to(dtype), "train")
    loss = F.cross_entropy(z, labels, label_smoothing=base.SMOOTHING)
    loss.backward()
    return z, loss, {n: t.grad for n, t in net.p.items() if t.grad is not None}


PROBES = {}


def probes(name, grad):
    """the norm, and products with three noises"""
    at = (name, grad.numel())
    if at not in PROBES:
        PROBES[at] = [base.single(base.noise(f"probe{p}/{name}", grad.numel())) for p in (1, 2, 3)]
    return torch.stack([grad.norm()] + [(grad.flatten() * probe).sum() for probe in PROBES[at]])


def main():
    out, number = base.Writer(), 0
    for s, (n, sp) in enumerate(SPACES):
        subnets = []
        for at in (("max", 0), ("min", 0), (0, 1), (1, 2)):
            if subnet(sp, *at) not in subnets:
                subnets.append(subnet(sp, *at))
        out.lines.append(f"space {s} {json.dumps(sp)}")
        out.put("counts", s, "images_subnets", torch.tensor([n, len(subnets)]))
        labels = torch.tensor([i % sp["n_classes"] for i in range(n)])
        for side, stages in subnets:
            x = base.single(base.noise(f"images{s}", n * sp["input_channels"] * side ** 2)).reshape(n, -1, side, side)
            out.lines.append(f"arch {number} {arch_text(side, stages)}")
            with torch.no_grad():
                out.put("eval", number, "logits", Net(sp).forward(stages, x, "eval"))
            z, loss, grads = trained(sp, stages, x, labels, torch.float64)
            out.put("train", number, "logits", z)
            out.put("loss", number, "loss", loss)
            single, worst = trained(sp, stages, x, labels, torch.float32)[2], 0
            for name, grad in grads.items():
                out.put("grad", number, name, probes(name, grad))
                if grad.norm() > 1e-9:
                    worst = max(worst, ((single[name].double() - grad).norm() / grad.norm()).item())
            # else a value lies so near a kink of an activation that rounding decides
            print(f"space {s}, subnet {number}: {arch_text(side, stages)}: single precision is off by {worst:.1e}")
            assert worst < 2e-4, "take other images"
            number += 1
    with open(os.path.join(base.HERE, "spaces.txt"), "w") as f:
        f.write("\n".join(out.lines) + "\n")
    with open(os.path.join(base.HERE, "spaces.bin"), "wb") as f:
        f.write(base.struct.pack(f"<{len(out.data)}f", *out.data))
    print(len(out.data) * 4, "bytes")


if __name__ == "__main__":
    main()
