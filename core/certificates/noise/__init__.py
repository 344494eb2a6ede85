"""Statements on all noise instead of the draws at hand: expectation and coverage."""
