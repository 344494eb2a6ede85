"""One digit, saved in every way that PNG and JPEG files have: the command line reads what the page does."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import core
from core.data.pictures import read_page
from core.data.samples import load_image
from core.errors import DataError

SEVEN = core.load_samples("mnist")[0][0, 0]
GREY, COLOUR = (1, 28, 28), (3, 32, 32)
LEVELS = (SEVEN.numpy() * 255).round().astype(np.uint8)


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def with_alpha(ink: int, mode: str) -> Image.Image:
    picture = Image.new("L", (28, 28), ink)
    picture.putalpha(Image.fromarray(LEVELS))
    return picture.convert(mode)


def colour_key(picture: Image.Image) -> bytes:
    """What is black is transparent, by a chunk tRNS, which Pillow does not write for all modes."""
    content = saved(picture)
    chunk = b"tRNS\0\0"
    chunk = (2).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
    return content[: 8 + 25] + chunk + content[8 + 25 :]


def palette(**options: Any) -> bytes:
    """Levels as indices of a palette that runs backwards; of white alone where there are options."""
    picture = Image.fromarray(LEVELS if options else 255 - LEVELS, "P")
    picture.putpalette([255 if options else 255 - level for level in range(256) for _ in range(3)])
    return saved(picture, **options)


def turned(kind: str, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.fromarray(LEVELS).rotate(90), kind, exif=exif.tobytes(), **options)


def sixteen(levels: np.ndarray) -> Image.Image:
    return Image.fromarray(levels.astype(np.uint16) * 257)


DIGIT, INK = Image.fromarray(LEVELS), (LEVELS > 127).astype(np.uint8) * 255
ONE_BIT = Image.fromarray(INK).convert("1")
EXACT = {
    "grey": saved(DIGIT),
    "colour": saved(DIGIT.convert("RGB")),
    "16 bits": saved(sixteen(LEVELS)),
    "16 bits, dark ink": saved(sixteen(255 - LEVELS)),
    "16 bits, black is transparent": colour_key(sixteen(LEVELS)),
    "grey, black is transparent": colour_key(DIGIT),
    "dark ink": saved(ImageOps.invert(DIGIT)),
    "black on transparent": saved(with_alpha(0, "RGBA")),
    "white on transparent": saved(with_alpha(255, "RGBA")),
    "black on transparent, LA": saved(with_alpha(0, "LA")),
    "white on transparent, LA": saved(with_alpha(255, "LA")),
    "palette": palette(),
    "transparent palette": palette(transparency=bytes(range(256))),
    "turned": turned("PNG"),
    "animation": saved(DIGIT, save_all=True, append_images=[ImageOps.invert(DIGIT)]),
    "enlarged": saved(DIGIT.resize((280, 280), Image.Resampling.NEAREST)),
    "enlarged dark ink": saved(ImageOps.invert(DIGIT).resize((280, 280), Image.Resampling.NEAREST)),
}
CLOSE = {
    "jpeg": saved(DIGIT, "JPEG", quality=95),
    "cmyk": saved(DIGIT.convert("RGB").convert("CMYK"), "JPEG", quality=95),
    "turned jpeg": turned("JPEG", quality=95),
}


def as_on_the_page(content: bytes) -> torch.Tensor:
    """With the toggles as they are when a file has been chosen."""
    page = read_page(content)
    return torch.from_numpy(page.digit(page.dark_on_light, not page.ready))


@pytest.mark.parametrize("kind", [*EXACT, *CLOSE])
def test_a_digit_is_read_however_it_was_saved(kind: str, tmp_path: Path) -> None:
    content = (EXACT | CLOSE)[kind]
    (tmp_path / "seven").write_bytes(content)
    x = load_image(tmp_path / "seven", GREY)
    assert torch.equal(x[0, 0], as_on_the_page(content))
    if kind in EXACT:
        assert torch.equal(x[0, 0], SEVEN)
    else:
        assert (x[0, 0] - SEVEN).abs().mean() < 0.02


@pytest.mark.parametrize("transparent", [False, True])
def test_a_single_bit_is_black_or_white(transparent: bool, tmp_path: Path) -> None:
    content = colour_key(ONE_BIT) if transparent else saved(ONE_BIT)
    (tmp_path / "seven.png").write_bytes(content)
    x = load_image(tmp_path / "seven.png", GREY)
    assert torch.equal(x[0, 0], torch.from_numpy(INK).float() / 255)


def test_as_it_is_nothing_is_turned_round_or_centred(tmp_path: Path) -> None:
    page = np.full((56, 56), 255, dtype=np.uint8)
    page[:28, :28] -= LEVELS
    Image.fromarray(page).save(tmp_path / "page.png")
    x = load_image(tmp_path / "page.png", GREY, as_is=True)
    assert x[0, 0, 14:, 14:].min() == 1
    assert x[0, 0].mean() > 0.9
    assert load_image(tmp_path / "page.png", GREY)[0, 0].mean() < 0.3


def test_an_attacked_image_full_of_noise_is_not_turned_round(tmp_path: Path) -> None:
    noisy = torch.rand(28, 28, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
    levels = (noisy * 255).round()
    Image.fromarray(levels.numpy().astype(np.uint8)).save(tmp_path / "noise.png")
    assert torch.equal(load_image(tmp_path / "noise.png", GREY)[0, 0], levels / 255)


def test_colours_are_kept_and_what_is_transparent_is_paper(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    picture.paste((0, 51, 102, 255), (8, 8, 24, 24))
    picture.save(tmp_path / "blue.png")
    x = load_image(tmp_path / "blue.png", COLOUR)[0]
    assert x[:, 0, 0].tolist() == [1, 1, 1]
    torch.testing.assert_close(x[:, 16, 16], torch.tensor([0, 0.2, 0.4]))
    sixteen(LEVELS).save(tmp_path / "grey.png")
    assert load_image(tmp_path / "grey.png", COLOUR).shape == (1, *COLOUR)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(5_000_000), "over 5 MB"),
        (saved(Image.new("1", (20_000, 20_000))), "16 million"),
        (saved(DIGIT)[:-20], "cut off"),
        (saved(DIGIT, "JPEG")[:-100], "damaged or incomplete"),
        (saved(DIGIT, "GIF"), "neither a PNG nor a JPEG"),
    ],
    ids=["empty", "long", "bomb", "cut", "cut jpeg", "gif"],
)
def test_another_file_is_refused_as_on_the_page(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file.png").write_bytes(content)
    with pytest.raises(DataError, match=rf"file\.png cannot be read as a PNG or JPEG image: .*{reason}"):
        load_image(tmp_path / "file.png", GREY)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """One bit of the pixels flipped."""
    at = content.index(b"IDAT") + 4 + int(rng.integers(0, len(content) - content.index(b"IDAT") - 20))
    return content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :]


def test_one_flipped_bit_is_seen() -> None:
    content, rng = saved(Image.fromarray(LEVELS)), np.random.default_rng(0)
    for _ in range(200):
        with pytest.raises(DataError):
            read_page(damaged(content, rng))


def test_a_picture_that_was_cut_and_closed_again_is_no_picture() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    content = saved(Image.fromarray(noise))  # in several chunks of pixels
    assert content.count(b"IDAT") > 1
    ends = [
        content.index(b"IDAT", at) - 4 for at in range(60, len(content), 70_000) if b"IDAT" in content[at:]
    ]
    for cut in (*ends[1:], 1000, len(content) // 2, len(content) - 30):
        with pytest.raises(DataError):
            read_page(content[:cut] + content[-12:])
    assert read_page(content).light.shape == (300, 300)


PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def interlaced(rows: int | None = None) -> bytes:
    """The digit in Adam7's seven passes, which Pillow does not write; only some of its first rows."""
    pixels = LEVELS[:rows] if rows else LEVELS
    lines = []
    for x, y, right, down in PASSES:
        lines += [b"\0" + line.tobytes() for line in pixels[y::down, x::right]]
    head = (28).to_bytes(4) + (28).to_bytes(4) + bytes([8, 0, 0, 0, 1])
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b""))
    chunks = (len(d).to_bytes(4) + k + d + zlib.crc32(k + d).to_bytes(4) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("size", [(12, 10), (10, 12), (5, 40)])
def test_a_picture_is_made_as_high_and_wide_as_a_model_takes(size: tuple[int, int]) -> None:
    picture = np.zeros((20, 20, 3), dtype=np.uint8)
    picture[:, :, 1] = 255
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    found = read_page(file.getvalue()).fitted((3, *size))
    assert found.shape == (3, *size)
    assert found[1].max() == 1
    assert not found[[0, 2]].any()
    assert found[1].mean() == pytest.approx(min(size) / max(size), abs=0.01)


def test_an_interlaced_picture_is_whole_with_all_its_passes() -> None:
    assert np.array_equal(read_page(interlaced()).light, LEVELS.astype(np.float32) / 255)
    with pytest.raises(DataError):
        read_page(interlaced(rows=14))


def test_half_of_the_rows_is_no_picture() -> None:
    content = saved(Image.fromarray(LEVELS[:14]))
    head = content[8 + 4 : 8 + 8] + (28).to_bytes(4) + (28).to_bytes(4) + content[24:29]
    content = content[:12] + head + zlib.crc32(head).to_bytes(4) + content[33:]
    with pytest.raises(DataError):
        read_page(content)
