"""Bounds on networks: one small rule per layer kind behind one dispatch."""
