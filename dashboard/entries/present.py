"""The presenter's page, at "/present". Its first words depend on the scene."""

from __future__ import annotations

# Late on purpose, and core first: see explorer.py beside this.
import core  # noqa: F401
from dashboard.explorer import presenter

presenter.show()
