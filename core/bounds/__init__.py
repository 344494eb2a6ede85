"""Bounds on networks: one small rule per layer kind behind one dispatch."""

from core.bounds import elementwise, products, softmax, structural  # noqa: F401  (they register their rules)
