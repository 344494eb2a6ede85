"""Certificates as the dashboard writes them, and forged ones: which does `python -m core verify` accept?

python -m benchmarks.claims                # 100 certificates, 100 with one field changed, 100 rewritten
python -m benchmarks.claims --slow         # quadratic, branch and bound and more of the noise at large too

Three kinds of forger: "edits" changes one field; "signs" has the checksum fit again; "rewrites" claims 5
nats more, in the number, in the sentence and in the checksum. Exit code 1 if any gets through, or if a
certificate as it was written does not hold.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from core.claims.claim import checksum, read_claim
from core.command_line.cli import main as core_main
from core.evaluation.curve import Proof
from dashboard.addresses.digit import Digit
from dashboard.addresses.explorer import Settings
from dashboard.shared import compute, tighter_bounds

COUNT = 100
Fields = dict[str, Any]
# Shipped models, with eps of each norm at which there is something to prove.
MODELS = {
    "mnist-mlp-robust-0.1": ((0.0, 0.01, 0.037, 0.05), (0.02, 0.1)),
    "mnist-conv-robust-0.1": ((0.0, 0.02, 0.05, 0.1), (0.02, 0.1)),
    "mnist-conv-robust-0.05": ((0.01, 0.05), (0.02, 0.1)),
    "mnist-mlp-robust-rec-0.1": ((0.02, 0.1), (0.1,)),
    "mnist-mlp-gaussian-mtl-0.1": ((0.01, 0.05), (0.05,)),
    "mnist-mlp-standard": ((0.0001, 0.002), (0.01,)),
    "mnist-conv-standard": ((0.0001, 0.002), (0.01,)),
}
# How many certificates of each kind; the rest of COUNT are "ibp".
METHODS = {"crown-ibp": 20, "crown": 10, "alpha-crown": 8}
NOISE = (("ibp", "expectation"), ("ibp", "coverage"))
SLOW = (("crown-ibp", "expectation"), ("crown", "coverage"), ("quadratic", "draws"), ("bab", "draws"))


@dataclass(frozen=True)
class Asked:
    """One certificate that a visitor takes away."""

    model: str
    digit: Digit
    eps: float
    settings: Settings
    method: str
    states: str = "draws"

    def file(self) -> str:
        """As the dashboard makes it; where all is vacuous, at a tenth of eps, or at 0."""
        args = (self.model, self.digit, self.settings.proof)
        if self.states != "draws":
            proof = tighter_bounds.statement(*args, self.method, self.states, self.eps, _quiet)[0]
            return compute.claim(*args, proof, states=self.states)
        found = (self._proof(eps) for eps in (self.eps, self.eps / 10, 0.0))
        proof = next(proof for proof in found if proof is not None)
        return compute.claim(*args, proof)

    def _proof(self, eps: float) -> Proof | None:
        args = (self.model, self.digit, self.settings.proof)
        curve = compute.explore(self.model, self.digit, self.settings, (eps,), _quiet).curve
        if self.method == "crown-ibp":
            curve = curve.add(tighter_bounds.grid(*args, self.method, (eps,), _quiet))
        elif self.method != "ibp":
            curve = curve.add(tighter_bounds.point(*args, self.method, eps, _quiet))
        return curve.best(eps)


def asked(slow: bool = False, seed: int = 0, every: int = 1) -> list[Asked]:
    """COUNT questions over models, digits, eps, targets, norms, draws and methods; every: one in so many,
    and all about noise at large."""
    chosen = random.Random(seed)
    kinds = [(method, "draws") for method, count in METHODS.items() for _ in range(count)]
    kinds += [*NOISE, *(SLOW if slow else ())]
    kinds += [("ibp", "draws")] * (COUNT - len(kinds))
    return [
        _ask(chosen, i, method, states)
        for i, (method, states) in enumerate(kinds)
        if i % every == 0 or states != "draws"
    ]


def _ask(chosen: random.Random, i: int, method: str, states: str) -> Asked:
    name = "mnist-mlp-robust-0.1" if method in ("quadratic", "bab") else list(MODELS)[i % len(MODELS)]
    norm = chosen.choice(("linf", "linf", "linf", "l2"))
    settings = Settings(
        target="reconstruction" if "-rec-" in name else chosen.choice(("likelihood", "reconstruction")),
        norm=norm,
        steps=1,
        draws=chosen.choice((1, 2, 4)) if method != "alpha-crown" else 1,
        seed=chosen.randrange(1000),
    )
    eps = chosen.choice(MODELS[name][norm == "l2"])
    return Asked(name, Digit(chosen.randrange(500)), eps, settings, method, states)


def _quiet(now: object) -> None:
    pass


def other_pixel(image: str, i: int) -> str:
    """The same image but for one pixel in its middle."""
    pixels = torch.frombuffer(bytearray(base64.b64decode(image)), dtype=torch.float32)
    pixels[406 + i % 3] = 1 - pixels[406 + i % 3].round()
    return base64.b64encode(pixels.numpy().tobytes()).decode()


def _swap(value: str, *values: str) -> str:
    return next(other for other in values if other != value)


FORGERIES: dict[str, Callable[[Fields, int], Any]] = {
    "format": lambda f, i: f["format"] + 1 - 2 * (i % 2),
    "model": lambda f, i: _swap(f["model"], "mnist-mlp-robust-0.1", "mnist-mlp-standard"),
    "weights": lambda f, i: f["weights"][:-1] + ("0" if f["weights"][-1] != "0" else "1"),
    "image": lambda f, i: other_pixel(f["image"], i),
    "target": lambda f, i: _swap(f["target"], "likelihood", "reconstruction"),
    "eps": lambda f, i: (f["eps"] * 2 + 1e-7, f["eps"] / 2 + 1e-7, f["eps"] + 1e-9)[i % 3],
    "norm": lambda f, i: _swap(f["norm"], "linf", "l2"),
    "side": lambda f, i: "upper",
    "method": lambda f, i: _swap(f["method"], "crown-ibp", "crown"),
    "states": lambda f, i: _swap(f["states"], "expectation", "coverage"),
    "arithmetic": lambda f, i: "float32",
    "alpha": lambda f, i: (f["alpha"] + 0.04, f["alpha"] / 2 + 1e-9)[i % 2],
    "delta": lambda f, i: (f["delta"] + 0.05, f["delta"] / 2 + 1e-9)[i % 2],
    "iterations": lambda f, i: f["iterations"] + 1,
    "draws": lambda f, i: f["draws"] + 1,
    "seed": lambda f, i: f["seed"] + 1,
    "sample": lambda f, i: f["sample"] + 1,
    "bound": lambda f, i: f["bound"] + (0.01, 1.0, -0.01, -1.0, 0.001, -0.001)[i % 6],
    "margin": lambda f, i: (f["margin"] / 2, f["margin"] * 2 + 1e-9, f["margin"] + 1e-15)[i % 3],
    "statement": lambda f, i: (
        f["statement"].replace("at least ", "at least 1"),
        f["statement"].replace("every image", "each picture"),
        f["statement"].replace("noise of seed ", "noise of seed 1"),
    )[i % 3],
    "versions": lambda f, i: f["versions"].replace("torch ", "torch 1"),
    "witness": lambda f, i: f["witness"][:-4] + "AAA=",
    "checksum": lambda f, i: f["checksum"][1:] + f["checksum"][0],
}
"""Each field of the file, and what the forger number i makes of it."""


def forge(content: str, field: str, i: int, signs: bool) -> str:
    """The file with one field changed; signs: with a checksum that fits."""
    found: Fields = json.loads(content)
    found |= {field: FORGERIES[field](found, i)}
    if found[field] == json.loads(content)[field]:
        raise ValueError(f"{field} is still {found[field]!r}")
    if signs and field != "checksum":
        found["checksum"] = checksum({name: value for name, value in found.items() if name != "checksum"})
    return json.dumps(found, indent=2)


def rewrite(content: str, nats: float = 5.0) -> str:
    """A consistent lie: a better bound in the number, in the sentence and in the checksum."""
    claim = read_claim(content)
    better = round(claim.bound + nats, 2)
    said = claim.statement.replace(f" {claim.bound:.2f} nats", f" {better:.2f} nats", 1)
    return replace(claim, bound=better, statement=said).to_json()


def verify(path: Path, content: str) -> tuple[bool, str]:
    """What `python -m core verify` says of a file, and whether it accepts it."""
    path.write_text(content)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        code = core_main(["verify", str(path)])
    return code == 0, out.getvalue().strip()


def forgeries(files: Sequence[str]) -> Iterator[tuple[str, bool, str]]:
    """field, whether it is signed, and the forged file: one a file, every field in turn, about half signed.

    Those of the noise at large are not: each takes seconds to compute again.
    """
    names = list(FORGERIES)
    for i, content in enumerate(files):
        found = json.loads(content)
        field, dear = names[i % len(names)], found["sample"]
        signs = field != "checksum" and not dear and (i // len(names)) % 2 == 0
        yield field, signs, forge(content, field, i, signs)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--slow", action="store_true", help="with the methods that take long")
    slow = parser.parse_args(argv).slow
    questions, wrong = asked(slow), 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.json"
        files, kinds, held = [], Counter[str](), Counter[str]()
        for question in tqdm(questions, desc="certificates", disable=None):
            files.append(question.file())
            claim = read_claim(files[-1])
            kind = f"{claim.states}, {claim.method}"
            kinds[kind] += 1
            held[kind] += verify(path, files[-1])[0]
        print(f"{'as written':<32} {'files':>6} {'accepted':>9}")
        for kind, count in kinds.items():
            print(f"{kind:<32} {count:>6} {held[kind]:>9}")
            wrong += count - held[kind]
        made, refused = Counter[str](), Counter[str]()
        forged = [(f"{name}, {'signs' if signs else 'edits'}", c) for name, signs, c in forgeries(files)]
        forged += [("rewrites", rewrite(content)) for content in files]
        for kind, content in tqdm(forged, desc="forgeries", disable=None):
            made[kind] += 1
            refused[kind] += not verify(path, content)[0]
        print(f"\n{'forged':<32} {'files':>6} {'rejected':>9}")
        for kind, count in sorted(made.items()):
            print(f"{kind:<32} {count:>6} {refused[kind]:>9}")
            wrong += count - refused[kind]
    print(f"\n{sum(held.values())} of {len(files)} accepted as written, ", end="")
    print(f"{sum(refused.values())} of {len(forged)} forged ones rejected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
