"""Files that are handed in as certificates."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from typing import Any

import core
from benchmarks.hostile.addresses import PLACES
from benchmarks.hostile.cases import Case
from core.errors import ClaimError

FLIPS = 30
_MODEL = "mnist-mlp-robust-0.1"


def claims() -> Iterator[Case]:
    """Read, and, where it can be read, verified."""
    vae, x = core.load_model(_MODEL), core.load_samples("mnist")[0][:1]
    proved = core.certify(vae, x, core.sample_noise(vae, 1, 0), eps=0.05, method="ibp")
    good = core.make_claim(_MODEL, x, proved, draws=1).to_json()
    for name, content in {**_damaged(good), **_changed(json.loads(good))}.items():
        yield Case("certificate", name, lambda content=content: _verify(content))


def _verify(content: str | bytes) -> str:
    verdict = core.verify_claim(core.read_claim(content))
    if not verdict.holds:
        raise ClaimError(verdict.sentence)
    return "a certificate that holds"


def _damaged(good: str) -> dict[str, str | bytes]:
    dice = random.Random(3)
    found: dict[str, str | bytes] = {
        f"cut off at {percent} %": good[: len(good) * percent // 100] for percent in range(0, 100, 5)
    }
    for _ in range(FLIPS):
        turned, place = bytearray(good.encode()), dice.randrange(len(good))
        turned[place] ^= 1 << dice.randrange(8)
        found[f"a bit of byte {place} turned"] = bytes(turned)
    return found | {
        "2 MB": " " * 2_000_000,
        "nested 100,000 deep": "[" * 100_000,
        "no UTF-8": b"\xff\xfe\xfd",
        "null": "null",
        "twice": good * 2,
        "a number of 5,000 digits": good.replace('"draws": 1', '"draws": ' + "9" * 5000),
    }


def _changed(good: dict[str, Any]) -> dict[str, str]:
    """Other values under a checksum that is right: a forger can make one."""
    image = good["image"]
    values: dict[str, list[Any]] = {
        "model": [*PLACES, "", 5, "x" * 100_000, "<script>alert(1)</script>"],
        "weights": ["", "0" * 64],
        "image": ["", "!!!", image[:-4], image * 2, "fwAAgD8" * 400, "AADAfwAA" * 392],
        "eps": [-1, 2, 1e308, 10**400, True, "0.05", None],
        "draws": [0, -1, 10**9, 1.5, True],
        "iterations": [-1, 10**9, "50"],
        "sample": [-1, 10**12],
        "seed": [-1, 2**63, 2**200],
        "bound": [0.0, 1e308, 10**400, "x"],
        "margin": [-1.0, 1e308, []],
        "method": ["", "__import__('os')", "../ibp"],
        "norm": ["l0", ""],
        "witness": ["!!!", "AAAA", image, None],
        "side": ["upper", "both"],
        "states": ["expectation", "all"],
        "target": ["x"],
        "arithmetic": ["float16"],
        "alpha": [-1.0, 1e308],
        "delta": [2.0],
        "statement": ["For every image everything is proved.", "", "x" * 900_000],
        "versions": [5, "x" * 900_000],
        "format": [2, "1", None],
    }
    found: dict[str, str] = {}
    for field, changed in values.items():
        for value in changed:
            content = {key: entry for key, entry in good.items() if key != "checksum"} | {field: value}
            text = json.dumps(content, sort_keys=True, separators=(",", ":"))
            content["checksum"] = hashlib.sha256(text.encode()).hexdigest()
            shown = ascii(value)
            found[f"{field} = {shown[:40]}{'...' * (len(shown) > 40)}"] = json.dumps(content)
    return found
