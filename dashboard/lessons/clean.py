"""Lesson 1: the ELBO of one digit, put together from its parts."""

from __future__ import annotations

import numpy as np

from dashboard.addresses.lessons import STANDARD, Place
from dashboard.lessons import compute, figures, text
from dashboard.lessons.board import Board, Chart, Number, captioned, filled, grey, tex
from dashboard.server.background import Show
from dashboard.shared.text import nats


def board(place: Place, show: Show) -> Board:
    parts = compute.parts(STANDARD, place.digit, show)
    recon, kl = parts.recon.mean().item(), parts.kl.sum().item()
    total, draws, largest = recon - kl, len(parts.recon), int(parts.kl.argmax()) + 1
    image = place.digit.image()[0, 0].numpy()
    pictures = [grey(image, "The digit x", "The digit that is scored")]
    for i, (value, mean) in enumerate(zip(parts.recon.tolist(), parts.means, strict=True), start=1):
        said = captioned(f"Draw {i}", value)
        pictures.append(
            grey(mean.numpy(), said, f"What draw {i} decodes to; log p of the digit {nats(value)}")
        )
    return Board(
        finding=f"This digit scores {nats(total, 1)}: {nats(recon, 1)} for how well it is drawn again, "
        f"minus {nats(kl, 1)} for its code.",
        formulas=filled(
            text.CLEAN,
            draws=draws,
            latent=len(parts.kl),
            recon=tex(recon),
            kl=tex(kl),
            total=tex(total),
        ),
        numbers=(
            Number("Reconstruction", nats(recon, 1), f"mean of {draws} draws"),
            Number("KL", nats(kl, 1), f"{len(parts.kl)} dimensions"),
            Number("ELBO", nats(total, 1), "reconstruction − KL"),
        ),
        pictures=tuple(pictures),
        charts=(
            Chart(
                "What the code costs, dimension by dimension",
                figures.kl_figure(parts.kl.numpy()),
                f"Bars of the KL term by latent dimension; {nats(kl, 1)} in all, the most in dimension "
                f"{largest}: {nats(parts.kl.max().item(), 1)}; "
                f"{int(np.sum(parts.kl.numpy() < 0.1))} dimensions cost less than 0.1 nats.",
            ),
        ),
    )
