"""Semidefinite relaxations: of hidden layers, and of the ELBO as one quadratic."""
