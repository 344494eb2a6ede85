"""The app with the results of a folder in place of the shipped ones: FOLDER, then streamlit's options."""

from __future__ import annotations

import sys
from pathlib import Path

from streamlit.web import cli

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.evaluation import results_files  # noqa: E402

results_files.RESULTS = Path(sys.argv[1])
cli.main(["run", str(ROOT / "dashboard" / "app.py"), *sys.argv[2:]])
