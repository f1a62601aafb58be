#!/usr/bin/python3
"""Golden values of a sandwich step, by a re-statement of the supernet in PyTorch and double precision.

    /usr/bin/python3 tests/golden/generate.py          (Debian's python3-torch; rewrites the files beside it)

step.json       the space
step.txt        one line a record: what, subnet, name, first float in step.bin, how many
step.bin        little-endian float32

Weights, images and labels are not stored: both sides compute them from the names (see `noise`).
The step: the largest subnet on smoothed labels, then the smallest and two others on the largest
one's logits; batch statistics; running statistics with momentum 0.1. Gradients are each subnet's own.
Behind it, as subnet 4, the largest once more with drop-connect, whose draws are those of base/rng.h (Philox4x32-10).
"""
import json, math, os, struct
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
DROP_CONNECT, DROP_SEED, DROP_STEP, RNG_DROP_CONNECT, BLOCKS_MAX = 0.8, 7, 3, 14, 64
N, RESOLUTION, SMOOTHING, MOMENTUM, EPS = 20, 12, 0.1, 0.1, 1e-5
SPACE = {
    "name": "golden", "description": "every kind of layer in a few thousand weights",
    "input_channels": 3, "n_classes": 5, "resolutions": [8, 12],
    "stem": {"channels": 8, "kernel_size": 3, "stride": 1, "act": "h_swish"},
    "stages": [
        {"depths": [1], "channels": [8], "kernel_sizes": [3], "expand_ratios": [1], "stride": 1, "act": "relu", "se": False},
        {"depths": [1, 2], "channels": [8, 16], "kernel_sizes": [3, 5, 7], "expand_ratios": [1, 2], "stride": 2, "act": "relu", "se": False},
        {"depths": [1], "channels": [16], "kernel_sizes": [3, 5], "expand_ratios": [1, 2], "stride": 2, "act": "h_swish", "se": True},
        {"depths": [1], "channels": [16], "kernel_sizes": [3, 5], "expand_ratios": [2], "stride": 1, "act": "h_swish", "se": True},
    ],
    "head": {"expand_channels": 24, "mix_channels": 16, "mix_bias": True, "act": "h_swish"},
}
# (depth, channels, [(kernel, expand) of each kept block]) for each stage
SUBNETS = [
    [(1, 8, [(3, 1)]), (2, 16, [(7, 2), (7, 2)]), (1, 16, [(5, 2)]), (1, 16, [(5, 2)])],
    [(1, 8, [(3, 1)]), (1, 8, [(3, 1)]), (1, 16, [(3, 1)]), (1, 16, [(3, 2)])],
    [(1, 8, [(3, 1)]), (2, 8, [(5, 2), (3, 2)]), (1, 16, [(3, 2)]), (1, 16, [(5, 2)])],
    [(1, 8, [(3, 1)]), (2, 16, [(7, 1), (5, 2)]), (1, 16, [(5, 1)]), (1, 16, [(3, 2)])],
]


def noise(name, count):
    """count numbers in [-1, 1) that depend on the name: FNV-1a, then a mixing of the index."""
    h = 2166136261
    for byte in name.encode():
        h = ((h ^ byte) * 16777619) & 0xFFFFFFFF
    out = []
    for i in range(count):
        x = (h + i * 2654435761) & 0xFFFFFFFF
        x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
        x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
        out.append((x ^ (x >> 16)) / 2147483648.0 - 1.0)
    return torch.tensor(out, dtype=torch.float64)


