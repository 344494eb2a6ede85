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
LINK, COPY = "Link to this page as it stands", "Copy link"
OWN = (
    "Your own image is not in the link, it stays in your browser: whoever follows the link sees "
    "test image {index} in its place. The certificate holds the image."
)
NO_CHART = "There is no chart to save yet."
SAVED = "Saved as"
ADVERSARY = {"lower": "The adversary lowers the ELBO.", "upper": "The adversary raises the ELBO."}
COPIED, BY_HAND = "Copied.", "Select the link and copy it by hand."
PYTHON, CITE = "The same numbers in Python", "How to cite"
BIBTEX = """@article{condessa2020provably,
  title   = {Provably robust deep generative models},
  author  = {Condessa, Filipe and Kolter, Zico},
  journal = {arXiv preprint arXiv:2004.10608},
  year    = {2020}
}
@software{elbo_under_attack,
  title   = {ELBO under attack},
  author  = {{The authors of ELBO under attack}},
  version = {0.1.0}
}"""
"""As CITATION.cff has it."""
