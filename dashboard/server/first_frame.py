"""The document that every page begins with: Streamlit's own, and the style of its first frame."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

_STATIC = Path(st.__file__).with_name("static")
_STYLE = Path(__file__).with_name("first_frame.css")
_END = "</head>"
_EARLY = (
    "BidiComponent",
    "ButtonGroup",
    "Html",
    "Multiselect",
    "NumberInput",
    "PageLink",
    "Progress",
    "Radio",
    "Selectbox",
    "Slider",
    "StreamlitMarkdown",
    "Table",
)
"""Streamlit's small parts that stand on the first screens. It fetches each when a page first needs it, and
until then shows a grey line in its place, of another size."""
_MORE = {"lessons": ("ImageList", "Metric", "katex", "rehype-katex")}
"""Those that one page alone shows first."""


def routes(paths: Iterable[str]) -> list[Route]:
    """Routes that answer the addresses of pages with `document`."""

    def route(path: str) -> Route:
        page = document(_MORE.get(path, ()))

        def respond(request: Request) -> HTMLResponse:
            return HTMLResponse(page, headers={"Cache-Control": "no-cache"})

        return Route(f"/{path}", respond)

    return [route(path) for path in paths]


def document(more: Iterable[str] = ()) -> str:
    """Streamlit's document and, at the end of its head, what a script brings too late for the first frame:
    a style, and word of the parts to fetch, more of them than usual."""
    found = (_STATIC / "index.html").read_text(encoding="utf-8")
    if found.count(_END) != 1:
        raise ValueError(f"The index.html of this Streamlit has no single {_END}: where does a style go?")
    parts = sorted(
        file.name for name in (*_EARLY, *more) for file in (_STATIC / "static" / "js").glob(f"{name}.*.js")
    )
    early = "".join(f'<link rel="modulepreload" crossorigin href="./static/js/{part}">' for part in parts)
    return found.replace(_END, f"{early}<style>{_STYLE.read_text(encoding='utf-8')}</style>{_END}")
