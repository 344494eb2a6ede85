"""What is shown of one model: images, numbers, the certificate's statement."""

from __future__ import annotations

import math

import streamlit as st

from dashboard import figures, images
from dashboard.compute import Result
from dashboard.text import HELP, minus, nats, signed

WIDTH = 104


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
            "Input, reconstructed",
            images.grey(result.recon_image),
            "The digit as the model decodes it",
        ),
        (
            "Attacked, reconstructed",
            images.grey(result.recon_attacked[i]),
            "The attacked digit as the model decodes it",
        ),
    )
    with st.container(horizontal=True, gap="small"):
        for caption, png, alt in shown:
            st.image(png, caption=caption, width=WIDTH, alt=alt)


def numbers(result: Result, i: int) -> None:
    """Clean, attained, proved, open: unit and sign with each."""
    curve = result.curve
    clean, attained, proved = curve.clean, curve.attained[i].item(), curve.certified[i].item()
    vacuous = math.isinf(proved)
    with st.container(horizontal=True, gap="small"):
        st.metric("Clean", nats(clean), help=HELP["clean"] + "\n\n" + HELP["elbo"], width=118)
        _metric("Attained", attained, clean, HELP["attained"])
        if vacuous:
            st.metric("Proved", "vacuous", help=HELP["vacuous"] + "\n\n" + HELP["proved"], width=118)
            st.metric("Open gap", "unbounded", help=HELP["open"], width=118)
        else:
            _metric("Proved, at least", proved, clean, HELP["proved"])
            st.metric("Open gap", nats(attained - proved), help=HELP["open"], width=118)


def _metric(label: str, value: float, clean: float, help_: str) -> None:
    st.metric(
        label,
        nats(value),
        delta=f"{signed(value - clean)} nats",
        delta_color="off",
        delta_arrow="off",
        help=help_,
        width=118,
    )


def lost(result: Result, i: int, colour: str, name: str) -> None:
    """Where the drop came from."""
    clean = result.terms["clean"]
    losses = []
    for key in ("attained", "proved"):
        if key == "proved" and math.isinf(result.curve.certified[i].item()):
            continue
        terms = result.terms[key]
        losses.append(
            figures.Loss(key, float(terms.recon[i] - clean.recon[0]), float(clean.kl[0] - terms.kl[i]))
        )
    words = "; ".join(
        f"{loss.name}: {signed(loss.recon)} nats reconstruction, {signed(loss.kl)} nats KL"
        for loss in losses
    )
    st.plotly_chart(
        figures.loss_figure(losses, colour),
        key=f"lost-{name}",
        config={"displayModeBar": False},
        alt=f"Bars of where the ELBO was lost. {words}.",
    )


def statement(result: Result, i: int) -> None:
    """Exactly what has been proved."""
    st.caption(f"**What is proved.** {minus(result.statements[i])}")
