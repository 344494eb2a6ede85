"""Files that are uploaded as images."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

import core
from benchmarks.hostile.cases import Case
from core.data.digits import like_mnist, whole
from core.data.pictures import read_page
from tests.malice import Bomb

FLIPS = 60


def uploads(bomb: Bomb) -> Iterator[Case]:
    """Broken, lying, oversized and disguised files. bomb: leaves a trace if it is unpickled."""
    pixels = (core.load_samples("mnist")[0][7, 0].numpy() * 255).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    picture = Image.fromarray(pixels)
    png, jpeg = _saved(picture, "PNG"), _saved(picture.convert("RGB"), "JPEG")
    contents = {
        **_damaged("PNG", png),
        **_damaged("JPEG", jpeg),
        **_headers(png, jpeg),
        **_chunks(png),
        **_kinds(picture, bomb),
        **_disguised(png, jpeg),
    }
    for name, content in contents.items():
        yield Case("upload", name, lambda content=content: _use(content))


def _use(content: bytes) -> str:
    """All that the page does with a file."""
    page = read_page(content)
    ready = [like_mnist(page.ink(page.dark_on_light)), whole(page.grey(page.dark_on_light))]
    if any(one.shape != (28, 28) or not 0 <= one.min() <= one.max() <= 1 for one in ready):
        raise AssertionError("not an image of MNIST's kind")
    return "28 x 28 grey values"


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _damaged(kind: str, content: bytes) -> dict[str, bytes]:
    """Cut off at every 5 %; single bits turned; parts zeroed, repeated, in another order."""
    dice, found = random.Random(0), dict[str, bytes]()
    for percent in range(5, 100, 5):
        found[f"{kind} cut off at {percent} %"] = content[: len(content) * percent // 100]
    for _ in range(FLIPS):
        place, bit = dice.randrange(len(content)), dice.randrange(8)
        turned = bytearray(content)
        turned[place] ^= 1 << bit
        found[f"{kind} with bit {bit} of byte {place} turned"] = bytes(turned)
    half = len(content) // 2
    found[f"{kind} with zeros in the middle"] = content[:half] + bytes(200) + content[half + 200 :]
    found[f"{kind} twice"] = content * 2
    found[f"{kind} backwards"] = content[::-1]
    found[f"{kind} as text"] = content.decode("latin-1").encode()
    found[f"{kind} with the first byte missing"] = content[1:]
    return found


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file, its checksum right."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(
    width: int, height: int, *more: bytes, depth: int = 8, colour: int = 0, data: bytes = b""
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = [chunk(b"IHDR", header), *more, chunk(b"IDAT", data or zlib.compress(bytes(1000)))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body) + chunk(b"IEND", b"")


def _headers(png: bytes, jpeg: bytes) -> dict[str, bytes]:
    """Sizes that lie, and bombs: little that becomes much."""
    found = {
        f"PNG that says {width:,} x {height:,}": _png(width, height)
        for width, height in (
            *((10_000, 10_000), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (1, 10**9), (0, 0), (0, 100)),
            *((8192, 1), (8193, 1), (4000, 4001), (1, 1), (65_536, 65_536), (100, 2**31)),
        )
    }
    black = zlib.compress(bytes(10_001 * 10_000), 9)
    found["PNG of 100 megapixels, all there"] = _png(10_000, 10_000, data=black)
    found["PNG of 28 x 28 with 100 MB of data"] = _png(28, 28, data=black)
    for depth, colour in ((16, 6), (8, 3), (1, 6), (7, 0), (16, 3)):
        found[f"PNG of depth {depth}, colour type {colour}"] = _png(28, 28, depth=depth, colour=colour)
    start = next(jpeg.index(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in jpeg)
    for side in (0, 1, 10_000, 65_535):
        size = struct.pack(">HH", side, side)
        found[f"JPEG that says {side:,} x {side:,}"] = jpeg[: start + 5] + size + jpeg[start + 9 :]
    return found


def _chunks(png: bytes) -> dict[str, bytes]:
    """PNG files whose other parts are hostile."""
    bomb, first, rest = zlib.compress(bytes(50_000_000), 9), png[:33], png[33:]
    animated = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 2**31 - 1, 2**31 - 1, 2**31 - 1, 0, 1, 0, 9, 9))
    bodies = {
        "text that unpacks to 50 MB": chunk(b"zTXt", b"Comment\0\0" + bomb),
        "international text that unpacks to 50 MB": chunk(b"iTXt", b"XML\0\1\0\0\0" + bomb),
        "a colour profile that unpacks to 50 MB": chunk(b"iCCP", b"icc\0\0" + bomb),
        "2 147 483 647 frames": animated,
        "a frame outside of the picture": animated + frame,
        "an empty palette": chunk(b"PLTE", b""),
        "a palette that is too long": chunk(b"PLTE", bytes(3000)),
        "a density of zero": chunk(b"pHYs", bytes(9)),
        "EXIF that is none": chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
        "EXIF that points to itself": chunk(
            b"eXIf", b"II*\0\x08\0\0\0" + b"\x01\0\x69\x87\4\0\1\0\0\0\x08\0\0\0"
        ),
        "EXIF of a megabyte": chunk(b"eXIf", b"MM\0*" + bytes(1_000_000)),
        "a chunk that says it has 4 GB": b"\xff\xff\xff\xffzTXt",
        "a chunk without a name": chunk(b"\0\0\0\0", b"x"),
        "1,000 text chunks": chunk(b"tEXt", b"a\0" + b"x" * 1000) * 1000,
        "a second header": chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)),
        "an animation without frames": chunk(b"acTL", struct.pack(">II", 0, 0)),
    }
    return {f"PNG with {name}": first + body + rest for name, body in bodies.items()}


def _kinds(picture: Image.Image, bomb: Bomb) -> dict[str, bytes]:
    """Files of other kinds, whatever they are called."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x", bytes(50_000_000))
    svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script>{}</svg>'
    entities = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + svg.format("&a;")
    return {
        **{f"{kind} image": _saved(picture, kind) for kind in ("GIF", "TIFF", "BMP", "WEBP", "ICO", "PPM")},
        "PDF with a picture": _saved(picture, "PDF"),
        "EPS, which other programs would run": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(id) run",
        "SVG with a script": svg.format("").encode(),
        "SVG that asks for a file of the server": entities.encode(),
        "SVG as UTF-16": svg.format("").encode("utf-16"),
        "SVG after a PNG's first bytes": b"\x89PNG\r\n\x1a\n" + svg.format("").encode(),
        "HTML page": b"<!doctype html><script>alert(1)</script>",
        "zip bomb": archive.getvalue(),
        "gzip": zlib.compress(b"x"),
        "pickle": bomb.pickled(),
        "pickle after a PNG's first bytes": b"\x89PNG\r\n\x1a\n" + bomb.pickled(),
        "shell script": b"#!/bin/sh\ntouch x\n",
        "ELF": b"\x7fELF" + bytes(100),
        "nothing": b"",
        "one byte": b"\x89",
        "zeros": bytes(1000),
        "first bytes of a PNG": b"\x89PNG\r\n\x1a\n",
        "first bytes of a JPEG": b"\xff\xd8\xff",
        "5 MB and a byte": b"\xff\xd8\xff" + bytes(4_999_998),
        "5 MB of noise": b"\xff\xd8\xff" + random.Random(1).randbytes(4_999_000),
        "white PNG": _saved(Image.new("L", (50, 50), 255), "PNG"),
        "wholly transparent PNG": _saved(Image.new("RGBA", (50, 50)), "PNG"),
        "animation": _saved(picture, "PNG", save_all=True, append_images=[picture.rotate(90)] * 3),
        "JPEG of several pictures": _saved(picture, "MPO", save_all=True, append_images=[picture]),
    }


