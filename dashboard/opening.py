"""What the app opens with, loaded before the first visitor comes, and what it leaves."""

from __future__ import annotations

import sys
from importlib import import_module

REST = (
    "dashboard.attack_by_hand.view",
    "dashboard.compare.view",
    "dashboard.explorer.presenter",
    "dashboard.inspector.view",
    "dashboard.lessons.page",
    "dashboard.own.view",
    "dashboard.results.view",
    "dashboard.train.view",
)
"""What the other pages open with: their first visitor would wait for it, and then see the page jump."""


def load() -> None:
    """The digits, the two models and the libraries of all pages. Raises whatever is wrong with them."""
    import core
    from dashboard.addresses.explorer import default_state
    from dashboard.explorer import view  # noqa: F401  (its libraries)
    from dashboard.shared import compute

    compute.samples()
    opens = default_state(core.list_models())
    for name in (opens.left, opens.right):
        compute.model(name)
    for page in REST:
        import_module(page)


def end() -> None:
    """Delete what visitors brought, if anything of theirs was ever there."""
    if (models := sys.modules.get("dashboard.addresses.session_models")) is not None:
        models.close()
