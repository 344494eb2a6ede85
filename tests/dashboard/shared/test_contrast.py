"""Colours that can be read and told apart, in both themes and by people with a colour deficiency."""

from __future__ import annotations

import itertools
import json
import tomllib
from pathlib import Path

import plotly.graph_objects as go
import pytest
from streamlit.elements.lib import streamlit_plotly_theme

from dashboard.explorer import loss_bars
from dashboard.explorer.loss_bars import Loss
from dashboard.shared import chart_theme, curves, figures
from tests.vision import VISION, contrast, distance

ROOT = Path(__file__).resolve().parents[3]
THEMES = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
TEXT, GRAPHICS = 4.5, 3.0
"""What WCAG 2.1 asks for at level AA."""
CAPTION = 0.6
"""How opaque Streamlit draws captions."""
pytestmark = pytest.mark.parametrize("theme", ["light", "dark"])


def over(colour: str, ground: str, alpha: float) -> str:
    """A colour that lets its ground through."""
    ends = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (colour, ground)]
    return "#" + "".join(f"{round(alpha * a + (1 - alpha) * b):02x}" for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize("ground", ["backgroundColor", "secondaryBackgroundColor"])
def test_text_can_be_read(theme: str, ground: str):
    colours, paper = THEMES[theme], THEMES[theme][ground]
    for name in ("textColor", "orangeTextColor", "blueTextColor"):
        assert contrast(colours[name], paper) >= TEXT, name
    assert contrast(over(colours["textColor"], paper, CAPTION), paper) >= TEXT
    assert contrast(colours["primaryColor"], paper) >= GRAPHICS


def test_lines_and_marks_can_be_seen(theme: str):
    for colour in {*figures.COLOURS, *curves.PALETTE, figures.GREY}:
        assert contrast(colour, THEMES[theme]["backgroundColor"]) >= GRAPHICS, colour


def test_a_note_on_a_ground_of_its_own_can_be_read(theme: str):
    assert contrast("#000000", loss_bars.NOTE) >= TEXT


@pytest.mark.parametrize("vision", VISION)
def test_colours_that_stand_together_can_be_told_apart(theme: str, vision: str):
    assert distance(*figures.COLOURS, vision=vision) > 40
    for one, other in itertools.combinations(curves.PALETTE, 2):
        assert distance(one, other, vision) > 17, (one, other)
    # Nothing is said by colour alone: each model has a symbol, and so have all lines a stroke.
    assert len(set(curves.SYMBOLS)) == len(curves.PALETTE)
    assert len(set(figures.STROKES.values())) == len(figures.STROKES)


def test_the_ink_of_charts_is_the_one_that_streamlit_replaces(theme: str):
    assert streamlit_plotly_theme.GRAY_90 == chart_theme.INK


def test_all_text_of_a_chart_has_it(theme: str):
    figure = go.Figure()
    figure.add_annotation(text="plain")
    figure.add_annotation(text="on paper", bgcolor="#ffffff", font={"color": "#000000"})
    layout = json.loads(chart_theme.legible(figure).to_json() or "")["layout"]
    assert [note["font"]["color"] for note in layout["annotations"]] == [chart_theme.INK, "#000000"]
    for axis in ("xaxis", "yaxis"):
        assert (
            layout[axis]["tickfont"]["color"] == layout[axis]["title"]["font"]["color"] == chart_theme.INK
        )
    assert layout["legend"]["font"]["color"] == layout["font"]["color"] == chart_theme.INK
    drawn = json.loads(loss_bars.loss_figure([Loss("a", "#D55E00", -5.0, attained=True)]).to_json() or "")
    assert drawn["layout"]["font"]["color"] == chart_theme.INK
