#!/usr/bin/python3
"""Small images of every kind that is decoded, with the pixels they must give, and resampled images.

    /usr/bin/python3 tests/golden/images/generate.py   (Debian's python3-pil, python3-numpy, python3-torch, python3-opencv)

NAME.png, NAME.jpg   the images; PNGs are put together here, byte by byte; JPEGs come from Pillow
expected.txt         one line an image: name, width, height (upright), first byte in expected.bin
expected.bin         [height, width, 3] bytes. Of PNGs what was put in; of JPEGs what Pillow reads (after exif_transpose)
resample.txt         one line a case: input side, output side, which oracle, first value in resample.bin
resample.bin         little-endian float32, [output, output]: PyTorch's interpolate(bilinear, antialias) in double, or, where
                     it grows, OpenCV's resize(INTER_LINEAR). The input is texture() below, of one channel.
"""
import io, os, struct, zlib
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))
expected, lines = bytearray(), []


def texture(height, width, channels=3):
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    return ((x * 7 + y * 13 + c * 29 + x * y * 3 + (x * x) % 11 * 5) % 256).astype(np.uint8)


def smooth(height, width):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), 255 - (x + y) * 255 // (width + height - 2)], -1).astype(np.uint8)


def note(name, pixels):
    lines.append(f"{name} {pixels.shape[1]} {pixels.shape[0]} {len(expected)}")
    expected.extend(np.ascontiguousarray(pixels, dtype=np.uint8).tobytes())


def save(name, data):
    with open(os.path.join(HERE, name), "wb") as file:
        file.write(data)


# --- PNG ---
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(name, width, height, depth, colour, rows, pixels, before=b"", after=b"", interlace=0):
    """rows: bytes of each scanline, without the filter byte (or all passes', already filtered)."""
    raw = rows if isinstance(rows, bytes) else b"".join(b"\0" + row for row in rows)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    save(name, data + before + chunk(b"IDAT", zlib.compress(raw, 9)) + after + chunk(b"IEND", b""))
    note(name, pixels)


def over_white(rgb, alpha):
    a = alpha[..., None].astype(np.int64)
    return (rgb.astype(np.int64) * a + 255 * (255 - a) + 127) // 255


def pngs():
    t = texture(9, 14)
    grey = t[..., :1]
    alpha = texture(9, 14, 4)[..., 3]
    png("rgb.png", 14, 9, 8, 2, [row.tobytes() for row in t], t)
    png("grey.png", 14, 9, 8, 0, [row.tobytes() for row in grey], grey.repeat(3, -1))
    png("rgba.png", 14, 9, 8, 6, [np.concatenate([t[y], alpha[y][:, None]], -1).tobytes() for y in range(9)], over_white(t, alpha))
    png("grey_alpha.png", 14, 9, 8, 4, [np.stack([grey[y, :, 0], alpha[y]], -1).tobytes() for y in range(9)], over_white(grey.repeat(3, -1), alpha))
    low = texture(9, 14, 6)[..., 3:]  # low bytes of 16-bit values, to be cut off
    png("rgb16.png", 14, 9, 16, 2, [np.stack([t[y], low[y]], -1).tobytes() for y in range(9)], t)
    png("grey16.png", 14, 9, 16, 0, [np.stack([grey[y], low[y, :, :1]], -1).tobytes() for y in range(9)], grey.repeat(3, -1))
    bits = grey[..., 0] > 128
    png("grey1.png", 14, 9, 1, 0, [np.packbits(row).tobytes() for row in bits], np.where(bits, 255, 0)[..., None].repeat(3, -1))
    palette = texture(1, 16)[0]
    index = grey[..., 0] % 16
    transparent = bytes([0, 128, 255])
    alphas = np.array([0, 128] + [255] * 14)
    packed = [bytes(int(row[i]) << 4 | int(row[i + 1]) for i in range(0, 14, 2)) for row in index]
    png("palette4.png", 14, 9, 4, 3, packed, over_white(palette[index], alphas[index]), before=chunk(b"PLTE", palette.tobytes()) + chunk(b"tRNS", transparent))
    passes = b""
    for y0, x0, dy, dx in [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]:
        for row in t[y0::dy, x0::dx]:
            passes += b"\0" + row.tobytes() if row.size else b""
    png("interlaced.png", 14, 9, 8, 2, passes, t, interlace=1)
    exif = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    png("turned.png", 14, 9, 8, 2, [row.tobytes() for row in t], np.rot90(t, -1), after=chunk(b"eXIf", exif))


# --- JPEG ---
def jpeg(name, image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, **options)
    save(name, out.getvalue())
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(out.getvalue())))
    note(name, np.asarray(shown.convert("RGB")))


def jpegs():
    picture = Image.fromarray(smooth(17, 26))
    jpeg("rgb.jpg", picture)
    jpeg("progressive.jpg", picture, progressive=True)
    jpeg("grey.jpg", picture.convert("L"))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        jpeg(f"turned{orientation}.jpg", picture, exif=exif)
    out = io.BytesIO()
    picture.convert("CMYK").save(out, "JPEG", quality=90)
    save("cmyk.jpg", out.getvalue())
    cmyk = np.asarray(Image.open(io.BytesIO(out.getvalue()))).astype(np.int64)  # 255: all ink
    note("cmyk.jpg", ((255 - cmyk[..., :3]) * (255 - cmyk[..., 3:]) + 127) // 255)


def resampled():
    values, rows = [], []
    for given, wanted in [(13, 5), (32, 24), (40, 16), (9, 8), (256, 14), (7, 16), (5, 5), (12, 30)]:
        plane = texture(given, given, 1)[..., 0].astype(np.float64)
        if given > wanted:
            oracle = "torch"
            tensor = torch.from_numpy(plane)[None, None]
            out = F.interpolate(tensor, (wanted, wanted), mode="bilinear", antialias=True, align_corners=False)[0, 0].numpy()
        else:
            oracle = "opencv"
            out = cv2.resize(plane, (wanted, wanted), interpolation=cv2.INTER_LINEAR)
        rows.append(f"{given} {wanted} {oracle} {len(values)}")
        values.extend(out.ravel().tolist())
    save("resample.txt", ("\n".join(rows) + "\n").encode())
    save("resample.bin", struct.pack(f"<{len(values)}f", *values))


pngs()
jpegs()
resampled()
save("expected.txt", ("\n".join(lines) + "\n").encode())
save("expected.bin", bytes(expected))
