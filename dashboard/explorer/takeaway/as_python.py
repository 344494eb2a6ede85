"""What the explorer shows at eps, as Python that computes the same numbers without it."""

from __future__ import annotations

from collections.abc import Sequence

from core.evaluation.curve import Proof
from core.vae.checkpoint import list_models
from core.vae.threat import SIDES
from dashboard.addresses.explorer import State
from dashboard.shared.result import Known


def as_python(cards: Sequence[Known], state: State) -> str:
    """A script that prints clean, attacked and proved of each model, nats. Not for an image of one's own,
    which no other program has."""
    s = state.settings
    source = state.source.model
    images = f"core.load_images({source!r}).x" if source else 'core.load_samples("mnist")[0]'
    asked = f"target={s.target!r}, norm={s.norm!r}, side={s.side!r}"
    attack = f"method={s.attack!r}, steps={s.steps}, restarts={s.restarts}, seed={s.seed}"
    lines = [
        "import core",
        "",
        f"x = {images}[{state.index} : {state.index + 1}]",
        f"asked = dict({asked})",
        f"grid = {list(state.grid)}",
    ]
    for card in cards:
        best = card.curve.best(state.eps)
        lines += [
            "",
            f"vae = core.load_model({card.model!r})  # {_what(card)}",
            f"noise = core.sample_noise(vae, draws={s.draws}, seed={s.seed})",
            f"curve = core.elbo_curve(vae, x, noise, grid, **asked, {attack})",
            'print("clean", curve.clean)',
            f'print("attacked", curve.attained[grid.index({state.eps!r})].item())',
            *_proof(best, s.side),
        ]
    return "\n".join(lines) + "\n"


def _what(card: Known) -> str:
    return card.name if card.model in list_models() else "put the path of this model's folder here"


def _proof(best: Proof | None, side: str) -> list[str]:
    """What is proved, by the method that proves most."""
    if best is None:
        return ["# Nothing is proved at this eps."]
    steps = f", iterations={best.iterations}" if best.iterations else ""  # some methods take none
    asked = f"eps={best.eps!r}, method={best.method!r}{steps}"
    bound = "lower" if side == SIDES[0] else "upper"
    return [
        f"proved = core.certify(vae, x, noise, **asked, {asked})",
        f'print("proved", proved.{bound}.item())',
        "print(proved.statement(0))",
    ]
