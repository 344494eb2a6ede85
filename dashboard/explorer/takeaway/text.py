"""Words of what can be taken away."""

from __future__ import annotations

TITLE = "Take it away"
HELP = (
    "The figure is the chart as it stands, with image, models and question. The rows are all numbers "
    "behind the page, for both models and every eps. Certificates are files that "
    "`python -m core verify FILE` computes again; those for these draws are beside each model's numbers."
)
FIGURE = {"png": "Figure (PNG)", "svg": "Figure (SVG)"}
ROWS = "Rows (CSV)"
NUMBERS = "The numbers at eps {eps:g} as Markdown or LaTeX"
LINK, COPY = "Link to this page as it stands", "Copy link"
OWN = (
    "Your own image is not in the link, it stays in your browser: whoever follows the link sees "
    "test image {index} in its place. The certificate holds the image."
)
NO_CHART = "There is no chart to save yet."
SAVED = "Saved as"
COPIED, BY_HAND = "Copied.", "Select the link and copy it by hand."
