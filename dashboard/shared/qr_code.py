"""QR codes of addresses."""

from __future__ import annotations

import segno


def qr_code(url: str) -> str:
    """A QR code as SVG, black on white on either theme, with the quiet zone that cameras need."""
    code = segno.make(url, error="m", micro=False)
    return code.svg_inline(scale=6, border=4, dark="#000000", light="#ffffff")
