"""What this page shows as Python that computes the same without it. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboard.addresses.compare import PROOF, Comparison
from dashboard.compare.compute import Entry, chunks, threshold
from dashboard.shared.as_python import attack, curve, image, images, known_at, model, question, written


def of_images(entries: Sequence[Entry], comparison: Comparison) -> str:
    """A script that prints the numbers of each model and image at eps, nats. Not for an image of one's own,
    which no other program has."""
    asked = comparison.asked
    lines = ["import torch", "", "import core", "from core.evaluation.curve import proofs_of", ""]
    lines += [*images(asked.source), *question(asked.settings, asked.grid)]
    lines += ["radii = torch.tensor(grid, dtype=torch.float64)"]
    for entry in entries:
        lines += [
            "",
            image(entry.digit),
            *curve(entry.model, entry.name, asked.settings),
            "copies = x.expand(len(grid), -1, -1, -1)",
            f"proved = core.certify(vae, copies, noise, **asked, eps=radii, method={PROOF!r})",
            "curve = curve.add(proofs_of(proved))",
            f"best, verdict = curve.best({asked.eps!r}), curve.verdict({entry.threshold!r})",
            *known_at(asked.eps),
            'print("proved", best.bound if best else "nothing")',
            'print("certified up to", verdict.certified, "broken from", verdict.broken)',
        ]
    return written(lines)


def of_gallery(comparison: Comparison, names: Mapping[str, str]) -> str:
    """A script that prints the verdict on each image of the gallery, and the radii."""
    asked, s = comparison.asked, comparison.asked.settings
    lines = ["import core", "from core.evaluation.verdicts import find_verdicts", ""]
    lines += [*images(asked.source), f"grid = {list(asked.grid)}"]
    lines += [f"portions = {[list(chunk) for chunk in chunks(comparison)]}"]
    for name in comparison.judged:
        how = f"threshold={threshold(comparison, name)!r}, target={s.target!r}, norm={s.norm!r}"
        lines += [
            "",
            *model(name, names[name], s.draws, s.seed),
            f"how = dict({how}, {attack(s)}, certificate={PROOF!r})",
            "for portion in portions:",
            "    found = find_verdicts(vae, images[portion], noise, grid, **how)",
            "    for index, each in zip(portion, found, strict=True):",
            f"        print(index, each.at({asked.eps!r}), each.verdict.certified, each.verdict.broken)",
        ]
    return written(lines)
