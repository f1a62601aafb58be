"""once-for-all's accuracy predictor as PyTorch computes it."""
import re


def top1_by_pytorch(path, archs):
    """What the file's perceptron says of archs (as text), encoded as once-for-all's tutorial does: a share for each."""
    import torch
    layers = torch.load(path, map_location="cpu")
    rows = torch.zeros(len(archs), 128, dtype=torch.float64)
    for row, arch in zip(rows, archs):
        resolution, _, *stages = arch.split(" | ")
        for s, stage in enumerate(stages):
            for d, (k, e) in enumerate(re.findall(r"k(\d)e(\d)", stage)):
                row[3 * (4 * s + d) + "357".index(k)] = 1
                row[60 + 3 * (4 * s + d) + "346".index(e)] = 1
        row[120 + (int(resolution[1:]) - 112) // 16] = 1
    for i in (0, 2, 4, 6):
        rows = rows @ layers[f"{i}.weight"].double().T + layers[f"{i}.bias"].double()
        rows = rows.clamp(min=0) if i < 6 else rows
    return rows[:, 0].tolist()