def philox(key, counter):
    k, x = list(key), list(counter)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [(p1 >> 32) ^ x[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ x[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return x


def drop_factors(n_blocks):
    """[block][image]: what a residual block's branch is multiplied with"""
    key, factors = philox((DROP_SEED, 0), (RNG_DROP_CONNECT, 0, 0, 0))[:2], []
    for block in range(n_blocks):
        rate, row = DROP_CONNECT * block / n_blocks, []
        for image in range(N):
            x = philox(key, (0, image * BLOCKS_MAX + block, DROP_STEP, 0))
            row.append(0.0 if ((x[0] << 32 | x[1]) >> 11) / 2.0 ** 53 < rate else 1 / (1 - rate))
        factors.append(torch.tensor(row, dtype=torch.float64).reshape(N, 1, 1, 1))
    return factors


def single(t):
    return t.to(torch.float32).to(torch.float64)


def divisible(v):
    n = max(8, int(v + 4) // 8 * 8)
    return n + 8 if n < 0.9 * v else n


def mid_channels(c_in, ratio):
    return divisible(round(c_in * ratio)) if ratio > 1 else c_in


def declare():
    """name -> shape, in the names of once-for-all"""
    shapes = {}

    def bn(at, c):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{at}.{part}"] = (c,)

    shapes["first_conv.conv.weight"] = (SPACE["stem"]["channels"], SPACE["input_channels"], 3, 3)
    bn("first_conv.bn", SPACE["stem"]["channels"])
    c_in, elastic_in, b = SPACE["stem"]["channels"], False, 0
    for st in SPACE["stages"]:
        c_out = st["channels"][-1]
        for i in range(st["depths"][-1]):
            fixed = not elastic_in and all(len(st[k]) == 1 for k in ("channels", "kernel_sizes", "expand_ratios"))
            conv, norm = ("conv", "bn") if fixed else ("conv.conv", "bn.bn")
            at, ratio, k = f"blocks.{b}.conv", st["expand_ratios"][-1], st["kernel_sizes"][-1]
            mid = mid_channels(c_in, ratio)
            if ratio > 1:
                shapes[f"{at}.inverted_bottleneck.{conv}.weight"] = (mid, c_in, 1, 1)
                bn(f"{at}.inverted_bottleneck.{norm}", mid)
            shapes[f"{at}.depth_conv.{conv}.weight"] = (mid, 1, k, k)
            for s in range(st["kernel_sizes"][0], k, 2):
                shapes[f"{at}.depth_conv.conv.{s + 2}to{s}_matrix"] = (s * s, s * s)
            bn(f"{at}.depth_conv.{norm}", mid)
            if st["se"]:
                m = divisible(mid / 4)
                shapes[f"{at}.depth_conv.se.fc.reduce.weight"] = (m, mid, 1, 1)
                shapes[f"{at}.depth_conv.se.fc.reduce.bias"] = (m,)
                shapes[f"{at}.depth_conv.se.fc.expand.weight"] = (mid, m, 1, 1)
                shapes[f"{at}.depth_conv.se.fc.expand.bias"] = (mid,)
            shapes[f"{at}.point_linear.{conv}.weight"] = (c_out, mid, 1, 1)
            bn(f"{at}.point_linear.{norm}", c_out)
            c_in, b = c_out, b + 1
            elastic_in = False
        elastic_in = len(st["channels"]) > 1
    head = SPACE["head"]
    shapes["final_expand_layer.conv.weight"] = (head["expand_channels"], c_in, 1, 1)
    bn("final_expand_layer.bn", head["expand_channels"])
    shapes["feature_mix_layer.conv.weight"] = (head["mix_channels"], head["expand_channels"], 1, 1)
    shapes["feature_mix_layer.conv.bias"] = (head["mix_channels"],)
    shapes["classifier.linear.weight"] = (SPACE["n_classes"], head["mix_channels"])
    shapes["classifier.linear.bias"] = (SPACE["n_classes"],)
    return shapes


def initial(name, shape):
    count = math.prod(shape)
    x = noise(name, count)
    if name.endswith("_matrix"):
        x = torch.eye(shape[0], dtype=torch.float64).flatten() + 0.1 * x
    elif name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
        x = 1 + 0.5 * x
    elif len(shape) == 1:
        x = 0.5 * x
    else:
        x = x * math.sqrt(3.0 / math.prod(shape[1:]))
    return single(x).reshape(shape)


class Net:
    drop = None

    def branch(self, b, y):
        return y if self.drop is None else y * self.drop[b]

    def __init__(self):
        self.p = {n: initial(n, s) for n, s in declare().items()}
        for n, t in self.p.items():
            t.requires_grad_("running_" not in n)

    def bn(self, at, x, mode):
        c = x.shape[1]
        g, b, m, v = (self.p[f"{at}.{k}"][:c] for k in ("weight", "bias", "running_mean", "running_var"))
        return F.batch_norm(x, m, v, g, b, mode == "train", MOMENTUM, EPS)  # updates the slices m, v in place

    def act(self, kind, x):
        return F.relu(x) if kind == "relu" else F.hardswish(x)

    def block(self, b, st, fixed, c_out, kernel, ratio, stride, x, mode):
        conv, norm = ("conv", "bn") if fixed else ("conv.conv", "bn.bn")
        at, c_in = f"blocks.{b}.conv", x.shape[1]
        mid, y = mid_channels(c_in, ratio), x
        if ratio > 1:
            y = F.conv2d(y, self.p[f"{at}.inverted_bottleneck.{conv}.weight"][:mid, :c_in])
            y = self.act(st["act"], self.bn(f"{at}.inverted_bottleneck.{norm}", y, mode))
        w = self.p[f"{at}.depth_conv.{conv}.weight"][:mid]
        while w.shape[2] > kernel:
            k = w.shape[2] - 2
            w = (w[:, :, 1:-1, 1:-1].reshape(mid, k * k) @ self.p[f"{at}.depth_conv.conv.{k + 2}to{k}_matrix"].t()).reshape(mid, 1, k, k)
        y = F.conv2d(y, w, None, stride, kernel // 2, 1, mid)
        y = self.act(st["act"], self.bn(f"{at}.depth_conv.{norm}", y, mode))
        if st["se"]:
            m, fc = divisible(mid / 4), f"{at}.depth_conv.se.fc"
            s = y.mean((2, 3), keepdim=True)
            s = F.relu(F.conv2d(s, self.p[f"{fc}.reduce.weight"][:m, :mid], self.p[f"{fc}.reduce.bias"][:m]))
            y = y * F.hardsigmoid(F.conv2d(s, self.p[f"{fc}.expand.weight"][:mid, :m], self.p[f"{fc}.expand.bias"][:mid]))
        y = self.bn(f"{at}.point_linear.{norm}", F.conv2d(y, self.p[f"{at}.point_linear.{conv}.weight"][:c_out, :mid]), mode)
        return x + self.branch(b, y) if stride == 1 and c_in == c_out else y

    def forward(self, subnet, x, mode):
        x = F.conv2d(x, self.p["first_conv.conv.weight"], None, SPACE["stem"]["stride"], 1)
        x = self.act(SPACE["stem"]["act"], self.bn("first_conv.bn", x, mode))
        b, elastic_in = 0, False
        for st, (depth, channels, blocks) in zip(SPACE["stages"], subnet):
            for i in range(depth):
                fixed = not (elastic_in and i == 0) and all(len(st[k]) == 1 for k in ("channels", "kernel_sizes", "expand_ratios"))
                x = self.block(b + i, st, fixed, channels, *blocks[i], st["stride"] if i == 0 else 1, x, mode)
            b += st["depths"][-1]
            elastic_in = len(st["channels"]) > 1
        x = F.conv2d(x, self.p["final_expand_layer.conv.weight"][:, :x.shape[1]])
        x = F.hardswish(self.bn("final_expand_layer.bn", x, mode)).mean((2, 3), keepdim=True)
        x = F.hardswish(F.conv2d(x, self.p["feature_mix_layer.conv.weight"], self.p["feature_mix_layer.conv.bias"]))
        return F.linear(x.flatten(1), self.p["classifier.linear.weight"], self.p["classifier.linear.bias"])


def arch_text(subnet):
    stages = (f" | d{d} c{c} " + " ".join(f"k{k}e{e}" for k, e in blocks) for d, c, blocks in subnet)
    return f"r{RESOLUTION}" + "".join(stages)


class Writer:
    def __init__(self):
        self.lines, self.data = [], []

    def put(self, what, subnet, name, tensor):
        values = tensor.detach().flatten().tolist()
        self.lines.append(f"{what} {subnet} {name} {len(self.data)} {len(values)}")
        self.data += values

    def save(self, name, space):
        with open(os.path.join(HERE, f"{name}.txt"), "w") as f:
            f.write("\n".join(self.lines) + "\n")
        with open(os.path.join(HERE, f"{name}.bin"), "wb") as f:
            f.write(struct.pack(f"<{len(self.data)}f", *self.data))
        with open(os.path.join(HERE, f"{name}.json"), "w") as f:
            json.dump(space, f, indent=1)
            f.write("\n")


def write_step(files, space, net, subnets, arch_text):
    out = Writer()
    x = single(noise("images", N * space["input_channels"] * RESOLUTION ** 2)).reshape(N, -1, RESOLUTION, RESOLUTION)
    labels = torch.tensor([i % space["n_classes"] for i in range(N)])
    for i, subnet in enumerate(subnets):
        out.lines.append(f"arch {i} {arch_text(subnet)}")
        with torch.no_grad():
            out.put("eval", i, "logits", net.forward(subnet, x, "eval"))
    teacher = None
    for i, subnet in enumerate(subnets):
        for t in net.p.values():
            t.grad = None
        z = net.forward(subnet, x, "train")
        if teacher is None:
            teacher = z.detach()
            loss = F.cross_entropy(z, labels, label_smoothing=SMOOTHING)
        else:
            loss = -(F.softmax(teacher, 1) * F.log_softmax(z, 1)).sum(1).mean()
        loss.backward()
        out.put("train", i, "logits", z)
        out.put("loss", i, "loss", loss)
        for name, t in net.p.items():
            if t.grad is not None:
                out.put("grad", i, name, t.grad)
    for name, t in net.p.items():
        if "running_" in name:
            out.put("running", 0, name, t)
    for t in net.p.values():
        t.grad = None
    net.drop = drop_factors(sum(len(blocks) for _, _, blocks in subnets[0]))
    z = net.forward(subnets[0], x, "train")
    loss = F.cross_entropy(z, labels, label_smoothing=SMOOTHING)
    loss.backward()
    out.put("train", len(subnets), "logits", z)
    out.put("loss", len(subnets), "loss", loss)
    for name, t in net.p.items():
        if t.grad is not None:
            out.put("grad", len(subnets), name, t.grad)
    out.save(files, space)
    print(len(out.data) * 4, "bytes,", sum(t.numel() for t in net.p.values()), "values")


if __name__ == "__main__":
    write_step("step", SPACE, Net(), SUBNETS, arch_text)
