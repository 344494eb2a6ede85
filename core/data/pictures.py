"""The bytes of a PNG or JPEG file, which anyone may have made -> an image that a model can take.

The page and the command line read pictures here: the same file is the same image for both.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.data.digits import SIDE, like_mnist, whole
from core.errors import DataError

MOST_BYTES = 5_000_000
MOST_PIXELS, MOST_SIDE = 16_000_000, 8192
"""Telephones take 12 megapixels; what a file says of its size is checked before it is decoded."""
# Pixels a side. Larger images are averaged down to this first.
_ENOUGH = 1024
_MAGIC = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
_END_OF_PNG = b"IEND\xaeB`\x82"
_ORIENTATION = 0x0112
_BLOCK = 1_000_000
# First column and row of each pass, and the steps to the next ones.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Share of the ink's darkness that a JPEG may blur around it.
_DUST = 0.05
# Paper varies up to so many times what nine tenths of its edge do.
_NOISE = 3.0


@dataclass(frozen=True)
class Page:
    """A picture. light: (H, W) float32 in [0, 1], 0 black; colours: the same in red, green and blue,
    (3, H, W). lossy: whether it comes from a JPEG."""

    light: np.ndarray
    colours: np.ndarray
    lossy: bool = False

    @property
    def paper(self) -> float:
        """The light of the paper: what most of the edge has."""
        return float(np.median(self._edge))

    @property
    def ready(self) -> bool:
        """Whether it has the size of MNIST's images already: then it is not centred."""
        return self.light.shape == (SIDE, SIDE)

    @property
    def dark_on_light(self) -> bool:
        """Whether it looks like dark ink on light paper, which MNIST turns round. Of an image that has
        MNIST's size nearly all of the edge has to be light: it may be an attacked one, full of noise."""
        return (float(np.quantile(self._edge, 0.1)) if self.ready else self.paper) > 0.5

    def digit(self, invert: bool, centre: bool) -> np.ndarray:
        """The image (28, 28) that a model of MNIST's kind gets. Raises InputError where there is no ink to
        centre."""
        return like_mnist(self.ink(invert)) if centre else whole(self.grey(invert))

    def fitted(self, shape: tuple[int, int, int], as_is: bool = False) -> np.ndarray:
        """The image of a model's shape (C, H, W). A grey one of MNIST's size is read as the page suggests:
        dark ink on light paper is turned round, ink is centred. Another one, or one that is to be taken as
        it is, is the whole picture."""
        channels, size = shape[0], shape[1:]
        if channels == 3:
            return np.stack([whole(colour, size) for colour in self.colours])
        invert = self.dark_on_light and not as_is
        if size != (SIDE, SIDE) or as_is:
            return whole(self.grey(invert), size)[None]
        return self.digit(invert, centre=not self.ready and bool(self.ink(invert).any()))[None]

    def ink(self, invert: bool) -> np.ndarray:
        """How much brighter than its paper each pixel is, (H, W) in [0, 1]: 0 paper, 1 the brightest.

        invert  dark ink on light paper: how much darker. What varies as the paper does is paper.
        """
        light, edge = (1 - self.light, 1 - self._edge) if invert else (self.light, self._edge)
        paper, high = float(np.median(edge)), float(light.max())
        noise = _NOISE * float(np.quantile(np.abs(edge - paper), 0.9))
        if self.lossy:
            noise = max(noise, _DUST * (high - paper))
        low = paper + min(noise, 0.5 * (high - paper))
        return np.clip((light - low) / (high - low), 0, 1) if high > low else np.zeros_like(light)

    def grey(self, invert: bool) -> np.ndarray:
        """As it is, (H, W) in [0, 1], or its negative."""
        return 1 - self.light if invert else self.light

    @property
    def _edge(self) -> np.ndarray:
        light = self.light
        return np.concatenate([light[0], light[-1], light[1:-1, 0], light[1:-1, -1]])


