"""What is shown of one model: images, numbers, the certificate's statement."""

from __future__ import annotations

import math

import streamlit as st

from dashboard import figures, images
from dashboard.compute import Result
from dashboard.text import HELP, minus, nats, signed

WIDTH = 80


def pictures(result: Result, i: int) -> None:
    """Input, attacked, perturbation, and both reconstructions."""
    eps = result.curve.eps[i].item()
    change = result.attacked[i] - result.image
    scale = f"Perturbation ×{1 / eps:.3g}" if eps > 0 else "Perturbation (none)"
    shown = (
        ("Input", images.grey(result.image), "The clean digit"),
        (
            "Attacked",
            images.grey(result.attacked[i]),
            f"The digit after the attack, each pixel changed by at most {eps:g}",
        ),
        (
            scale,
            images.diverging(change, eps),
            "What the attack changed; red: brighter, blue: darker",
        ),
        (
            "Recon of input",
            images.grey(result.recon_image),
            "The digit as the model decodes it",
        ),
        (
            "Recon of attacked",
            images.grey(result.recon_attacked[i]),
            "The attacked digit as the model decodes it",
        ),
    )
    with st.container(horizontal=True, gap="xsmall"):
        for caption, png, alt in shown:
            st.image(png, caption=caption, width=WIDTH, alt=alt)


def numbers(result: Result, i: int) -> None:
    """Clean, attained, proved, open: unit and sign with each."""
    curve = result.curve
    clean, attained, proved = curve.clean, curve.attained[i].item(), curve.certified[i].item()
    with st.container(horizontal=True, gap="xsmall"):
        _metric("Clean", nats(clean), "no attack", HELP["clean"] + "\n\n" + HELP["elbo"])
        _metric("Attained", nats(attained), f"{signed(attained - clean)} from clean", HELP["attained"])
        if math.isinf(proved):
            _metric("Proved", "vacuous", "nothing proved", HELP["vacuous"] + "\n\n" + HELP["proved"])
            _metric("Open gap", "unbounded", "no limit", HELP["open"])
        else:
            _metric("Proved", nats(proved), f"{signed(proved - clean)} from clean", HELP["proved"])
            _metric("Open gap", nats(attained - proved), "undecided", HELP["open"])


def _metric(label: str, value: str, note: str, help_: str) -> None:
    st.metric(label, value, delta=note, delta_color="off", delta_arrow="off", help=help_, width="stretch")


def losses(result: Result, eps: float, name: str, colour: str) -> list[figures.Loss]:
    """Where the attained and the proved drop come from; a vacuous proof is left out."""
    i, clean = result.at(eps), result.terms["clean"]
    shown = ["attained"] if math.isinf(result.curve.certified[i].item()) else ["attained", "proved"]
    return [
        figures.Loss(
            f"{name}, {key}",
            colour,
            float(result.terms[key].recon[i] - clean.recon[0]),
            float(clean.kl[0] - result.terms[key].kl[i]),
        )
        for key in shown
    ]


def statement(result: Result, i: int) -> None:
    """Exactly what has been proved."""
    st.caption(f"**What is proved.** {minus(result.statements[i])}")
