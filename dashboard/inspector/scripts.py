"""What this page shows as Python that computes the same without it. No Streamlit in here."""

from __future__ import annotations

from dashboard.addresses.inspect import Look
from dashboard.inspector.compute import ITERATIONS, SAMPLES, STEPS
from dashboard.shared.as_python import image, images, model, written

_PRINTS = """
print("clean", found.clean.total)
print("attacked", found.attained.total)
for method, terms in found.separate.items():
    print("proved term by term", method, "nothing" if found.vacuous[method] else terms.total)
for layer in found.layers:
    widths = [f"{method} {layer.width(method):.6g}" for method in layer.bounds]
    unstable = [f"unstable {units.open} of {units.total}" for units in layer.units.values()]
    print("width", layer.name, *widths, f"reached {layer.reached:.6g}", *unstable)
for loss in found.losses:
    print("lost", loss.method, "proved", loss.proved, "its worst image", loss.elbo, loss.parts)
"""


def of_page(look: Look, label: str) -> str:
    """A script that prints what the page shows of every layer. Not for an image of one's own, which no
    other program has. label: what people call the model."""
    q = look.question
    asked = f"eps={q.eps!r}, target={q.target!r}, norm={q.norm!r}, seed={q.seed}"
    effort = f"steps={STEPS}, samples={SAMPLES}, iterations={ITERATIONS}"
    lines = ["import core", "", *images(look.source), image(look.digit)]
    lines += model(look.model, label, q.draws, q.seed)
    lines += [f"found = core.inspect_layers(vae, x, noise, {asked}, {effort})"]
    return written(lines) + _PRINTS.lstrip("\n")
