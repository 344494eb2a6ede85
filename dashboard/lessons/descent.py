"""Lesson 3: projected gradient descent, and what a clamp in the wrong place does to it."""

from __future__ import annotations

from dashboard.addresses.lessons import STANDARD, Place
from dashboard.lessons import compute, figures, text
from dashboard.lessons.board import Board, Chart, Number, Picture, captioned, filled, grey, tex
from dashboard.server.background import Show
from dashboard.shared import images
from dashboard.shared.text import nats, signed


def board(place: Place, show: Show) -> Board:
    right, wrong = compute.descents(STANDARD, place.digit, place.eps, show)
    image, eps = place.digit.image()[0, 0].numpy(), place.eps
    clean, best, fooled = (v.item() for v in (right.values[0], right.values.min(), wrong.values.min()))
    dead, black = wrong.dead[0].item(), float((image == 0).mean())
    hidden = (fooled - best) / (clean - best) if clean > best else 0.0
    pictures = []
    for words, path, value in (("Right", right, best), ("Clamped", wrong, fooled)):
        point = path.point[0, 0].numpy()
        said = "differentiated at the image itself" if path is right else "clamp inside the graph"
        pictures += [
            grey(point, captioned(words, value), f"The lowest image that PGD found, {said}"),
            Picture(
                images.diverging(point - image, eps),
                f"Change ×{1 / eps:g}",
                f"What was changed, {said}: {100 * float((point != image).mean()):.0f} % of the pixels",
            ),
        ]
    return Board(
        finding=f"With the clamp in the graph {100 * dead:.0f} % of the pixels have no gradient, and the "
        f"attack misses {nats(fooled - best)} of {nats(clean - best)}: {100 * hidden:.0f} %.",
        formulas=filled(text.DESCENT, right=tex(best), wrong=tex(fooled), dead=tex(100 * dead)),
        numbers=(
            Number("PGD done right", nats(best, 1), f"{signed(best - clean, 1)} from clean"),
            Number("Clamp in the graph", nats(fooled, 1), f"{signed(fooled - clean, 1)} from clean"),
            Number("Dead gradients", f"{100 * dead:.0f} %", f"black pixels: {100 * black:.0f} %"),
        ),
        pictures=tuple(pictures),
        charts=(
            Chart(
                "ELBO after each step",
                figures.steps_figure(right.values.numpy(), wrong.values.numpy()),
                f"Line chart of the ELBO over {len(right.dead)} steps from {nats(clean, 1)}. "
                f"Differentiated at the image itself it reaches {nats(best, 1)}, with the clamp inside "
                f"{nats(fooled, 1)}.",
                ":blue[──] differentiated at x'\u2003 :orange[╍╍] clamp inside the graph",
            ),
        ),
    )
