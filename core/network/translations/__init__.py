"""One translation for each operation that torch.export names: what our graph has for it."""

from core.network.translations import arithmetic, extremes, functions, normalisation, places, sizes, weights  # noqa: F401  (they fill the table)
from core.network.translations.table import TRANSLATIONS

__all__ = ["TRANSLATIONS"]
