"""Bounds that get tighter: thin adapters around core, with caches. The rest of them is in compute.py."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

import core
from core.certificates.methods import QUADRATIC, Effort
from core.certificates.noise_certificate import Guarantee
from core.certificates.prove import prove
from core.evaluation.curve import Proof, proofs_of
from dashboard.addresses.digit import Digit, cached
from dashboard.addresses.explorer import FAST, ProofSettings
from dashboard.server.background import Now, Show, Tell, run
from dashboard.shared import first_view
from dashboard.shared.compute import ALPHA, DELTA, SAMPLE, question

SECONDS = {"crown": 10.0, "alpha-crown": 10.0, "quadratic": 20.0, "bab": 40.0}
"""Time for one radius, of the thread that computes: what is proved, and kept for all visitors, does not
depend on how many there are. The best bound so far counts when it is over."""
STEPS, ROUNDS = 50, {"quadratic": 50, "bab": 100}
"""Optimisation steps, and for bab as many rounds of splits: about what the time allows."""


def sampled_method(method: str, states: str) -> str:
    """What is proved of the noise at large by: within ten seconds, and never slower than asked for.

    One method, known before its result: the best of several would not have the confidence of each.
    """
    if method in FAST:
        return method
    return FAST[-1] if states == "expectation" else "crown"


def iterations(found: str, asked: str) -> int:
    """With how many a method that was found on the way to another one is found again: on the way to bab
    the quadratic takes more steps."""
    if (found, asked) == ("quadratic", "bab"):
        return ROUNDS["bab"] * QUADRATIC["bab"] // QUADRATIC["quadratic"]
    return ROUNDS.get(asked, STEPS)


@cached(256)
def grid(
    name: str, digit: Digit, settings: ProofSettings, method: str, radii: tuple[float, ...], _show: Show
) -> tuple[Proof, ...]:
    """What a fast method proves at each radius."""
    if (found := first_view.proofs(name, digit, settings, method, radii)) is not None:
        return found
    vae, x, noise = question(name, digit, settings)

    def work(tell: Tell) -> tuple[Proof, ...]:
        threat = settings.threat(torch.tensor(radii, dtype=torch.float64, device="cpu"))
        copies = x.expand(len(radii), -1, -1, -1)
        certificate = prove(
            *(vae, copies, noise, threat, Effort(method)),
            progress=lambda done, total: tell(Now(done / total, "whole range")),
        )
        return proofs_of(certificate)

    return run(work, _show, model=name)


@cached(2048)
def point(
    name: str, digit: Digit, settings: ProofSettings, method: str, eps: float, _show: Show
) -> tuple[Proof, ...]:
    """What each method up to this one proves at one radius; `_show` gets them as they arrive."""
    if (kept := first_view.proofs(name, digit, settings, method, (eps,))) is not None:
        return kept
    vae, x, noise = question(name, digit, settings)

    def work(tell: Tell) -> tuple[Proof, ...]:
        start, found = time.thread_time(), dict[str, Proof]()
        for certificate in core.refine(
            vae,
            x,
            noise,
            eps=eps,
            target=settings.target,
            norm=settings.norm,
            side=settings.side,
            method=method,
            iterations=ROUNDS.get(method, STEPS),
            seconds=SECONDS[method],
            clock=time.thread_time,
        ):
            proof, steps = proofs_of(certificate)[0], iterations(certificate.method, method)
            found[proof.method] = replace(proof, iterations=steps)
            share = min(1.0, (time.thread_time() - start) / SECONDS[method])
            tell(Now(share, f"eps {eps:g}", tuple(found.values())))
        return tuple(found.values())

    return run(work, _show, model=name)


@cached(256)
def statement(
    name: str, digit: Digit, settings: ProofSettings, method: str, states: str, eps: float, _show: Show
) -> tuple[Proof, ...]:
    """What is proved of the noise at large, by draws of its own."""
    vae, x, noise = question(name, digit, settings)

    def work(tell: Tell) -> tuple[Proof, ...]:
        guarantee = Guarantee(states, ALPHA, DELTA, SAMPLE, settings.seed)
        certificate = prove(
            *(vae, x, noise, settings.threat(eps), Effort(method), guarantee),
            progress=lambda done, total: tell(Now(done / total, f"draw {done:,} of {total:,}")),
        )
        return proofs_of(certificate)

    return run(work, _show, model=name)
