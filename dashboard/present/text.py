"""Words of the presenter's page."""

from __future__ import annotations

LEAVE = "Leave presenter view"
BEFORE, AFTER = "Previous digit", "Next digit"
LEFT, RIGHT = "Left model", "Right model"
STATEMENTS = "What exactly is proved"
DRAWS = "of these draws"
