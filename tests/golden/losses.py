#!/usr/bin/python3
"""Values of losses and their gradients, by PyTorch in double precision, for tests/unit/supernet/test_loss.c.

    /usr/bin/python3 tests/golden/losses.py          (Debian's python3-torch; prints the rows of the test)
"""
import torch
import torch.nn.functional as F

STUDENT = [[0.5, -1.25, 2.0, 0.0], [-0.75, 3.0, 1.5, -2.0]]
TEACHER = [[1.0, -0.5, 1.75, -3.0], [0.25, 2.5, -1.0, 0.0]]
LABELS = [2, 0]


def row(kind, temperature):
    s = torch.tensor(STUDENT, dtype=torch.float64, requires_grad=True)
    t = F.softmax(torch.tensor(TEACHER, dtype=torch.float64) / temperature, dim=1)
    if kind == "kl":
        loss = F.kl_div(F.log_softmax(s / temperature, dim=1), t, reduction="batchmean")
    else:
        loss = F.cross_entropy(s / temperature, t)
    (loss * temperature * temperature).backward()
    numbers = ", ".join("%.10f" % x for x in s.grad.flatten())
    name = "DISTILL_KL" if kind == "kl" else "DISTILL_SOFT_CE"
    print("        {{%s, %d, %d}, %.12f, {%s}}," % (name, temperature, temperature * temperature, loss, numbers))


for kind in ("soft_ce", "kl"):
    for temperature in (1, 3):
        row(kind, temperature)
print("cross-entropy, smoothing 0.1: %.12f" % F.cross_entropy(
    torch.tensor(STUDENT, dtype=torch.float64), torch.tensor(LABELS), label_smoothing=0.1))
