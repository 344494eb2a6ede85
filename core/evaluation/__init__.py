"""Evaluation of many images: curves over eps, verdicts, tables of results, the suite."""
