"""From ink to a digit as MNIST has them; from files and strokes to ink."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image, ImageOps

import core
from core.data.digits import like_mnist, whole
from core.data.pictures import _TURNS, read_page
from core.errors import DataError, InputError
from dashboard.own.strokes import MOST_POINTS, check_strokes, render

DIGITS, LABELS = (part.squeeze().numpy() for part in core.load_samples("mnist"))


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def enlarged(digit: np.ndarray, times: int = 10) -> Image.Image:
    """White on black, its pixels as squares."""
    return Image.fromarray(np.round(digit * 255).astype(np.uint8).repeat(times, 0).repeat(times, 1))


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Up to a grey level: the brightest becomes white."""
    return bool(abs(one - other).max() < 1.5 / 255)


@pytest.mark.parametrize("times", [1, 3, 10])
def test_shipped_digits_come_back_exactly(times: int):
    for digit in DIGITS:
        assert np.array_equal(like_mnist(digit.repeat(times, 0).repeat(times, 1)), digit)


def test_smoothly_enlarged_digits_come_back_closely():
    changes = []
    for digit in DIGITS[:100]:
        large = Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC)
        ink = np.clip(np.asarray(large), 0, 1)
        changes.append(abs(like_mnist(np.where(ink < 0.02, 0, ink)) - digit).mean())
    assert np.mean(changes) < 0.04
    assert np.mean(changes) < np.mean(abs(DIGITS[1:101] - DIGITS[:100])) / 3


@given(
    number=some.integers(0, 499),
    times=some.integers(1, 6),
    top=some.integers(0, 200),
    left=some.integers(0, 200),
)
def test_where_and_how_large_makes_no_difference(number: int, times: int, top: int, left: int):
    page = np.zeros((400, 400), dtype=np.float32)
    large = DIGITS[number].repeat(times, 0).repeat(times, 1)
    page[top : top + len(large), left : left + len(large)] = large
    assert np.array_equal(like_mnist(page), DIGITS[number])


@given(some.integers(1, 60), some.integers(1, 60), some.integers(0, 2**32 - 1))
def test_any_ink_fits_a_box_of_20_and_touches_it(height: int, width: int, seed: int):
    ink = np.random.default_rng(seed).uniform(0.5, 1, (height, width))
    digit = like_mnist(ink)
    rows, columns = np.flatnonzero(digit.max(1)), np.flatnonzero(digit.max(0))
    spans = [int(found[-1] - found[0] + 1) for found in (rows, columns)]
    assert max(spans) == 20
    assert abs(spans[0] * width - spans[1] * height) <= max(height, width)  # rounded to whole pixels
    assert digit.dtype == np.float32
    assert digit.shape == (28, 28)
    assert 0 <= digit.min() <= digit.max() <= 1


@pytest.mark.parametrize("ink", [np.zeros((40, 30)), np.eye(2)[:1] * 0])
def test_no_ink_is_an_error(ink: np.ndarray):
    with pytest.raises(InputError, match="no ink"):
        like_mnist(ink)


def test_specks_that_vanish_are_an_error():
    ink = np.zeros((3000, 3000))
    ink[0, 0] = ink[-1, -1] = 1
    with pytest.raises(InputError, match="too little ink"):
        like_mnist(ink)


def test_a_whole_image_keeps_its_shape_on_a_square_of_paper():
    assert np.array_equal(whole(DIGITS[3]), DIGITS[3])
    strip = whole(np.ones((10, 40)))
    assert strip[:10].max() == strip[-10:].max() == 0
    assert strip[11:16].min() == 1


@pytest.mark.parametrize("number", range(20))
def test_a_file_of_a_digit_gives_the_digit(number: int):
    digit = DIGITS[number]
    page = read_page(saved(enlarged(digit)))
    assert not page.dark_on_light
    assert same(like_mnist(page.ink(invert=False)), digit)
    page = read_page(saved(ImageOps.invert(enlarged(digit))))
    assert page.dark_on_light
    assert same(like_mnist(page.ink(invert=True)), digit)
    assert np.array_equal(whole(read_page(saved(enlarged(digit, 1))).grey(invert=False)), digit)


def test_a_photograph_of_paper_gives_the_digit_too():
    rng, digit = np.random.default_rng(0), DIGITS[7]
    lit = 0.8 - 0.55 * np.asarray(enlarged(digit), dtype=float) / 255 + rng.normal(0, 0.01, (280, 280))
    photograph = Image.fromarray(np.round(lit * 255).astype(np.uint8)).convert("RGB")
    page = read_page(saved(photograph, "JPEG", quality=85))
    assert page.dark_on_light
    assert abs(like_mnist(page.ink(page.dark_on_light)) - digit).mean() < 0.06


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_png_shows_the_same(mode: str):
    grey = enlarged((DIGITS[2] > 0.5).astype(np.float32))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        picture = grey.convert(mode)
    assert np.array_equal(read_page(saved(picture)).light, np.asarray(grey) / np.float32(255))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg_shows_the_same(mode: str):
    grey = enlarged(DIGITS[2])
    page = read_page(saved(grey.convert(mode), "JPEG", quality=95))
    assert page.lossy
    assert abs(page.light - np.asarray(grey) / 255).mean() < 0.02


@pytest.mark.parametrize("ink", [0, 255])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_paper(ink: int, mode: str):
    alpha = enlarged(DIGITS[5])
    picture = Image.new("L", alpha.size, ink)
    picture.putalpha(alpha)
    page = read_page(saved(picture.convert(mode)))
    assert page.dark_on_light == (ink == 0)
    assert same(like_mnist(page.ink(page.dark_on_light)), DIGITS[5])


