"""What is copied of a table says what the table says, whatever stands in it. The two readers below know the
rules of Markdown and LaTeX, not how the texts are made."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dashboard.shared.table_text import Table, as_latex, as_markdown

HOSTILE = (
    r"a|b & c_d % e\f $g$ <b>h</b> [i](j) *k* ~l~ ^m `n` #o {p} !q",
    "\\",
    "\\\\",
    r"\|",
    "|",
    "[x]",
    "*",
    "--",
    "---",
    ":red[x]",
    "$x$",
    r"\end{tabular}",
    "%",
    "\u2212339.1 (\u2212340.3 to \u2212337.9)",
)
COMMANDS = {
    "textbackslash": "\\",
    "textasciitilde": "~",
    "textasciicircum": "^",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textendash": "\N{EN DASH}",
}


def markdown_row(line: str) -> list[str]:
    """The cells of a row: what stands between pipes that no backslash escapes, without the escapes. Raises
    where a sign with a meaning stands alone."""
    cells, now, place = [], "", 0
    while place < len(line):
        sign = line[place]
        if sign == "\\":
            now, place = now + line[place + 1], place + 1
        elif sign == "|":
            cells.append(now)
            now = ""
        elif sign in "`*_[]<>~$&#!":
            raise ValueError(f"{sign} at {place} of {line}")
        else:
            now += sign
        place += 1
    assert cells[0] == now == ""
    return [cell.strip() for cell in cells[1:]]


def latex_row(line: str) -> list[str]:
    r"""The cells of a row that ends with \\, as they are set: macros become signs, groups go. Raises for a
    macro that is none of those we use, and for open groups."""
    assert line.endswith(r" \\")
    return latex_cells(line[:-3])


def latex_cells(text: str) -> list[str]:
    cells, now, place, depth = [], "", 0, 0
    while place < len(text):
        sign, rest = text[place], text[place:]
        if rest.startswith("$-$"):
            now, place = now + "\N{MINUS SIGN}", place + 3
        elif sign == "\\" and text[place + 1] in "&%$#_{}":
            now, place = now + text[place + 1], place + 2
        elif sign == "\\":
            word = re.match(r"\\([a-z]+)\{\}", rest)
            assert word is not None, rest
            now, place = now + COMMANDS[word[1]], place + len(word[0])
        elif sign == "&":
            cells.append(now)
            now, place = "", place + 1
        elif sign in "{}":
            depth, place = depth + (1 if sign == "{" else -1), place + 1
            assert depth >= 0
        else:
            assert sign not in "%$#_~^", rest
            assert not rest.startswith("--"), rest
            now, place = now + sign, place + 1
    assert depth == 0
    return [cell.strip() for cell in (*cells, now)]


def seen(text: str) -> str:
    """What there is to see of a text, in one line."""
    visible = [s for s in text if unicodedata.category(s) not in ("Cf", "Cs", "Co")]
    return " ".join("".join(" " if unicodedata.category(s) == "Cc" else s for s in visible).split())


def lines_of(table: Table) -> list[list[str]]:
    return [[seen(cell) for cell in line] for line in table.lines]


def markdown_lines(table: Table) -> list[list[str]]:
    claim, empty, head, ends, *rows = as_markdown(table).removesuffix("\n").split("\n")
    assert empty == ""
    assert markdown_row(f"|{claim}|") == [seen(table.claim)]
    assert all(re.fullmatch(":--|--:", end) for end in markdown_row(ends))
    assert len(markdown_row(ends)) == len(table.head)
    return [markdown_row(line) for line in (head, *rows)]


def latex_lines(table: Table) -> list[list[str]]:
    lines = [re.sub("^ {1,4}", "", line) for line in as_latex(table).removesuffix("\n").split("\n")]
    note, begin, centred, caption, tabular, top, head, middle, *rows, bottom, end, last = lines
    assert note.startswith("%")
    assert (begin, centred, last) == (r"\begin{table}", r"\centering", r"\end{table}")
    assert (top, middle, bottom, end) == (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}")
    assert latex_cells(caption.removeprefix(r"\caption{").removesuffix("}")) == [seen(table.claim)]
    columns = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", tabular)
    assert columns is not None
    assert len(columns[1]) == len(table.head)
    # After the end of a row, a star or a bracket would be the row's.
    assert not any(line.startswith(("[", "*")) for line in (head, *rows))
    return [latex_row(line) for line in (head, *rows)]


@pytest.mark.parametrize("text", HOSTILE)
def test_each_cell_says_what_the_table_says(text: str):
    table = Table([{"Model": text, text + " ": "\u22121,234.5"}, {"Model": "b", text + " ": text}], text)
    assert markdown_lines(table) == latex_lines(table) == lines_of(table)


CELLS = some.text(
    some.one_of(some.sampled_from("\\|&%_$<>*[]{}~^#-:\n\u2212"), some.characters()), max_size=12
)


@given(some.lists(CELLS, min_size=1, max_size=4, unique=True), some.data())
def test_any_text_stays_in_its_cell(head: list[str], data: some.DataObject):
    rows = data.draw(some.lists(some.tuples(*[CELLS] * len(head)), min_size=1, max_size=3))
    table = Table([dict(zip(head, row, strict=True)) for row in rows], data.draw(CELLS))
    assert markdown_lines(table) == latex_lines(table) == lines_of(table)


def test_numbers_stand_right_and_words_left():
    rows = [
        {
            "Model": "A 1",
            "Clean": "\u22121,000.5",
            "By": "IBP",
            "Proved": "nothing",
            "With": "1 (0 to 2)",
            "e": "6.9e\u221205",
        },
        {
            "Model": "B 2",
            "Clean": "+3",
            "By": "\u2013",
            "Proved": "\u22122.5",
            "With": "\u2013",
            "e": "12 %",
        },
    ]
    table = Table(rows, "said")
    assert table.numeric == (False, True, False, True, True, True)
    assert r"\begin{tabular}{lrlrrr}" in as_latex(table)
    assert "| :-- | --: | :-- | --: | --: | --: |" in as_markdown(table)
    assert "$-$1,000.5" in as_latex(table)
    assert "\u22121,000.5" in as_markdown(table)
