"""A table of numbers as Markdown and as LaTeX: its cells as shown, and what it claims. No Streamlit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SIGNS = r"([\\`*_\[\]<>|~$&#!]|:(?=\w))"
"""What Markdown would take for more than itself. Parentheses and braces alone mean nothing."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": r"\textendash{}",
    # After the end of a row these would be its argument.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}
_FIGURE = r"[+\N{MINUS SIGN}]?[\d,]*\d(\.\d+)?(e[+\N{MINUS SIGN}]?\d+)?( %)?"
_NUMBER = re.compile(rf"(at most )?{_FIGURE}( \({_FIGURE} to {_FIGURE}\))?")
_PACKAGES = r"% Needs \usepackage{booktabs}"


@dataclass(frozen=True)
class Table:
    """rows   column -> cell, text as it is shown; at least one row, all with the columns of the first.
    claim  what the numbers are of: data set, question, attack, proof, draws.
    """

    rows: Sequence[Mapping[str, str]]
    claim: str

    @property
    def head(self) -> tuple[str, ...]:
        return tuple(self.rows[0])

    @property
    def lines(self) -> list[tuple[str, ...]]:
        """The head, then the cells of each row."""
        return [self.head, *(tuple(row[name] for name in self.head) for row in self.rows)]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Of each column whether it has numbers; words without a figure may stand among them."""
        return tuple(map(_has_numbers, zip(*self.lines[1:], strict=True)))


def _has_numbers(cells: Sequence[str]) -> bool:
    figures = [cell for cell in cells if re.search(r"\d", cell)]
    return bool(figures) and all(_NUMBER.fullmatch(cell) for cell in figures)


def markdown_text(text: str) -> str:
    """A text, whoever wrote it, as Markdown that says just that, in one line."""
    return re.sub(_SIGNS, r"\\\1", _line(text))


def latex_text(text: str) -> str:
    """A text, whoever wrote it, as LaTeX that says just that, in one line."""
    written = "".join(_LATEX.get(sign, sign) for sign in _line(text))
    return re.sub("-(?=-)", "-{}", written)  # two of them would be a dash


def _line(text: str) -> str:
    """Without what ends a line, turns its direction or is not seen at all."""
    kept = ("" if unicodedata.category(sign) in ("Cf", "Cs", "Co") else sign for sign in text)
    shown = (" " if unicodedata.category(sign) == "Cc" else sign for sign in "".join(kept))
    return " ".join("".join(shown).split())


def as_markdown(table: Table) -> str:
    """The claim, then the table as GitHub and others draw it."""
    head, *rows = ([*map(markdown_text, cells)] for cells in table.lines)
    ends = ["--:" if number else ":--" for number in table.numeric]
    drawn = (f"| {' | '.join(cells)} |" for cells in (head, ends, *rows))
    return "\n".join([markdown_text(table.claim), "", *drawn, ""])


def as_latex(table: Table) -> str:
    """A table of booktabs with the claim as its caption."""
    columns = "".join("r" if number else "l" for number in table.numeric)
    head, *rows = (rf"    {' & '.join(map(latex_text, cells))} \\" for cells in table.lines)
    return "\n".join(
        [
            _PACKAGES,
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{latex_text(table.claim)}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            head,
            r"    \midrule",
            *rows,
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )
