"""The pages that links lead to, and what the links say."""

from __future__ import annotations

EXPLORER, INSPECT, COMPARE = "entries/explorer.py", "entries/inspect.py", "entries/compare.py"
LESSONS, OWN, RESULTS = "entries/lessons.py", "entries/own.py", "entries/results.py"
PRESENT, ATTACK = "entries/present.py", "entries/attack.py"
"""Files of the pages, beside pages.py."""

TO_ATTACK = "Attack it yourself: paint over this image"
TO_COMPARE = "More models, more images: compare"
TO_EXPLORER = "This image and this model over all eps: the explorer"
TO_LESSONS = "New to this? Six short lessons"
TO_OWN = "Draw or upload your own"
TO_PRESENT = "Presenter view: large type, few controls"
TO_RESULTS = "All models, over whole sets of test images: the results"
