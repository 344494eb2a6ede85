"""What is shown of one model below its pictures: the bound of each method, the exact statement, losses."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.delta_generator import DeltaGenerator

from core.certificates.methods import METHODS
from core.claims.opinion import FAILS, HOLDS, NOT_COVERED, Opinion
from core.evaluation.curve import Curve, Proof
from core.vae.threat import SIGN
from dashboard.explorer import loss_bars
from dashboard.shared.result import Known
from dashboard.shared.result import statement as exactly
from dashboard.shared.text import (
    CHECK,
    HELP,
    METHOD_NAMES,
    NOTHING,
    OPINIONS,
    STATES_LABELS,
    minus,
    plain,
    safe,
    signed,
)


def methods(place: DeltaGenerator, name: str, curve: Curve, i: int, last: str) -> None:
    """Bound by method up to the last one, beside what is attained; the best one in bold."""
    best = curve.best(curve.eps[i].item())
    bold = None if best is None else METHOD_NAMES[best.method]
    rows = [f"| {name} | nats | open |", "|:--|--:|--:|"]
    for row in by_method(curve, i, last):
        cells = [f"**{cell}**" for cell in row] if row[0] == bold else row
        rows.append(f"| {' | '.join(cells)} |")
    place.markdown("\n".join(rows))


def by_method(curve: Curve, i: int, last: str) -> list[tuple[str, str, str]]:
    """What is attained, and each method's name, bound and gap.

    A method that a tighter one went without has no row; one that is still to come has an empty one.
    """
    eps, attained = curve.eps[i].item(), curve.attained[i].item()
    done = max(METHODS.index(p.method) for p in curve.proofs if p.eps >= eps)
    rows = [("attacked", signed(attained, 2), "")]
    for method in METHODS[: METHODS.index(last) + 1]:
        label, proof = METHOD_NAMES[method], curve.best(eps, method)
        if proof is not None:
            gap = SIGN[curve.side] * (attained - proof.bound)
            rows.append((label, signed(safe(proof.bound, 2, curve.side), 2), f"{gap:,.2f}"))
        elif any(p.method == method and p.eps >= eps for p in curve.proofs):
            rows.append((label, NOTHING, "–"))
        elif METHODS.index(method) > done:
            rows.append((label, "–", "–"))
    return rows


def statement(
    place: DeltaGenerator, name: str, curve: Curve, i: int, sampled: Proof | None, states: str
) -> None:
    """Exactly what has been proved by the best certificate, and of the noise at large if asked for."""
    said = f"**{name}: what is proved.** {exactly(curve, curve.eps[i].item())}"
    if states != "draws":
        waits = "Not computed yet."
        said += f"\n\n**{STATES_LABELS[states]}.** {waits if sampled is None else minus(sampled.statement)}"
    place.caption(said)


def certificate(
    place: DeltaGenerator, make: Callable[[], str], name: str, key: str, check: Callable[[], None]
) -> None:
    """What is proved as a file that anyone can verify, made when it is asked for; and a button that has it
    checked by a second program."""
    row = place.container(horizontal=True)
    row.download_button(
        "Certificate (JSON)",
        make,
        name,
        "application/json",
        key=key,
        help=HELP["certificate"],
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )
    row.button(
        CHECK,
        key=f"check-{key}",
        help=HELP["check"],
        on_click=check,
        type="tertiary",
        icon=":material/rule:",
    )


def opinion(place: DeltaGenerator, found: Opinion) -> None:
    """What the second program said."""
    shown = {HOLDS: place.success, FAILS: place.error, NOT_COVERED: place.info}.get(
        found.code, place.warning
    )
    shown(f"{OPINIONS[found.code]} {plain(minus(found.said))}")


def losses(known: Known, i: int) -> list[loss_bars.Loss]:
    """Where the attained and the proved change come from; a vacuous proof is left out.

    Interval bounds of the two terms add up; linear methods bound them together and have no such parts.
    """
    name, colour, curve = known.name, known.colour, known.curve
    clean, terms, best = known.result.clean, known.result.terms, curve.best(curve.eps[i].item())
    recon, kl = float(clean.recon[0]), float(clean.kl[0])
    lost = float(terms.recon[i]) - recon, kl - float(terms.kl[i])
    found = [loss_bars.Loss(f"{name}, attained", colour, *lost, attained=True)]
    if best is not None and best.method == "ibp":
        found.append(loss_bars.Loss(f"{name}, proved", colour, best.recon - recon, kl - best.kl))
    elif best is not None:
        found.append(loss_bars.Loss(f"{name}, proved", colour, both=best.bound - curve.clean))
    return found


def in_words(loss: loss_bars.Loss) -> str:
    """A bar for those who cannot see it."""
    if loss.both:
        return f"{loss.name}: {signed(loss.both)} nats, both terms together"
    return f"{loss.name}: {signed(loss.recon)} nats reconstruction, {signed(loss.kl)} nats KL"
