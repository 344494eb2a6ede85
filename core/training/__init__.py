"""Training: the loop, its objectives and recipes, what a run depends on, many processes."""