def read_page(content: bytes) -> Page:
    """One PNG or JPEG file as the page that it shows, turned as its camera was held, transparency as paper;
    of an animation the first frame. Raises DataError with a sentence."""
    kind = check_kind(content)
    # A decoder of hostile bytes raises whatever they lead it to; all of it means the same.
    try:
        with Image.open(io.BytesIO(content), formats=(kind,)) as image:
            if image.width * image.height > MOST_PIXELS or max(image.size) > MOST_SIDE:
                raise DataError(
                    f"The image has {image.width:,} x {image.height:,} pixels; at most "
                    f"{MOST_PIXELS // 1_000_000} million are taken, at most {MOST_SIDE:,} on a side."
                )
            if kind == "PNG" and not is_whole(content):
                raise ValueError("its checksums say so")
            turn = _TURNS.get(_orientation(image))
            image.draft("RGB", (_ENOUGH, _ENOUGH))
            planes = [_turned(plane, turn) for plane in _planes(image)]
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        most = MOST_PIXELS // 1_000_000
        raise DataError(f"The image has more than the {most} million pixels taken: {error}.") from error
    except Exception as error:
        raise DataError(
            f"The file begins like a {kind} image but cannot be read as one: it is damaged or incomplete. "
            "Save it again, or choose another one."
        ) from error
    light, *colours, alpha = planes
    return Page(_on_paper(light, light, alpha), _on_paper(np.stack(colours), light, alpha), kind == "JPEG")


def check_kind(content: bytes) -> str:
    """The format of a file by its first bytes, whatever it is called."""
    if not content:
        raise DataError("The file is empty.")
    if len(content) > MOST_BYTES:
        raise DataError(f"The file is over {MOST_BYTES // 1_000_000} MB; make the image smaller.")
    kind = next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)
    if kind is None:
        raise DataError("The file is neither a PNG nor a JPEG image, whatever its name says.")
    if kind == "PNG" and not content.endswith(_END_OF_PNG):
        raise DataError(
            "The PNG image is cut off, or something else is attached to it. Save it again, or choose "
            "another one."
        )
    return kind


def is_whole(png: bytes) -> bool:
    """Whether each chunk of a PNG has its checksum, and its pixels are as many as it says."""
    at, found, wanted, inflate = 8, 0, _pixel_bytes(png), zlib.decompressobj()
    while at + 12 <= len(png):
        size, kind = int.from_bytes(png[at : at + 4]), png[at + 4 : at + 8]
        data, checksum = png[at + 8 : at + 8 + size], png[at + 8 + size : at + 12 + size]
        if zlib.crc32(kind + data) != int.from_bytes(checksum) or len(checksum) < 4:
            return False
        at += 12 + size
        try:
            while kind == b"IDAT" and data and not inflate.eof and found <= wanted:
                found += len(inflate.decompress(data, _BLOCK))
                data = inflate.unconsumed_tail
        except zlib.error:
            return False
    return at == len(png) and inflate.eof and found == wanted


def _pixel_bytes(png: bytes) -> int:
    """How many bytes the pixels of a PNG are, a filter byte a line, in one pass or in Adam7's seven."""
    width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    bits = png[24] * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[png[25]]
    total = 0
    for x, y, right, down in _ADAM7 if png[28] else ((0, 0, 1, 1),):
        columns, lines = -(-max(0, width - x) // right), -(-max(0, height - y) // down)
        total += lines * (1 + -(-columns * bits // 8)) if columns else 0
    return total


def _orientation(image: Image.Image) -> int:
    """How the camera was held; 1, as it is, where the file does not say so in a way that can be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # as in read_page: EXIF is a format of its own, and not worth refusing a picture for
        return 1


def _planes(image: Image.Image) -> Iterator[np.ndarray]:
    """Light, red, green, blue and opacity, each (H, W) float32 in [0, 1], not much larger than needed."""
    if image.mode.startswith("I"):  # 16 bits; Pillow would cut them off
        values = np.asarray(image, dtype=np.float32)
        light = np.clip(values / 65535, 0, 1)
        planes = [light, light, light, values != image.info.get("transparency")]
        images = [Image.fromarray(np.asarray(plane, dtype=np.float32)) for plane in [light, *planes]]
    else:
        seen = image.has_transparency_data
        colours = image.convert("RGBA" if seen else "RGB")
        light = image.convert("L") if not seen else colours.convert("L")
        alpha = colours.getchannel("A") if seen else Image.new("L", image.size, 255)
        images = [light, *colours.split()[:3], alpha]
    factor = -(-max(image.size) // _ENOUGH)
    for plane in images:
        small = np.asarray(plane.reduce(factor), dtype=np.float32)
        yield small if plane.mode == "F" else small / 255


def _turned(plane: np.ndarray, turn: Image.Transpose | None) -> np.ndarray:
    return plane if turn is None else np.asarray(Image.fromarray(plane).transpose(turn))


def _on_paper(values: np.ndarray, light: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """What is transparent becomes paper: white if what can be seen is dark, else black."""
    seen = float(alpha.sum())
    paper = 1.0 if seen > 0 and float((light * alpha).sum()) < seen / 2 and seen < alpha.size else 0.0
    return alpha * values + (1 - alpha) * np.float32(paper)
