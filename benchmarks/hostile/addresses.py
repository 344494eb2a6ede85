"""Addresses of the pages, one value at a time."""

from __future__ import annotations

import base64
import functools
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

import core
from benchmarks.hostile.cases import Case
from core.errors import InputError
from core.evaluation.results_files import RESULTS, read_results
from dashboard.addresses import (
    attack,
    compare,
    explorer,
    inspect,
    lessons,
    models,
    present,
    results,
    train,
)
from dashboard.addresses.page import Page
from dashboard.addresses.paint import MOST_TEXT, UNITS

PLACES = (
    "../../../../etc/passwd",
    "..",
    "/etc/passwd",
    "/dev/zero",
    "file:///etc/passwd",
    "C:\\Windows\\win.ini",
    "..%2f..%2fetc%2fpasswd",
    "mnist-mlp-standard/../../..",
    "runs/../../secret",
    "~root",
    "\\\\host\\share",
)
VALUES = (
    *("nan", "inf", "-inf", "1e999", "-1e999", "1e-999", "-1", "9" * 400, "0x10", "1_000", "1e3", "1,5"),
    *("١٢", "１２", "²", "½", "𝟙", "0\x00", "\x00", "", " ", "\n", "\u202e1", "\ud800", "NaN\u200b"),
    *("<script>alert(1)</script>", "'\"><img src=x onerror=alert(1)>", "javascript:alert(1)"),
    *("{{7*7}}", "${7*7}", "#{7*7}", "__import__('os').system('touch x')", "%s%n", "'; DROP TABLE x;--"),
    *("![x](http://127.0.0.1:9/x.png)", "`id`", "$(id)", "[x](javascript:alert(1))", "x" * 100_000),
    *("None", "null", "true", "[]", "{}", "," * 5000),
    *PLACES,
)


def addresses() -> Iterator[Case]:
    """Every field of every page with every value; then many fields at once."""
    names = models.available()
    kinds = dict.fromkeys(names, "bernoulli")
    yield from _page("compare", compare.PAGE, kinds=kinds, models=names, images={})
    yield from _page("inspect", inspect.PAGE, models=names, layout=_layout, images={})
    yield from _page("lessons", lessons.PAGE)
    yield from _page("train", train.PAGE)
    yield from _page("explorer", explorer.PAGE, models=names, images={})
    yield from _page("present", present.PAGE, models=names, images={})
    yield from _page("attack", attack.PAGE, models=names, images={}, more={"paint": _paintings()})
    yield from _page("results", results.PAGE, every={"mnist": read_results(RESULTS)})


def _paintings() -> Iterator[str]:
    """Paintings of 28 x 28 that this page would not write: of other sizes and numbers, too far, packed in
    other ways, cut off, followed by more, and those that grow a thousandfold when they are unpacked."""
    one = np.zeros((28, 28), "<i2")
    one[3, 4] = UNITS
    fine = zlib.compress(one.tobytes(), 9)
    arrays = [np.full((28, 28), v, "<i2") for v in (UNITS + 1, -UNITS - 1, 32_767, -32_768)]
    arrays += [
        one[:, :27],
        one[:1, :1],
        np.zeros(0, "<i2"),
        np.zeros((3, 32, 32), "<i2"),
        one.astype(">i4"),
    ]
    arrays += [np.full((28, 28), v, np.float16) for v in (np.nan, np.inf, -np.inf)]
    packed = [zlib.compress(array.tobytes(), 9) for array in arrays]
    packed += [
        fine[:-1],
        fine[: len(fine) // 2],
        fine[1:],
        fine + b"x",
        fine + fine,
        b"",
        one.tobytes(),
        b"PK\x05\x06",
    ]
    packed += [zlib.compress(bytes(10**n), 9) for n in (5, 6)]
    raw = zlib.compressobj(9, wbits=-15)
    packed += [raw.compress(one.tobytes()) + raw.flush(), zlib.compress(b"\x80\x04K\x01." * 300)]
    for part in packed:
        text = base64.urlsafe_b64encode(part).decode()
        yield from dict.fromkeys((text.rstrip("="), text, f"{text}==", text[:MOST_TEXT], text.swapcase()))
    yield base64.b64encode(np.arange(9_000, dtype="<i2").tobytes()).decode()
    yield "A" * 10_000_000


@functools.cache
def _layout(name: str) -> inspect.Layout:
    """Of a model that is among those there are: anything else would be a way in."""
    return inspect.Layout(core.load_model(models.folder(name)).config.latent, ("mu", "logvar"))


def _page(
    name: str, page: Page[Any], more: Mapping[str, Iterable[str]] | None = None, **there: Any
) -> Iterator[Case]:
    """Cases of one page; more: values for single fields beside those that all get."""
    default = page.parse({}, **there)[0]

    def run(params: Mapping[str, str]) -> str:
        found, messages = page.parse(params, **there)
        for message in messages:
            if len(message.text) > 1000 or "\n" in message.text:
                raise AssertionError(f"no sentence: {message.text[:100]!r}")
        if messages:
            raise InputError(" ".join(message.text for message in messages))
        return "what it says" if found != default else "the usual"

    for field in page.settings:
        for value in (*VALUES, *(more or {}).get(field, ())):
            yield Case(f"address of {name}", f"{field}={_short(value)}", lambda p={field: value}: run(p))
    for value in VALUES:
        everything = dict.fromkeys((*page.settings, "<b>", "__class__", "\x00"), value)
        yield Case(f"address of {name}", f"every field {_short(value)}", lambda p=everything: run(p))


def model_names() -> Iterator[Case]:
    """Names of models that lead somewhere else."""
    for name in (*PLACES, *VALUES, *(f"runs/{place}" for place in PLACES), "runs", "runs/", "runs//mine"):
        yield Case("model name", _short(name), lambda name=name: str(core.load_model(models.folder(name))))


def _short(value: str) -> str:
    shown = ascii(value)[1:-1]
    return shown if len(shown) <= 60 else f"{shown[:40]}... ({len(value):,} characters)"
