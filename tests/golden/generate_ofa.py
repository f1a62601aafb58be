#!/usr/bin/python3
"""Golden values of once-for-all's MobileNetV3, by a re-statement in PyTorch and double precision.

    /usr/bin/python3 tests/golden/generate_ofa.py      (Debian's python3-torch; rewrites the files beside it)

ofa_mbv3.names, ofa_mbv3_w12.names    names and shapes of a checkpoint with 1000 classes
ofa_mbv3.txt, ofa_mbv3_w12.txt        one line a record: what, number, name, first float, how many
ofa_mbv3.bin, ofa_mbv3_w12.bin        little-endian float32

The networks are built from once-for-all's base widths (16, 16, 24, 40, 80, 112, 160, 960, 1280) and rules, not from
the project's own space files. They have 24 classes. Weights and images are not stored: both sides compute them from
names (see `noise`).

    arch N TEXT         a random subnet as arch text; 0 is the largest, 1 the smallest
    recal N logits      of 2 images by recalibrated BN statistics, out of batches of 2 images and of 1
    eval N logits       of the same images by the running statistics, which are those of 8 images in the largest subnet
                        (a training forward with momentum 1)
    sort0, sort1 N      as eval, behind channel sorting with as many narrower expand ratios already trained
    step N ...          of a training step on 4 images, on other BN scales and shifts (see `calm`): the largest subnet on smoothed labels, then the smallest and two
                        random ones on what it says; gradients are each subnet's own
    grad N name         of a gradient: norm, error of PyTorch's float32 (norm of its difference), then its products with
                        16 vectors of -1 and 1 (see `signs`): the mean square of the products of a difference is the
                        square of its norm
    running 0 name      the same products of running statistics behind the step, momentum 0.1
"""
import math, os, random
import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
CLASSES, IMAGES, STEP_IMAGES, STEP_RESOLUTION = 24, 2, 4, 128
SMOOTHING, MOMENTUM, EPS, PRODUCTS = 0.1, 0.1, 1e-5, 16
BASE_WIDTHS = [16, 16, 24, 40, 80, 112, 160, 960, 1280]
STRIDES = [1, 2, 2, 2, 1, 2]
ACTS = ["relu", "relu", "relu", "h_swish", "h_swish", "h_swish"]
SE = [False, False, True, False, True, True]


def mixed(name, count):
    """count words of 32 bits that depend on the name: FNV-1a, then a mixing of the index."""
    h = 2166136261
    for byte in name.encode():
        h = ((h ^ byte) * 16777619) & 0xFFFFFFFF
    x = np.uint32(h) + np.arange(count, dtype=np.uint32) * np.uint32(2654435761)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x45D9F3B)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x45D9F3B)
    return x ^ (x >> np.uint32(16))


def noise(name, count):
    """count numbers in [-1, 1), as in generate.py"""
    return torch.from_numpy(mixed(name, count).astype(np.float64) / 2147483648.0 - 1.0)


def signs(name, count):
    """Bit k of word i of "signs of NAME" tells the sign of element i in product k."""
    return mixed("signs of " + name, count)


def products(name, tensor):
    x, bits = tensor.detach().double().flatten().numpy(), signs(name, tensor.numel())
    return [float(np.where((bits >> np.uint32(k)) & np.uint32(1), -x, x).sum()) for k in range(PRODUCTS)]


def divisible(v, divisor=8):
    n = max(divisor, int(v + divisor / 2) // divisor * divisor)
    return n + divisor if n < 0.9 * v else n


class Space:
    def __init__(self, name, width_mult):
        self.name = name
        self.widths = [divisible(w * width_mult) for w in BASE_WIDTHS]
        # (c_in, c_out, stride, act, se) of each block
        self.blocks = [(self.widths[0], self.widths[1], 1, "relu", False)]
        for s in range(1, 6):
            for i in range(4):
                self.blocks.append((self.widths[s if i == 0 else s + 1], self.widths[s + 1], STRIDES[s] if i == 0 else 1, ACTS[s], SE[s]))

    def shapes(self, classes):
        shapes = {}

        def bn(at, c):
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{at}.{part}"] = (c,)
            shapes[f"{at}.num_batches_tracked"] = ()

        shapes["first_conv.conv.weight"] = (self.widths[0], 3, 3, 3)
        bn("first_conv.bn", self.widths[0])
        for b, (c_in, c_out, _, _, se) in enumerate(self.blocks):
            at, mid = f"blocks.{b}.conv", c_in if b == 0 else divisible(round(c_in * 6))
            conv, norm = ("conv", "bn") if b == 0 else ("conv.conv", "bn.bn")
            if b > 0:
                shapes[f"{at}.inverted_bottleneck.conv.conv.weight"] = (mid, c_in, 1, 1)
                bn(f"{at}.inverted_bottleneck.bn.bn", mid)
            k = 3 if b == 0 else 7
            shapes[f"{at}.depth_conv.{conv}.weight"] = (mid, 1, k, k)
            if b > 0:
                shapes[f"{at}.depth_conv.conv.5to3_matrix"] = (9, 9)
                shapes[f"{at}.depth_conv.conv.7to5_matrix"] = (25, 25)
            bn(f"{at}.depth_conv.{norm}", mid)
            if se:
                m = divisible(mid // 4)
                shapes[f"{at}.depth_conv.se.fc.reduce.weight"] = (m, mid, 1, 1)
                shapes[f"{at}.depth_conv.se.fc.reduce.bias"] = (m,)
                shapes[f"{at}.depth_conv.se.fc.expand.weight"] = (mid, m, 1, 1)
                shapes[f"{at}.depth_conv.se.fc.expand.bias"] = (mid,)
            shapes[f"{at}.point_linear.{conv}.weight"] = (c_out, mid, 1, 1)
            bn(f"{at}.point_linear.{norm}", c_out)
        shapes["final_expand_layer.conv.weight"] = (self.widths[7], self.widths[6], 1, 1)
        bn("final_expand_layer.bn", self.widths[7])
        shapes["feature_mix_layer.conv.weight"] = (self.widths[8], self.widths[7], 1, 1)
        shapes["classifier.linear.weight"] = (classes, self.widths[8])
        shapes["classifier.linear.bias"] = (classes,)
        return shapes

    def corner(self, largest, resolution):
        k, e, d = (7, 6, 4) if largest else (3, 3, 2)
        return resolution, [d] * 5, [(k, e)] * 20

    def random(self, rng):
        return rng.choice((128, 132, 140, 144, 148, 156, 160, 176, 192, 224)), [rng.choice((2, 3, 4)) for _ in range(5)], [(rng.choice((3, 5, 7)), rng.choice((3, 4, 6))) for _ in range(20)]

    def text(self, subnet):
        resolution, depths, genes = subnet
        text = f"r{resolution} | d1 c{self.widths[1]} k3e1"
        for s in range(5):
            blocks = " ".join(f"k{k}e{e}" for k, e in genes[4 * s:4 * s + depths[s]])
            text += f" | d{depths[s]} c{self.widths[s + 2]} {blocks}"
        return text


def initial(name, shape):
    x = noise(name, math.prod(shape))
    if name.endswith("_matrix"):
        x = torch.eye(shape[0], dtype=torch.float64).flatten() + 0.1 * x
    elif name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
        x = 1 + 0.25 * x
        if "point_linear" in name and name.endswith("weight"):
            x = 0.5 * x  # blocks that change little behind their shortcut: float32's errors stay small over 20 of them
    elif len(shape) == 1:
        x = 0.25 * x
    else:
        x = x * math.sqrt(3.0 / math.prod(shape[1:]))
    return x.to(torch.float32).to(torch.float64).reshape(shape)


def h_sigmoid(x):
    return F.relu6(x + 3) / 6


def activate(kind, x):
    return F.relu(x) if kind == "relu" else x * F.relu6(x + 3) / 6


class Net:
    """Parameters by name; mode: eval (running statistics), train, recal (adds to self.stats), given (by self.stats)."""

    def __init__(self, space, dtype):
        self.space, self.stats, self.mode, self.momentum = space, {}, "eval", MOMENTUM
        self.p = {n: initial(n, s).to(dtype) for n, s in space.shapes(CLASSES).items() if not n.endswith("tracked")}
        for n, t in self.p.items():
            t.requires_grad_("running_" not in n)

    def calm(self):
        """BN outputs mostly above 0, where ReLU does not change sign by a rounding, for gradients that float32 can hold"""
        for n, t in self.p.items():
            if ".bn." in n and "point_linear" not in n and not n.endswith(("mean", "var")):
                t.data = t.data * 0.3 if n.endswith("weight") else t.data + 0.75

    def bn(self, at, x):
        c = x.shape[1]
        g, b, m, v = (self.p[f"{at}.{k}"][:c] for k in ("weight", "bias", "running_mean", "running_var"))
        if self.mode == "recal":
            m, v = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            old = self.stats.get(at, (0, 0, 0))
            self.stats[at] = tuple(o + x.shape[0] * new for o, new in zip(old, (1, m, v)))
        elif self.mode == "given":
            n, m, v = self.stats[at]
            m, v = m / n, v / n
        return F.batch_norm(x, m, v, g, b, self.mode == "train", self.momentum, EPS)

    def block(self, b, kernel, expand, x):
        c_in, c_out, stride, act, se = self.space.blocks[b]
        at, conv, norm = f"blocks.{b}.conv", "conv.conv" if b else "conv", "bn.bn" if b else "bn"
        mid, y = divisible(round(c_in * expand)) if b else c_in, x
        if b:
            y = F.conv2d(y, self.p[f"{at}.inverted_bottleneck.conv.conv.weight"][:mid, :c_in])
            y = activate(act, self.bn(f"{at}.inverted_bottleneck.bn.bn", y))
        w = self.p[f"{at}.depth_conv.{conv}.weight"][:mid]
        for size in (5, 3):  # by way of 5 to 3
            if w.shape[2] > max(kernel, size - 1):
                matrix = self.p[f"{at}.depth_conv.conv.{size + 2}to{size}_matrix"]
                w = F.linear(w[:, :, 1:-1, 1:-1].reshape(mid, size * size), matrix).reshape(mid, 1, size, size)
        y = activate(act, self.bn(f"{at}.depth_conv.{norm}", F.conv2d(y, w, None, stride, w.shape[2] // 2, 1, mid)))
        if se:
            m, fc = divisible(mid // 4), f"{at}.depth_conv.se.fc"
            s = y.mean((2, 3), keepdim=True)
            s = F.relu(F.conv2d(s, self.p[f"{fc}.reduce.weight"][:m, :mid], self.p[f"{fc}.reduce.bias"][:m]))
            y = y * h_sigmoid(F.conv2d(s, self.p[f"{fc}.expand.weight"][:mid, :m], self.p[f"{fc}.expand.bias"][:mid]))
        y = self.bn(f"{at}.point_linear.{norm}", F.conv2d(y, self.p[f"{at}.point_linear.{conv}.weight"][:, :mid]))
        return x + y if stride == 1 and c_in == c_out else y

    def forward(self, subnet, x, mode):
        _, depths, genes = subnet
        self.mode = mode
        x = activate("h_swish", self.bn("first_conv.bn", F.conv2d(x, self.p["first_conv.conv.weight"], None, 2, 1)))
        x = self.block(0, 3, 1, x)
        for s in range(5):
            for b in range(4 * s, 4 * s + depths[s]):
                x = self.block(b + 1, *genes[b], x)
        x = activate("h_swish", self.bn("final_expand_layer.bn", F.conv2d(x, self.p["final_expand_layer.conv.weight"])))
        x = F.conv2d(x.mean((2, 3), keepdim=True), self.p["feature_mix_layer.conv.weight"])
        return F.linear(activate("h_swish", x).flatten(1), self.p["classifier.linear.weight"], self.p["classifier.linear.bias"])

    def sort_channels(self, stage):
        """re_organize_middle_weights(stage) of every elastic block, in place"""
        with torch.no_grad():
            for b, (c_in, *_) in list(enumerate(self.space.blocks))[1:]:
                at = f"blocks.{b}.conv"
                importance = self.p[f"{at}.point_linear.conv.conv.weight"].abs().sum((0, 2, 3))
                widths, base, right = [divisible(round(c_in * e)) for e in (6, 4, 3)], -3e5, importance.numel()
                for i in range(stage + 1 if stage else 0):
                    importance[widths[i]:right] += base
                    base, right = base + 1e5, widths[i]
                order = torch.sort(importance, descending=True).indices
                for name in [n for n in self.p if n.startswith(at + ".inverted_bottleneck") or n.startswith(at + ".depth_conv.bn")] + [
                        f"{at}.depth_conv.conv.conv.weight", f"{at}.depth_conv.se.fc.expand.weight", f"{at}.depth_conv.se.fc.expand.bias"]:
                    if name in self.p:
                        self.p[name].copy_(self.p[name][order].clone())
                self.p[f"{at}.point_linear.conv.conv.weight"].copy_(self.p[f"{at}.point_linear.conv.conv.weight"][:, order].clone())
                fc = f"{at}.depth_conv.se.fc"
                if f"{fc}.reduce.weight" in self.p:
                    reduce = self.p[f"{fc}.reduce.weight"][:, order].clone()
                    inner = torch.sort(self.p[f"{fc}.expand.weight"].abs().sum((0, 2, 3)), descending=True).indices
                    self.p[f"{fc}.expand.weight"].copy_(self.p[f"{fc}.expand.weight"][:, inner].clone())
                    self.p[f"{fc}.reduce.weight"].copy_(reduce[inner])
                    self.p[f"{fc}.reduce.bias"].copy_(self.p[f"{fc}.reduce.bias"][inner].clone())


def settled(space, dtype=torch.float64):
    """a net whose running statistics are those of the largest subnet"""
    net = Net(space, dtype)
    net.momentum = 1.0
    with torch.no_grad():
        net.forward(space.corner(True, 128), images("train", 8, 128, dtype), "train")
    return net


def images(name, n, resolution, dtype=torch.float64):
    """noise, and 8 x 8 tones of three times its strength: noise alone has the same mean everywhere"""
    x = noise(f"{name} {resolution}", n * 3 * resolution ** 2).reshape(n, 3, resolution, resolution)
    tones = noise(f"{name} tones {resolution}", n * 3 * 64).reshape(n, 3, 8, 8)
    place = torch.arange(resolution) * 8 // resolution
    return (0.5 * x + 1.5 * tones[:, :, place][:, :, :, place]).to(torch.float32).to(dtype)


class Writer:
    def __init__(self):
        self.lines, self.data = [], []

    def put(self, what, number, name, values):
        self.lines.append(f"{what} {number} {name} {len(self.data)} {len(values)}")
        self.data += values

    def save(self, name):
        with open(os.path.join(HERE, name + ".txt"), "w") as f:
            f.write("\n".join(self.lines) + "\n")
        np.array(self.data, dtype="<f4").tofile(os.path.join(HERE, name + ".bin"))
        print(name, 4 * len(self.data), "bytes")


def step(space, subnets, dtype):
    """[(logits, loss, gradients by name)] and the net behind it"""
    net, teacher, out = Net(space, dtype), None, []
    net.calm()
    labels = torch.tensor([(5 * i) % CLASSES for i in range(STEP_IMAGES)])
    x = images("step", STEP_IMAGES, STEP_RESOLUTION, dtype)
    for subnet in subnets:
        for t in net.p.values():
            t.grad = None
        z = net.forward(subnet, x, "train")
        if teacher is None:
            teacher, loss = z.detach(), F.cross_entropy(z, labels, label_smoothing=SMOOTHING)
        else:
            loss = -(F.softmax(teacher, 1) * F.log_softmax(z, 1)).sum(1).mean()
        loss.backward()
        out.append((z.detach(), loss.detach(), {n: t.grad.clone() for n, t in net.p.items() if t.grad is not None}))
    return out, net


def generate(name, width_mult, n_subnets, step_subnets):
    space, rng, out = Space(name, width_mult), random.Random(name), Writer()
    with open(os.path.join(HERE, name + ".names"), "w") as f:
        for n, s in space.shapes(1000).items():
            f.write(" ".join([n, *map(str, s)]) + "\n")
    subnets = [space.corner(True, 224), space.corner(False, 128)] + [space.random(rng) for _ in range(n_subnets - 2)]
    net = settled(space)
    with torch.no_grad():
        for i, subnet in enumerate(subnets):
            out.lines.append(f"arch {i} {space.text(subnet)}")
            net.stats, x, eval_images = {}, images("train", 3, subnet[0]), images("eval", IMAGES, subnet[0])
            net.forward(subnet, x[:2], "recal")
            net.forward(subnet, x[2:], "recal")
            z = net.forward(subnet, eval_images, "given")
            out.put("recal", i, "logits", z.flatten().tolist())
            print(i, subnet[0], float(z.abs().max()), float((z[0] - z[1]).abs().max()), flush=True)
            if i < 3:
                out.put("eval", i, "logits", net.forward(subnet, eval_images, "eval").flatten().tolist())
        for stage in (0, 1):
            net = settled(space)
            net.sort_channels(stage)
            for i in (1, 2):
                z = net.forward(subnets[i], images("eval", IMAGES, subnets[i][0]), "eval")
                out.put(f"sort{stage}", i, "logits", z.flatten().tolist())
    chosen = [(STEP_RESOLUTION, *subnets[i][1:]) for i in range(step_subnets)]
    double, net = step(space, chosen, torch.float64)
    single, _ = step(space, chosen, torch.float32)
    for i, ((z, loss, grads), (_, _, grads32)) in enumerate(zip(double, single)):
        out.lines.append(f"step {i} {space.text(chosen[i])}")
        out.put("train", i, "logits", z.flatten().tolist())
        out.put("loss", i, "loss", [loss.item()])
        for n, g in grads.items():
            error = (grads32[n].double() - g).norm().item()
            out.put("grad", i, n, [g.norm().item(), error] + products(n, g))
    for n, t in net.p.items():
        if "running_" in n:
            out.put("running", 0, n, [t.norm().item(), 0] + products(n, t))
    out.save(name)


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    generate("ofa_mbv3", 1.0, 50, 4)
    generate("ofa_mbv3_w12", 1.2, 8, 2)
