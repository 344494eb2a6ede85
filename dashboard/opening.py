"""What the app opens with, loaded before the first visitor comes."""

from __future__ import annotations


def load() -> None:
    """The digits, the two models and the libraries of the explorer. Raises whatever is wrong with them."""
    import core
    from dashboard.addresses.explorer import default_state
    from dashboard.explorer import view  # noqa: F401  (its libraries)
    from dashboard.shared import compute

    compute.samples()
    opens = default_state(core.list_models())
    for name in (opens.left, opens.right):
        compute.model(name)
