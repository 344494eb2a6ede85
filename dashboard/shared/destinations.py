"""The pages that links lead to, and what the links say."""

from __future__ import annotations

EXPLORER, INSPECT, COMPARE = "entries/explorer.py", "entries/inspect.py", "entries/compare.py"
LESSONS, OWN, RESULTS = "entries/lessons.py", "entries/own.py", "entries/results.py"
PRESENT, ATTACK, TRAIN = "entries/present.py", "entries/attack.py", "entries/train.py"
"""Files of the pages, beside pages.py."""
PATHS = {
    EXPLORER: "",
    ATTACK: "attack",
    INSPECT: "inspect",
    COMPARE: "compare",
    LESSONS: "lessons",
    TRAIN: "train",
    OWN: "own",
    RESULTS: "results",
    PRESENT: "present",
}
"""The address of each."""

TO_ATTACK = "Attack it yourself"
TO_COMPARE = "Compare"
TO_EXPLORER = "This image and this model over all eps: the explorer"
TO_LESSONS = "Six short lessons"
TO_OWN = "Draw or upload your own"
TO_PRESENT = "Present"
TO_RESULTS = "Results of all models"