def test_a_transparent_colour_of_a_palette_is_paper():
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([255, 0, 0, 0, 0, 0])
    palette.paste(1, (15, 5, 25, 35))
    page = read_page(saved(palette, transparency=0))
    assert page.dark_on_light
    assert page.light[0, 0] == 1
    assert page.light[20, 20] == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_the_camera_was_held(orientation: int):
    upright = np.zeros((30, 20), dtype=np.uint8)
    upright[:10, :5] = 255
    picture = Image.fromarray(upright)
    back = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    turn = _TURNS.get(back)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = picture if turn is None else picture.transpose(turn)
    for kind in ("PNG", "JPEG"):
        page = read_page(saved(turned, kind, exif=exif.tobytes()))
        assert page.light.shape == (30, 20)
        assert abs(page.light - upright / 255).mean() < 0.05


def test_of_an_animation_the_first_frame_is_taken():
    frames = [enlarged(DIGITS[i]) for i in (3, 4)]
    page = read_page(saved(frames[0], save_all=True, append_images=frames[1:]))
    assert np.array_equal(like_mnist(page.ink(invert=False)), DIGITS[3])


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_large_images_are_averaged(kind: str):
    page = read_page(saved(enlarged(DIGITS[1], 120).convert("RGB"), kind))
    assert max(page.light.shape) <= 1024
    assert abs(like_mnist(page.ink(invert=False)) - DIGITS[1]).mean() < 0.05


REFUSED = {
    "empty": (b"", "empty"),
    "too long": (b"\x89PNG\r\n\x1a\n" + b"\0" * 5_000_000, "over 5 MB"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "neither a PNG"),
    "gif": (saved(enlarged(DIGITS[0]), "GIF"), "neither a PNG"),
    "tiff": (saved(enlarged(DIGITS[0]), "TIFF"), "neither a PNG"),
    "attached": (saved(enlarged(DIGITS[0])) + b"PK\x03\x04", "attached"),
    "cut off": (saved(enlarged(DIGITS[0]))[:-20], "cut off"),
    "cut off jpeg": (saved(enlarged(DIGITS[0]), "JPEG")[:-400], "damaged or incomplete"),
    "many pixels": (saved(Image.new("1", (4001, 4000))), "4,001 x 4,000 pixels"),
    "long side": (saved(Image.new("1", (8193, 1))), "8,193 x 1 pixels"),
    "bomb": (saved(Image.new("1", (20_000, 20_000))), "16 million"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_are_refused_with_a_sentence(case: str):
    content, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as caught:
        read_page(content)
    assert str(caught.value).endswith(".")


def line(*points: tuple[float, float]) -> list[list[float]]:
    return [list(point) for point in points]


def test_a_drawing_is_ink_where_the_pen_went():
    ink = render(check_strokes([line((0.2, 0.2), (0.8, 0.2)), line((0.5, 0.8))]))
    height, width = ink.shape
    assert abs(height - width) <= 1
    for x, y, wet in ((0.5, 0.06, 1), (0.9, 0.1, 1), (0.5, 0.95, 1), (0.5, 0.5, 0), (0.1, 0.9, 0)):
        assert ink[int(y * height), int(x * width)] == wet


@given(some.floats(0.1, 1), some.floats(0, 1), some.floats(0, 1))
def test_a_drawing_elsewhere_and_smaller_is_the_same_digit(size: float, right: float, down: float):
    seven = [(0.2, 0.0), (0.8, 0.0), (0.4, 1.0)]
    moved = [(x * size + right * (1 - size), y * size + down * (1 - size)) for x, y in seven]
    here, there = (like_mnist(render(check_strokes([line(*points)]))) for points in (seven, moved))
    assert abs(here - there).max() < 0.1


def test_the_pen_is_as_thick_as_in_mnist():
    share = np.mean([(digit > 0.5).sum() for digit in DIGITS[np.flatnonzero(LABELS == 7)]])
    seven = like_mnist(render(check_strokes([line((0.2, 0.1), (0.8, 0.1), (0.4, 0.9))])))
    assert 0.7 * share < (seven > 0.5).sum() < 1.3 * share


def test_a_dot_is_a_disc():
    for dot in (line((0.5, 0.5)), line((0, 0), (0.01, 0))):
        assert 0.7 < like_mnist(render(check_strokes([dot])))[5:24, 5:24].mean() < 0.95


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "x",
        3,
        {},
        [[]],
        ["x"],
        [[1, 2]],
        [[["0", "1"]]],
        [[[0.1]]],
        [[[0.1, 0.2, 0.3]]],
        [[[math.nan, 0.5]]],
        [[[math.inf, 0.5]]],
        [[[-0.1, 0.5]]],
        [[[0.5, 1e300]]],
        [[[10**400, 0]]],
        [[[True, False]]],
        [[None]],
    ],
)
def test_what_is_no_drawing_is_refused(sent: object):
    with pytest.raises(InputError, match="no drawing"):
        check_strokes(sent)


def test_a_drawing_has_an_end():
    assert len(check_strokes([line((0.5, 0.5))] * MOST_POINTS)) == MOST_POINTS
    with pytest.raises(InputError, match="over 4,000 points"):
        check_strokes([line((0.5, 0.5))] * (MOST_POINTS + 1))
    assert check_strokes([]) == ()
