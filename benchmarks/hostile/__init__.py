"""Inputs that were made to harm: addresses, files, drawings, models, certificates."""
