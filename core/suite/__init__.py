"""The full evaluation of many models: in many processes, resumable, its result the same bytes each time."""

from core.suite.plan import SUITES, Suite
from core.suite.run import run_suite

__all__ = ["SUITES", "Suite", "run_suite"]
