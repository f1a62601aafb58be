"""PNG files, put together by hand."""
import struct
import zlib


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rgb, level=1):
    """rgb: height * width * 3 bytes."""
    rows = b"".join(b"\0" + rgb[y * width * 3:(y + 1) * width * 3] for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows, level)) + _chunk(b"IEND", b"")


def write_pictures(folder, classes=("blue", "green", "red"), n=40, side=20, parts=("train", "test")):
    """ROOT/part/class/NNN.png: one channel is bright, with stripes that differ from file to file."""
    for p, part in enumerate(parts):
        for c, name in enumerate(classes):
            (folder / part / name).mkdir(parents=True)
            for i in range(n if p == 0 else n // 4):
                rgb = bytearray()
                for y in range(side):
                    for x in range(side):
                        bright = 150 + (x * (i + 1) + y * 3 + p) % 80
                        rgb += bytes(bright if k == c % 3 else 40 for k in range(3))
                (folder / part / name / f"{i:03}.png").write_bytes(png(side, side, bytes(rgb)))
    return folder
