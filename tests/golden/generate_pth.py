#!/usr/bin/python3
"""Small files of tensors in every form that is imported, by PyTorch.

    /usr/bin/python3 tests/golden/generate_pth.py      (Debian's python3-torch; rewrites the files beside it)

import.json          the space, of 3 classes
import_legacy.pth    torch.save's legacy form: a bare state_dict with the old ".mobile_inverted_conv." names
import_zip.pth       its zip form: {"epoch": ..., "state_dict": ...} with "module." before the names, numbers of every kind, two
                     tensors in one storage, one transposed in memory, and parameters beside tensors
import_deflate.pth   the same archive deflated
import.safetensors   as other programs write it: no metadata, static names, bfloat16 and float32
import_evil.pth      a state_dict with an object that would run a command
layout_*.pth         one weight, "w", where checkpoints of other programs keep it, with what they keep beside it (legacy form, but for
                     state_dict); of integers a tensor of every kind; of several two dictionaries of which neither has a usual name

Element i of tensor NAME is 1 + floor(32 * noise(NAME, i)) / 64: every kind of number holds it exactly.
"""
import collections, json, math, os, struct, zipfile
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
SPACE = {
    "name": "import", "description": "for files of other programs", "input_channels": 1, "n_classes": 3, "resolutions": [8],
    "stem": {"channels": 8, "kernel_size": 3, "stride": 1, "act": "h_swish"},
    "stages": [
        {"depths": [1], "channels": [8], "kernel_sizes": [3], "expand_ratios": [1], "stride": 1, "act": "relu", "se": False},
        {"depths": [1], "channels": [8], "kernel_sizes": [3, 5], "expand_ratios": [1, 2], "stride": 2, "act": "relu", "se": True},
    ],
    "head": {"expand_channels": 16, "mix_channels": 0, "mix_bias": False, "act": "h_swish"},
}
B = "blocks.1.conv."
SHAPES = {"first_conv.conv.weight": (8, 1, 3, 3), "blocks.0.conv.depth_conv.conv.weight": (8, 1, 3, 3),
          "blocks.0.conv.point_linear.conv.weight": (8, 8, 1, 1), B + "inverted_bottleneck.conv.conv.weight": (16, 8, 1, 1),
          B + "depth_conv.conv.conv.weight": (16, 1, 5, 5), B + "depth_conv.conv.5to3_matrix": (9, 9),
          B + "depth_conv.se.fc.reduce.weight": (8, 16, 1, 1), B + "depth_conv.se.fc.reduce.bias": (8,),
          B + "depth_conv.se.fc.expand.weight": (16, 8, 1, 1), B + "depth_conv.se.fc.expand.bias": (16,),
          B + "point_linear.conv.conv.weight": (8, 16, 1, 1), "final_expand_layer.conv.weight": (16, 8, 1, 1),
          "classifier.linear.weight": (3, 16), "classifier.linear.bias": (3,)}
for at, c in (("first_conv.bn", 8), ("blocks.0.conv.depth_conv.bn", 8), ("blocks.0.conv.point_linear.bn", 8), (B + "inverted_bottleneck.bn.bn", 16),
              (B + "depth_conv.bn.bn", 16), (B + "point_linear.bn.bn", 8), ("final_expand_layer.bn", 16)):
    SHAPES.update({f"{at}.{part}": (c,) for part in ("weight", "bias", "running_mean", "running_var")})
    SHAPES[f"{at}.num_batches_tracked"] = ()


def noise(name, count):
    h = 2166136261
    for byte in name.encode():
        h = ((h ^ byte) * 16777619) & 0xFFFFFFFF
    for i in range(count):
        x = (h + i * 2654435761) & 0xFFFFFFFF
        x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
        x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
        yield (x ^ (x >> 16)) / 2147483648.0 - 1.0


