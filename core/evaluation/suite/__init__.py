"""The full evaluation of many models: in many processes, resumable, its result the same bytes each time."""

from core.evaluation.suite.plan import SUITES, Suite
from core.evaluation.suite.run import run_suite

__all__ = ["SUITES", "Suite", "run_suite"]