def _disguised(png: bytes, jpeg: bytes) -> dict[str, bytes]:
    """Files that are two things at once, and marks of JPEG that lie."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../x.py", "import os")
    page = b"<script>alert(1)</script>"
    exif = b"Exif\0\0MM\0*\0\0\0\x08"
    turned = b"\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    marks = {
        "a script as comment": b"\xff\xfe" + struct.pack(">H", len(page) + 2) + page,
        "EXIF of 64 kB": b"\xff\xe1\xff\xff" + (exif + bytes(65_533))[:65_533],
        "EXIF that is cut off": b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif,
        "EXIF that turns it": b"\xff\xe1" + struct.pack(">H", len(exif + turned) + 2) + exif + turned,
        "EXIF of a thousand and one": b"\xff\xe1" + struct.pack(">H", 16) + exif[:-4] + b"\xff\xff\xff\xff",
        "a mark of no length": b"\xff\xe0\0\0",
        "a mark longer than the file": b"\xff\xe2\xff\xff",
        "a colour profile of 255 parts": b"\xff\xe2\0\x12ICC_PROFILE\0\xff\xff\0\0",
        "an index of pictures that is none": b"\xff\xe2\0\x0aMPF\0II*\0",
        "no tables": b"\xff\xdb\0\2",
    }
    return {
        "PNG and zip at once": png + archive.getvalue(),
        "PNG and HTML at once": png + page,
        "JPEG and zip at once": jpeg + archive.getvalue(),
        "JPEG and HTML at once": jpeg + page,
        "JPEG and PNG at once": jpeg + png,
        "PNG and JPEG at once": png + jpeg,
        "HTML, then PNG": page + png,
        **{f"JPEG with {name}": jpeg[:2] + mark + jpeg[2:] for name, mark in marks.items()},
    }
