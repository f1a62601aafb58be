"""A small data set and small spaces, the same every time."""
import copy
import gzip
import random
import struct

TINY = {
    "name": "tiny", "input_channels": 1, "n_classes": 10, "resolutions": [28],
    "stem": {"channels": 8, "kernel_size": 3, "stride": 2, "act": "h_swish"},
    "stages": [
        {"depths": [1, 2], "channels": [16], "kernel_sizes": [3, 5], "expand_ratios": [1, 2, 4], "stride": 2, "act": "relu", "se": False},
        {"depths": [1, 2, 3], "channels": [24], "kernel_sizes": [3, 5], "expand_ratios": [2, 4], "stride": 2, "act": "h_swish", "se": True},
    ],
    "head": {"expand_channels": 96, "mix_channels": 0, "act": "h_swish"},
}
SMALL_ARCH = "r28 | d1 c16 k3e1 | d1 c24 k3e2"
LARGE_ARCH = "r28 | d2 c16 k5e4 k5e4 | d3 c24 k5e4 k5e4 k5e4"


def space(**changes):
    """The space TINY with other members."""
    changed = copy.deepcopy(TINY)
    changed.update(changes)
    return changed


def image(generator, label):
    """28 x 28 grey pixels: a bright bar in noise, whose place and direction is the class."""
    pixels = bytearray(generator.randbytes(784))
    at = 3 + label % 5 * 5
    for y in range(28):
        for x in range(28):
            along = y if label < 5 else x
            i = y * 28 + x
            pixels[i] = pixels[i] * 110 // 255 + (110 if at <= along < at + 3 else 0)
    return pixels


def zoomed(pixels, zoom):
    """Each of 28 x 28 pixels as a square."""
    rows = (bytes(p for p in pixels[28 * y:28 * y + 28] for _ in range(zoom)) for y in range(28))
    return b"".join(row * zoom for row in rows)


def write_images(folder, prefix, n, seed, zoom=1):
    generator = random.Random(seed)
    labels = bytes(generator.randrange(10) for _ in range(n))
    pixels = b"".join(zoomed(image(generator, label), zoom) for label in labels)
    with open(folder / f"{prefix}-images-idx3-ubyte.gz", "wb") as file:
        file.write(gzip.compress(struct.pack(">IIII", 0x803, n, 28 * zoom, 28 * zoom) + pixels, 1, mtime=0))
    with open(folder / f"{prefix}-labels-idx1-ubyte.gz", "wb") as file:
        file.write(gzip.compress(struct.pack(">II", 0x801, n) + labels, 1, mtime=0))


def write_bars(folder, n_train=1500, n_test=300, zoom=1):
    """A data set like Fashion-MNIST's files, in ten classes that a small network can tell apart."""
    folder.mkdir(parents=True)
    write_images(folder, "train", n_train, 1, zoom)
    write_images(folder, "t10k", n_test, 2, zoom)
    return folder
