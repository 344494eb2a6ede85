"""From what is computed to rows: of tables, for people, and of files, in full. No Streamlit in here."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.certificates.certificate import shown_radius
from core.data.image_sets import ImageSet
from core.evaluation.curve import Curve
from core.evaluation.verdicts import BROKEN, CERTIFIED, Finding
from dashboard.addresses.compare import EVERY, PROOF, Comparison
from dashboard.compare import text
from dashboard.compare.compute import Entry
from dashboard.shared import limits
from dashboard.shared.text import METHOD_NAMES, bare, floor, signed


@dataclass(frozen=True)
class Item:
    """One image of the gallery: findings by model. label, name: of its class, -1 and "" without any."""

    index: int
    label: int
    found: Mapping[str, Finding]
    name: str = ""


def at(curve: Curve, eps: float) -> tuple[float, float]:
    """Attained and proved at a radius that the curve has; -inf where the proof is vacuous."""
    best = curve.best(eps)
    return curve.attained[curve.eps.tolist().index(eps)].item(), -math.inf if best is None else best.bound


def table(entries: Sequence[Entry], eps: float, found: ImageSet) -> list[dict[str, str]]:
    """What is known of each model and digit at eps."""
    return _short([_row(entry, eps, found) for entry in entries])


def _short(found: list[dict[str, str]]) -> list[dict[str, str]]:
    """Without the digit where there is only one."""
    if len({row["Image"] for row in found}) > 1:
        return found
    return [{name: cell for name, cell in row.items() if name != "Image"} for row in found]


def _row(entry: Entry, eps: float, found: ImageSet) -> dict[str, str]:
    attained, proved = at(entry.curve, eps)
    best, verdict = entry.curve.best(eps), entry.curve.verdict(entry.threshold)
    return {
        "Model": entry.name,
        "Image": text.digit(entry.digit, found),
        "Clean": bare(entry.curve.clean),
        "Attacked": bare(attained),
        "Proved": bare(floor(proved, 1)),
        "By": "–" if best is None else METHOD_NAMES[best.method],
        "Open": "unbounded" if best is None else f"{attained - proved:,.1f}",
        "Way": _way(entry, eps, attained, proved),
        "Threshold": bare(entry.threshold),
        "Certified up to": radius(verdict.certified),
        "Broken from": radius(verdict.broken),
    }


def _way(entry: Entry, eps: float, attained: float, proved: float) -> str:
    """What is proved of the way between the limits of every model."""
    if entry.limits is None:
        return "–"
    return limits.percent(limits.shares(entry.limits, eps, proved, attained)[0])


def limits_in_words(entries: Sequence[Entry], eps: float, found: ImageSet) -> str:
    """The limits of every model on each digit; of whom, where they differ between the models."""
    known = {
        (e.digit, e.limits): [o.name for o in entries if (o.digit, o.limits) == (e.digit, e.limits)]
        for e in entries
    }
    several, said = len({e.digit for e in entries}) > 1, []
    for (shown, limited), names in known.items():
        if limited is None:
            continue
        whole = len(names) == sum(e.digit == shown for e in entries)
        about = [f"image {text.digit(shown, found)}"] * several + [" and ".join(names)] * (not whole)
        said.append(limits.levels(limited, eps) + (f" ({'; '.join(about)})" if about else ""))
    return f"{text.LIMITS} {'; '.join(said)}." if said else ""


def against(entries: Sequence[Entry], pin: str, eps: float, found: ImageSet) -> list[dict[str, str]]:
    """The other models minus the pinned one, digit by digit."""
    pinned = {entry.digit: entry for entry in entries if entry.model == pin}
    return _short(
        [
            _difference(entry, pinned[entry.digit], eps, found)
            for entry in entries
            if entry.model != pin and entry.digit in pinned
        ]
    )


def _difference(entry: Entry, other: Entry, eps: float, found: ImageSet) -> dict[str, str]:
    mine, theirs = at(entry.curve, eps), at(other.curve, eps)
    radii = [e.curve.verdict(e.threshold).certified for e in (entry, other)]
    return {
        "Model": entry.name,
        "Image": text.digit(entry.digit, found),
        "Clean": signed(entry.curve.clean - other.curve.clean, 1),
        "Attacked": signed(mine[0] - theirs[0], 1),
        "Proved": signed(mine[1] - theirs[1], 1) if math.isfinite(mine[1] - theirs[1]) else "–",
        "Certified up to": "–" if None in radii else signed((radii[0] or 0) - (radii[1] or 0), 3),
        "Worst case": text.ORDER[order(mine, theirs)],
    }


def order(mine: tuple[float, float], theirs: tuple[float, float]) -> int:
    """Whose worst case is higher, from (attained, proved) of each: 1 mine, -1 theirs, 0 open.

    The worst case lies between proved and attained, whatever attack or proof comes after these.
    """
    if mine[1] > theirs[0]:
        return 1
    return -1 if mine[0] < theirs[1] else 0


def entry_rows(entries: Sequence[Entry], comparison: Comparison) -> list[dict[str, object]]:
    """The numbers of the comparison with their question, in full."""
    eps, rows = comparison.asked.eps, []
    for entry in entries:
        (attained, proved), best = at(entry.curve, eps), entry.curve.best(eps)
        verdict = entry.curve.verdict(entry.threshold)
        rows.append(
            {"model": entry.model, "digit": entry.digit.name}
            | question(comparison, entry.threshold)
            | {
                "method": "" if best is None else best.method,
                "clean": entry.curve.clean,
                "attained": attained,
                "proved": proved,
                "certified_radius": verdict.certified,
                "broken_from": verdict.broken,
            }
            | _limits(entry, eps)
        )
    return rows


def _limits(entry: Entry, eps: float) -> dict[str, object]:
    """What limits every model; nothing of what there is not."""
    top, floor = (math.nan, math.nan) if entry.limits is None else entry.limits.at(eps)
    return {
        "constant_decoder": None if math.isnan(floor) else floor,
        "ceiling": None if math.isnan(top) else limits.NONE if math.isinf(top) else top,
    }


def gallery_rows(items: Sequence[Item], comparison: Comparison) -> list[dict[str, object]]:
    """The gallery with its question, in full: each radius with the number that was found there."""
    return [
        {"model": model, "digit": item.index, "class": item.name}
        | question(comparison, found.verdict.threshold)
        | {
            "method": PROOF,
            "verdict": found.at(comparison.asked.eps),
            "clean": found.clean,
            "certified_radius": found.verdict.certified,
            "proved_at_certified_radius": found.bound if found.verdict.certified is not None else None,
            "broken_from": found.verdict.broken,
            "attained_at_broken_from": found.attained if found.verdict.broken is not None else None,
        }
        for item in items
        for model, found in item.found.items()
    ]


def question(comparison: Comparison, threshold: float) -> dict[str, object]:
    """What was asked."""
    asked, s = comparison.asked, comparison.asked.settings
    return {
        "eps": asked.eps,
        "target": s.target,
        "norm": s.norm,
        "attack": s.attack,
        "steps": s.steps,
        "restarts": s.restarts,
        "seed": s.seed,
        "draws": s.draws,
        "threshold": threshold,
        "grid": " ".join(f"{eps:g}" for eps in asked.grid),
    }


def as_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as a file; what there is not is an empty cell. At least one row."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def ordered(items: Sequence[Item], comparison: Comparison, lead: str) -> list[Item]:
    """The digits of the gallery that pass the filter, in the order that is chosen; by number within it.

    lead  whose verdicts count.
    """
    eps = comparison.asked.eps
    kept = [
        item
        for item in items
        if comparison.verdict == EVERY or item.found[lead].at(eps) == comparison.verdict
    ]

    def key(item: Item) -> tuple[float, float]:
        verdict = item.found[lead].verdict
        certified = -1.0 if verdict.certified is None else verdict.certified
        broken = math.inf if verdict.broken is None else verdict.broken
        return {
            "radius": (-certified, -broken),
            "weakest": (certified, broken),
            "broken": (broken, certified),
            "number": (0.0, 0.0),
            "class": (item.label, 0.0),
        }[comparison.sort]

    return sorted(kept, key=lambda item: (key(item), item.index))


def shares(items: Sequence[Item], model: str, grid: Sequence[float]) -> tuple[list[float], list[float]]:
    """At each radius the share of digits that are certified, and of those that are not broken."""
    verdicts = [[item.found[model].at(eps) for item in items] for eps in grid]
    return (
        [sum(v == CERTIFIED for v in row) / len(items) for row in verdicts],
        [sum(v != BROKEN for v in row) / len(items) for row in verdicts],
    )


def radius(value: float | None) -> str:
    return "–" if value is None else shown_radius(value)
