#!/usr/bin/python3
"""An accuracy predictor in the form that once-for-all's library saves (ofa.nas.accuracy_predictor), by PyTorch.

    /usr/bin/python3 tests/golden/generate_ofa_predictor.py      (Debian's python3-torch; rewrites the files beside it)

ofa_predictor_legacy.pth, ofa_predictor_zip.pth   its state_dict in both of torch.save's forms; the zip form as {"state_dict": …}
ofa_predictor.txt                                 archs of ofa_mbv3_w12 and what PyTorch predicts for them in float64

The layers are those of the library (Linear + ReLU three times, Linear without bias, base_acc), of its default width, for images of 160, 128
and 224 pixels in that order. Weights are views of short storages (row r begins ROW numbers behind row r - 1), so that the files are small; any
column or row that is taken for another changes the predictions.
"""
import os
import random
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
RESOLUTIONS, KERNELS, RATIOS = (160, 128, 224), (3, 5, 7), (3, 4, 6)
HIDDEN, BLOCKS, ROW = 400, 20, 3
CHANNELS = (32, 48, 96, 136, 192)


class AccuracyPredictor(torch.nn.Module):
    def __init__(self, inputs):
        super().__init__()
        layers = [torch.nn.Sequential(torch.nn.Linear(inputs if i == 0 else HIDDEN, HIDDEN), torch.nn.ReLU(inplace=True)) for i in range(3)]
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(HIDDEN, 1, bias=False))
        self.base_acc = torch.nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, x):
        return self.layers(x).squeeze(-1) + self.base_acc


def features(resolution, depths, kernels, ratios):
    """Resolutions, then for each block its kernel size, then for each its ratio: the order of the library's MobileNetArchEncoder."""
    x = [0.0] * (len(RESOLUTIONS) + 6 * BLOCKS)
    x[RESOLUTIONS.index(resolution)] = 1
    for block in range(BLOCKS):
        if block % 4 < depths[block // 4]:
            x[len(RESOLUTIONS) + 3 * block + KERNELS.index(kernels[block])] = 1
            x[len(RESOLUTIONS) + 3 * BLOCKS + 3 * block + RATIOS.index(ratios[block])] = 1
    return x


def text(resolution, depths, kernels, ratios):
    groups = [f"d{d} c{c} " + " ".join(f"k{kernels[4 * s + b]}e{ratios[4 * s + b]}" for b in range(d)) for s, (d, c) in enumerate(zip(depths, CHANNELS))]
    return " | ".join([f"r{resolution}", "d1 c24 k3e1", *groups])


def main():
    torch.manual_seed(7)
    random.seed(7)
    model = AccuracyPredictor(len(RESOLUTIONS) + 6 * BLOCKS)
    state = model.state_dict()
    for name, value in state.items():
        if value.dim() == 2:
            rows, columns = value.shape
            storage = torch.randn(ROW * (rows - 1) + columns) * (2 / columns) ** 0.5
            state[name] = storage.as_strided((rows, columns), (ROW, 1))
        else:
            state[name] = torch.randn(value.shape) * 0.1
    model.load_state_dict(state)
    torch.save(state, os.path.join(HERE, "ofa_predictor_legacy.pth"), _use_new_zipfile_serialization=False)
    torch.save({"state_dict": state}, os.path.join(HERE, "ofa_predictor_zip.pth"))
    model = model.double()
    with open(os.path.join(HERE, "ofa_predictor.txt"), "w") as file:
        for i in range(24):
            arch = (RESOLUTIONS[i % 3], [random.randint(2, 4) for _ in range(5)], random.choices(KERNELS, k=BLOCKS), random.choices(RATIOS, k=BLOCKS))
            with torch.no_grad():
                top1 = model(torch.tensor([features(*arch)], dtype=torch.float64)).item()
            file.write(f"{top1!r} {text(*arch)}\n")


if __name__ == "__main__":
    main()
