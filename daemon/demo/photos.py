"""Small pictures drawn in code, for the complainants who send photographs: a stain on a wall, seen in dim light."""

from __future__ import annotations

import random
import struct
import zlib
from typing import Final

WIDTH: Final = 160
HEIGHT: Final = 120  # pixels, both multiples of the JPEG block


def photo(name: str) -> tuple[bytes, str]:
    """The picture called `name`: its bytes and its media type.  The same name gives the same picture."""
    shades = _wall(random.Random(name))  # noqa: S311  a picture, not a secret
    return (_png(shades), "image/png") if name.endswith(".png") else (_jpeg(shades), "image/jpeg")


def _wall(dice: random.Random) -> list[list[int]]:
    """Shades (0 black to 255 white), one a block of 8 x 8 pixels: a pale wall with a dark patch of damp."""
    columns, rows = WIDTH // 8, HEIGHT // 8
    x0, y0, reach = dice.uniform(4, columns - 4), dice.uniform(4, rows - 4), dice.uniform(4, 8)

    def shade(x: int, y: int) -> int:
        distance = ((x - x0) ** 2 + (1.4 * (y - y0)) ** 2) ** 0.5
        damp = max(0.0, 1 - distance / reach) * 150
        return int(max(10, min(245, 205 - y * 2 - damp + dice.gauss(0, 9))))

    return [[shade(x, y) for x in range(columns)] for y in range(rows)]


def _png(shades: list[list[int]]) -> bytes:
    """Eight-bit greyscale, one filter byte (none) before each line.  Source: PNG (ISO/IEC 15948)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = (b"\0" + b"".join(bytes([shade]) * 8 for shade in row) for row in shades for _ in range(8))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    body = zlib.compress(b"".join(lines), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


# How many codes of each length 1..16 there are, and their values: the luminance DC table of ITU-T T.81, K.3.
_DC_COUNTS: Final = (0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)
_DC_VALUES: Final = tuple(range(12))
_AC_COUNTS: Final = (1, *[0] * 15)  # every block is flat, so the only code is "end of block"


def _jpeg(shades: list[list[int]]) -> bytes:
    """Baseline greyscale in which every block is one shade: its mean, coded, and nothing else.  Source: ITU-T T.81."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    return b"".join(
        (
            b"\xff\xd8",
            segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            segment(0xDB, b"\0" + b"\x08" * 64),  # a step of 8: a DC difference is then the difference of shades
            segment(0xC0, struct.pack(">BHHB", 8, HEIGHT, WIDTH, 1) + b"\x01\x11\0"),
            segment(0xC4, b"\x00" + bytes(_DC_COUNTS) + bytes(_DC_VALUES)),
            segment(0xC4, b"\x10" + bytes(_AC_COUNTS) + b"\0"),
            segment(0xDA, b"\x01\x01\x00\x00\x3f\x00"),
            _scan(shades),
            b"\xff\xd9",
        )
    )


def _scan(shades: list[list[int]]) -> bytes:
    codes = _huffman(_DC_COUNTS, _DC_VALUES)
    bits: list[str] = []
    before = 128  # T.81 shifts samples by 128, and the first difference is from zero
    for row in shades:
        for shade in row:
            step = shade - before
            size = abs(step).bit_length()
            coded = step if step >= 0 else step + (1 << size) - 1
            bits.append(codes[size] + (f"{coded:0{size}b}" if size else "") + "0")
            before = shade
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


def _huffman(counts: tuple[int, ...], values: tuple[int, ...]) -> dict[int, str]:
    """The code of each value as text of 0 and 1 (T.81, C.2)."""
    codes: dict[int, str] = {}
    code, rest = 0, iter(values)
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            codes[next(rest)] = f"{code:0{length}b}"
            code += 1
        code <<= 1
    return codes
