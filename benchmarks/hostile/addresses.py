"""Addresses of the pages, one value at a time."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import core
from benchmarks.hostile.cases import Case
from core.errors import InputError
from core.evaluation.results_files import RESULTS, read_results
from dashboard.addresses import compare, explorer, inspect, lessons, models, results, train
from dashboard.addresses.page import Page

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
    yield from _page("results", results.PAGE, every={"mnist": read_results(RESULTS)})


@functools.cache
def _layout(name: str) -> inspect.Layout:
    """Of a model that is among those there are: anything else would be a way in."""
    return inspect.Layout(core.load_model(models.folder(name)).config.latent, ("mu", "logvar"))


def _page(name: str, page: Page[Any], **there: Any) -> Iterator[Case]:
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
        for value in VALUES:
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
