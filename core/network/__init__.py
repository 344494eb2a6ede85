"""Networks as graphs of operations: what is bounded, traced from anybody's module, saved and loaded."""
