"""From the evaluation and what was chosen of it to what is drawn. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.certificates.methods import METHODS
from core.evaluation.ceiling import CEILING
from core.evaluation.evaluate import CONSTANT
from core.evaluation.results import CLOSED_FORM, TIGHTEST, Mean, Results
from dashboard.addresses.results import Choice, offered
from dashboard.shared import curves as curves_
from dashboard.shared.curves import Lines


def sizes(results: Results, choice: Choice) -> tuple[int | None, int | None]:
    """Over how many images the attack and the proof are shown."""
    return results.sizes(choice.target, choice.attack, choice.certificate)


def curves(results: Results, choice: Choice, names: Mapping[str, str]) -> list[Lines]:
    """The chosen models in their colours, then the limits. Clean is over the attack's images."""
    attacked, certified = sizes(results, choice)
    over = attacked or certified
    shown = [_lines(results, choice, m, names[m], i, over) for i, m in enumerate(choice.models)]
    return [*shown, *_limits(results, choice, names, over)]


def points(results: Results, choice: Choice, names: Mapping[str, str]) -> list[Lines]:
    """All models that pass the filters, those without a curve in grey. Clean is over the proof's images."""
    attacked, certified = sizes(results, choice)
    over = certified or attacked
    places = {model: place for place, model in enumerate(choice.models)}
    models = offered(results, choice.likelihood, choice.arch, choice.recipes)
    shown = [_lines(results, choice, m, names[m], places.get(m), over) for m in models]
    return [*shown, *_limits(results, choice, names, over)]


def rows(results: Results, choice: Choice) -> list[Mean]:
    """The rows behind both charts, in the order of the file."""
    attacked, certified = sizes(results, choice)
    decoder, closed = results.decoder(choice.likelihood, choice.target, attacked or certified)
    models = {*offered(results, choice.likelihood, choice.arch, choice.recipes)}
    limits = {decoder, *(mean.model for mean in results.ceiling(choice.likelihood, choice.target, closed))}
    proofs = METHODS if choice.certificate == TIGHTEST else (choice.certificate,)
    wanted = {("", attacked), ("", certified), (choice.attack, attacked), *((m, certified) for m in proofs)}
    return [
        mean
        for mean in results.means
        if (
            mean.target in (choice.target, "")
            and (mean.model in models and (mean.method, mean.images) in wanted)
        )
        or (mean.model in limits and mean.target == choice.target and mean.images == closed)
    ]


def decoder_images(results: Results, choice: Choice) -> int | None:
    """Over how many images the constant decoder is shown."""
    attacked, certified = sizes(results, choice)
    return results.decoder(choice.likelihood, choice.target, attacked or certified)[1]


def _lines(
    results: Results, choice: Choice, model: str, name: str, place: int | None, over: int | None
) -> Lines:
    attacked, certified = sizes(results, choice)
    return Lines(
        model,
        name,
        place,
        _clean(results, choice, model, over),
        results.curve(model, choice.target, "attacked", choice.attack, attacked),
        results.curve(model, choice.target, "certified", choice.certificate, certified),
    )


def _limits(
    results: Results, choice: Choice, names: Mapping[str, str], images: int | None
) -> Sequence[Lines]:
    """The constant decoder and the ceiling of the likelihood, if they were evaluated."""
    model, over = results.decoder(choice.likelihood, choice.target, images)
    attained, proved = (
        results.curve(model, choice.target, quantity, CLOSED_FORM, over)
        for quantity in ("attacked", "certified")
    )
    clean = _clean(results, choice, model, over)
    constant = Lines(model, names[CONSTANT], None, clean, attained, proved, limit=curves_.CONSTANT)
    top = results.ceiling(choice.likelihood, choice.target, images)
    name = top[0].model if top else ""
    highest = Lines(name, names[CEILING], None, {}, top, top, limit=curves_.CEILING)
    return [limit for limit in (constant, highest) if limit.proved]


def _clean(results: Results, choice: Choice, model: str, over: int | None) -> dict[float, Mean]:
    found = {eps: results.clean(model, choice.target, eps, over or 0) for eps in results.radii}
    return {eps: mean for eps, mean in found.items() if mean is not None}
