"""How to cite this, and the paper that it makes real."""

from __future__ import annotations

import streamlit as st

CITE = "How to cite"
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


def offer() -> None:
    """The two entries, to open and copy."""
    with st.expander(CITE):
        st.code(BIBTEX, language="bibtex")
