#!/usr/bin/python3
"""A checkpoint whose BN statistics are its own, and what PyTorch says of it in double precision.

    /usr/bin/python3 tests/golden/generate_exact.py      (Debian's python3-torch; rewrites the files beside it)

exact.pth             a state_dict of the space in import.json
exact_input.pth       {"images": [5, 1, 8, 8]} as torch.save writes it
exact_logits.json     arch text -> logits [5, 3]

The network is stated here anew, from once-for-all's rules (with expand ratio 1 a block has no expand convolution: docs/SPACES.md). Biases, running means and variances are far from 0 and 1, and
the logits are small, so that no statistic can be left out unseen.
"""
import json, math, os
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
EPS = 1e-5


def path(name):
    return os.path.join(HERE, name)


def shapes():
    at = "blocks.1.conv."
    found = {"first_conv.conv.weight": (8, 1, 3, 3), "blocks.0.conv.depth_conv.conv.weight": (8, 1, 3, 3),
             "blocks.0.conv.point_linear.conv.weight": (8, 8, 1, 1), at + "inverted_bottleneck.conv.conv.weight": (16, 8, 1, 1),
             at + "depth_conv.conv.conv.weight": (16, 1, 5, 5), at + "depth_conv.conv.5to3_matrix": (9, 9),
             at + "depth_conv.se.fc.reduce.weight": (8, 16, 1, 1), at + "depth_conv.se.fc.reduce.bias": (8,),
             at + "depth_conv.se.fc.expand.weight": (16, 8, 1, 1), at + "depth_conv.se.fc.expand.bias": (16,),
             at + "point_linear.conv.conv.weight": (8, 16, 1, 1), "final_expand_layer.conv.weight": (16, 8, 1, 1),
             "classifier.linear.weight": (3, 16), "classifier.linear.bias": (3,)}
    for norm, c in (("first_conv.bn", 8), ("blocks.0.conv.depth_conv.bn", 8), ("blocks.0.conv.point_linear.bn", 8),
                    (at + "inverted_bottleneck.bn.bn", 16), (at + "depth_conv.bn.bn", 16), (at + "point_linear.bn.bn", 8), ("final_expand_layer.bn", 16)):
        found.update({f"{norm}.{part}": (c,) for part in ("weight", "bias", "running_mean", "running_var")})
    return found


def initial(name, shape):
    x = torch.randn(shape)
    if name.endswith("running_var"):
        return 0.5 + x.abs()
    if name.endswith("_matrix"):
        return torch.eye(shape[0]) + 0.2 * x
    if len(shape) > 1:
        return x * math.sqrt(2 / math.prod(shape[1:]))
    return 1 + 0.3 * x if name.endswith("bn.weight") else 0.5 * x


def h_swish(x):
    return x * F.relu6(x + 3) / 6


def norm(w, at, x):
    mean, var, scale, shift = (w[f"{at}.{part}"][:x.shape[1], None, None] for part in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / torch.sqrt(var + EPS) * scale + shift


def squeeze(w, at, x):
    hidden = F.relu(F.linear(x.mean((2, 3)), w[at + "reduce.weight"].flatten(1)[:, :x.shape[1]], w[at + "reduce.bias"]))
    gate = F.relu6(F.linear(hidden, w[at + "expand.weight"].flatten(1)[:x.shape[1]], w[at + "expand.bias"][:x.shape[1]]) + 3) / 6
    return x * gate[:, :, None, None]


def forward(w, x, kernel, ratio):
    x = h_swish(norm(w, "first_conv.bn", F.conv2d(x, w["first_conv.conv.weight"], padding=1)))
    at = "blocks.0.conv."
    y = F.relu(norm(w, at + "depth_conv.bn", F.conv2d(x, w[at + "depth_conv.conv.weight"], padding=1, groups=8)))
    x = x + norm(w, at + "point_linear.bn", F.conv2d(y, w[at + "point_linear.conv.weight"]))
    at, mid = "blocks.1.conv.", 8 * ratio
    y = x
    if ratio > 1:
        y = F.relu(norm(w, at + "inverted_bottleneck.bn.bn", F.conv2d(x, w[at + "inverted_bottleneck.conv.conv.weight"][:mid])))
    filters = w[at + "depth_conv.conv.conv.weight"][:mid]
    if kernel == 3:
        filters = F.linear(filters[:, :, 1:4, 1:4].reshape(mid, 9), w[at + "depth_conv.conv.5to3_matrix"]).reshape(mid, 1, 3, 3)
    y = F.relu(norm(w, at + "depth_conv.bn.bn", F.conv2d(y, filters, stride=2, padding=kernel // 2, groups=mid)))
    y = squeeze(w, at + "depth_conv.se.fc.", y)
    x = norm(w, at + "point_linear.bn.bn", F.conv2d(y, w[at + "point_linear.conv.conv.weight"][:, :mid]))
    x = h_swish(norm(w, "final_expand_layer.bn", F.conv2d(x, w["final_expand_layer.conv.weight"])))
    return F.linear(x.mean((2, 3)), w["classifier.linear.weight"], w["classifier.linear.bias"])


torch.manual_seed(2)
state = {name: initial(name, shape) for name, shape in shapes().items()}
double = {name: tensor.double() for name, tensor in state.items()}
images = torch.randn(5, 1, 8, 8)
torch.save({"state_dict": state}, path("exact.pth"))
torch.save({"images": images}, path("exact_input.pth"))
archs = {f"r8 | d1 c8 k3e1 | d1 c8 k{kernel}e{ratio}": (kernel, ratio) for kernel in (3, 5) for ratio in (1, 2)}
with open(path("exact_logits.json"), "w") as f:
    json.dump({text: forward(double, images.double(), *genes).tolist() for text, genes in archs.items()}, f, indent=1)
    f.write("\n")
