"""The table of the models as Python that reads the shipped results. No Streamlit in here."""

from __future__ import annotations

from collections.abc import Mapping

from core.evaluation.results import Results
from core.evaluation.results_files import MNIST
from dashboard.addresses.results import Choice
from dashboard.shared.as_python import written

_READ = """
attacked, certified = results.sizes(target, attack, certificate)
over = certified or attacked
decoder, closed = results.decoder(likelihood, target, over)
highest = f"{CEILING}-{likelihood}"


def at(model, quantity, method, images):
    means = results.curve(model, target, quantity, method, images)
    return next((mean.rounded() for mean in means if mean.eps == eps), None)


for model, name in models.items():
    if model == decoder:
        clean = results.clean(model, target, eps, closed)
        found, proved = (at(model, what, CLOSED_FORM, closed) for what in ("attacked", "certified"))
    elif model == highest:
        # A limit: nothing higher can be proved of any model.
        clean, found, proved = None, None, at(model, "ceiling", CLOSED_FORM, closed)
    else:
        clean = results.clean(model, target, eps, over)
        found = at(model, "attacked", attack, attacked)
        proved = at(model, "certified", certificate, certified)
    # Nothing is proved where this says -inf.
    print(name, clean and clean.rounded(), found, proved, sep="\\t")
"""


def of_table(results: Results, choice: Choice, shown: Mapping[str, str]) -> str:
    """A script that prints clean, attacked and proved of each model as the table shows them, nats.

    shown  the models and the limits, as the results call them, and what people call them.
    """
    own = choice.dataset != MNIST
    name, folder = ("folders", f"folders()[{choice.dataset!r}]") if own else ("RESULTS", "RESULTS")
    return written(
        [
            "from core.evaluation.ceiling import CEILING",
            "from core.evaluation.results import CLOSED_FORM",
            f"from core.evaluation.results_files import {name}, read_results",
            "",
            f"results = read_results({folder})",
            "# They are computed again by",
            *(f"#     {line}" for line in results.suite.command.splitlines()),
            f"likelihood, target, eps = {choice.likelihood!r}, {choice.target!r}, {choice.eps!r}",
            f"attack, certificate = {choice.attack!r}, {choice.certificate!r}",
            "models = {",
            *(f"    {model!r}: {name!r}," for model, name in shown.items()),
            "}",
        ]
    ) + _READ.lstrip("\n")