def tensor(name, shape):
    if name.endswith("tracked"):
        return torch.tensor(7)
    return torch.tensor([1 + math.floor(32 * v) / 64 for v in noise(name, math.prod(shape))]).reshape(shape)


def path(name):
    return os.path.join(HERE, name)


def state_dict(rename=lambda name: name):
    return collections.OrderedDict((rename(n), tensor(n, s)) for n, s in SHAPES.items())


def zip_form():
    kinds = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
    state = state_dict(lambda name: "module." + name)
    for i, (name, t) in enumerate(state.items()):
        if t.dim():
            state[name] = t.to(kinds[i % 4])
    weight, bias = "module.classifier.linear.weight", "module.classifier.linear.bias"
    both = torch.cat([torch.zeros(5), state[weight].float().flatten(), state[bias].float()])
    state[weight], state[bias] = both[5:53].reshape(3, 16), both[53:]
    name = "module." + B + "depth_conv.conv.5to3_matrix"
    state[name] = state[name].t().contiguous().t()
    name = "module." + B + "point_linear.conv.conv.weight"
    state[name] = torch.nn.Parameter(state[name].float())
    state._metadata = {"": {"version": 1}}
    torch.save({"epoch": 12, "best": 0.5, "names": ["a", ("b", None, True)], "state_dict": state}, path("import_zip.pth"))


def deflate():
    with zipfile.ZipFile(path("import_zip.pth")) as source, zipfile.ZipFile(path("import_deflate.pth"), "w", zipfile.ZIP_DEFLATED) as to:
        for entry in source.infolist():
            to.writestr(entry.filename, source.read(entry))


def single(name):
    return name.replace(".conv.conv.weight", ".conv.weight").replace(".bn.bn.", ".bn.") if "5to3" not in name else name


def safetensors():
    header, data = {}, b""
    for i, (name, t) in enumerate(state_dict(single).items()):
        if t.dim() == 0:
            continue
        wide = t.contiguous().numpy().tobytes()
        bits = wide if i % 2 else b"".join(wide[j + 2:j + 4] for j in range(0, len(wide), 4))
        header[name] = {"dtype": "F32" if i % 2 else "BF16", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(bits)]}
        data += bits
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path("import.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def layouts():
    w, epoch = {"w": torch.tensor([0.5, -2.0])}, torch.tensor(5, dtype=torch.int32)
    torch.save({"state_dict": w, "epoch": torch.tensor(5)}, path("layout_state_dict.pth"))
    for name, root in (
            ("net", {"net": w, "best_acc": torch.tensor(0.5), "optimizer": {"state": {0: {"m": torch.zeros(2)}}, "param_groups": []}}),
            ("ema", {"epoch": epoch, "state_dict_ema": w}), ("model", {"model": w, "epoch": 3, "step": epoch}),
            ("unnamed", {"weights": w, "best_acc": torch.tensor(0.5), "args": {"lr": 0.1}}), ("bare", w),
            ("several", {"teacher": w, "student": {"w": torch.zeros(2)}, "epoch": epoch}),
            ("integers", {"int32": torch.tensor(-70000, dtype=torch.int32), "int16": torch.tensor(-300, dtype=torch.int16),
                          "int8": torch.tensor(-3, dtype=torch.int8), "uint8": torch.tensor(200, dtype=torch.uint8),
                          "bool": torch.tensor(True)})):
        torch.save(root, path(f"layout_{name}.pth"), _use_new_zipfile_serialization=False)


layouts()
with open(path("import.json"), "w") as f:
    json.dump(SPACE, f, indent=1)
    f.write("\n")
torch.save(state_dict(lambda name: name.replace(".conv.", ".mobile_inverted_conv.", 1) if name.startswith("blocks") else name),
           path("import_legacy.pth"), _use_new_zipfile_serialization=False)
zip_form()
deflate()
safetensors()
torch.save({"state_dict": {"first_conv.conv.weight": Evil()}}, path("import_evil.pth"))
