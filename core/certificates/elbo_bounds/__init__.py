"""Bounds on the ELBO over a ball: by intervals (the paper's robust ELBO), lines and planes, branching."""
