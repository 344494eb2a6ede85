"""Which data set a page's models are of: those it opens with, and that an address may wish for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.addresses.kinds import USUAL_DATASET, dataset_of, datasets
from dashboard.addresses.page import Repair
from dashboard.addresses.reader import Message, refusal
from dashboard.addresses.settings import Seen, Wish
from dashboard.shared.text import DATASET_LABELS, HELP

FIRST_CHOICE = {"left": "mnist-mlp-standard", "right": "mnist-mlp-robust-0.1"}
PAIRS = {
    USUAL_DATASET: FIRST_CHOICE,
    "fashion-mnist": {"left": "fashion-conv-standard", "right": "fashion-conv-robust-0.1"},
}
"""The models to open with, by data set."""


def usual_of(seen: Seen, usual: Mapping[str, str]) -> str:
    """The usual model of the data set that is wished for, else the first of that data set, or of all."""
    wished, names = seen.get("dataset") or USUAL_DATASET, seen["models"]
    if usual.get(wished) in names:
        return usual[wished]
    return next((name for name in names if dataset_of(name) == wished), names[0])


def _datasets(seen: Seen) -> tuple[str, ...]:
    return datasets(seen["models"])


WISH = Wish(
    name="dataset",
    label="Data set",
    options=_datasets,
    default=None,
    used="that of the models",
    names=DATASET_LABELS,
    help=HELP["dataset"],
)
"""The data set that an address asks for, in place of models."""


def granted(name: str) -> Repair:
    """Says where the models are of another data set than is wished for; they stay. name: of the setting
    that says which models."""

    def check(values: dict[str, Any]) -> list[Message]:
        wished, chosen = values["dataset"], values[name]
        first = chosen if isinstance(chosen, str) else next(iter(chosen), "")
        if not wished or not first or dataset_of(first) == wished:
            return []
        return [refusal("dataset", wished, f"{first} is of another data set.", WISH.used)]

    return check
