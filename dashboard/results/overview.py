"""The models at one eps, a row each: what the page begins with. No Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from core.evaluation.results import TIGHTEST, Mean, Results
from dashboard.addresses.results import Choice
from dashboard.shared import claim, result_rows, text
from dashboard.shared.curves import CEILING, Lines
from dashboard.shared.table_text import Table

WAY = "Way"
"""What is proved, as a share of the way from the constant decoder to the ceiling."""


def ordered(lines: Sequence[Lines], choice: Choice) -> list[Lines]:
    """The rows in the order that is chosen, the best first; what is not known, or not proved, last."""
    if choice.order == "name":
        return sorted(lines, key=lambda line: (line.limit, line.name))

    def best(line: Lines) -> tuple[float, ...]:
        attained, proved = line.at(choice.eps)
        values = {"proved": proved, "attacked": attained, "clean": line.clean.get(choice.eps)}
        first = values.pop(choice.order)
        return tuple(_worth(mean) for mean in (first, *values.values()))

    return sorted(lines, key=best)


def _worth(mean: Mean | None) -> float:
    return math.inf if mean is None else -mean.mean


def table(lines: Sequence[Lines], results: Results, choice: Choice) -> Table:
    """The rows as they are shown, and what they claim."""
    limits = {line.limit: line for line in lines if line.limit}
    rows = [_row(line, choice.eps, limits) for line in lines]
    return Table(rows, f"{said(results, choice, f'eps {choice.eps:g}')}{methods(lines, choice)}")


def methods(lines: Sequence[Lines], choice: Choice) -> str:
    """Which certificates are the tightest at the chosen eps, as a sentence that follows others: the most
    frequent one, and the models of any other. Empty where one certificate was chosen."""
    if choice.certificate != TIGHTEST:
        return ""
    names: dict[str, list[str]] = {}
    for line in lines:
        proved = line.at(choice.eps)[1]
        if proved is not None and not line.limit and proved.vacuous == 0:
            names.setdefault(text.METHOD_NAMES[proved.method], []).append(line.name)
    if not names:
        return ""
    first, *rest = sorted(names, key=lambda method: -len(names[method]))
    others = [f"{by} of {', '.join(names[by])}" for by in rest]
    return f" Tightest: {'; '.join([first, *others])}."


def _row(line: Lines, eps: float, limits: Mapping[str, Lines]) -> dict[str, str]:
    (attained, proved), apart = line.at(eps), line.open(eps)
    return {
        "Model": line.name,
        "Clean": cell(line.clean.get(eps)),
        **measured(line, cell(attained), cell(proved)),
        "Open": "–" if apart is None else text.bare(apart),
        WAY: _percent(line.share(proved, limits, eps)),
    }


def measured(line: Lines, attacked: str, proved: str) -> dict[str, str]:
    """Cells of what was attacked and proved. The ceiling is neither: it is what can be proved at most."""
    if line.limit == CEILING:
        attacked, proved = "–", f"at most {proved}"
    return {"Attacked": attacked, "Proved": proved}


def _percent(share: float) -> str:
    """A share of the way as tables show it, rounded down as what is proved is."""
    if not math.isfinite(share):
        return "–"
    return f"{math.floor(100 * share)} %" if share >= 0 else "< 0 %"


def cell(mean: Mean | None) -> str:
    """A mean as tables show it; of bounds rounded down."""
    if mean is None:
        return "–"
    return text.NOTHING if mean.vacuous != 0 else text.bare(mean.rounded())


def said(results: Results, choice: Choice, radius: str) -> str:
    """What numbers are of. radius: at which eps, in words."""
    asked = (
        f"{text.TARGET_LABELS[choice.target]}, {radius}: {claim.NORMS['linf']}. {claim.ADVERSARY['lower']}"
    )
    return f"Mean ELBO in nats, {results.suite.dataset}. {asked} {over(results, choice)}"


def over(results: Results, choice: Choice) -> str:
    """Which images, draws and methods the numbers are over."""
    attacked, certified = result_rows.sizes(results, choice)
    suite = results.suite
    return text.over(
        (choice.attack, attacked),
        (choice.certificate, certified),
        result_rows.decoder_images(results, choice),
        suite.images,
        suite.draws,
        suite.seed,
    )
