"""What a visitor looks at, on whichever page: the next one that is opened by its name shows it, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.addresses.compare import alike
from dashboard.addresses.kinds import partners
from dashboard.addresses.page import Page
from dashboard.addresses.results import MOST_MODELS
from dashboard.addresses.settings import Whole

Texts = Mapping[str, str | None]
"""Settings as an address writes them; None for one that it leaves out."""
_SETTINGS, _MODELS, _SHOWN = "looked at", "models looked at", "shown last"
_MODEL_SETTINGS = ("left", "right", "model", "models")


def carries(page: Page[Any]) -> bool:
    """Whether a page shows what the others do: those do that are about any image, one's own among them."""
    return "own" in page.settings


def note(name: str, page: Page[Any], state: object) -> None:
    """Remember what a page shows that it did not show before. What it was opened with was known: its limits
    are no wish of the visitor's."""
    session, texts = st.session_state, page.texts(state)
    if not carries(page):
        return
    last, before = session.get(_SHOWN, ("", {}))
    carried = session.pop("carried", False)
    before = texts if carried else before if last == name else {}
    look_at({key: text for key, text in texts.items() if text != before.get(key, "-")})
    if _models(texts) != _models(before):
        session[_MODELS] = _models(texts)
    session[_SHOWN] = (name, texts)


def look_at(texts: Texts) -> None:
    """Have the next page show these settings."""
    st.session_state[_SETTINGS] = {**st.session_state.get(_SETTINGS, {}), **texts}


def models() -> tuple[str, ...]:
    """All models that the next page would choose from."""
    session = st.session_state
    return tuple(dict.fromkeys((*_models(session.get(_SETTINGS, {})), *session.get(_MODELS, ()))))


def forget_models() -> None:
    """Have the next page show the models that it opens with."""
    st.session_state[_MODELS] = ()
    look_at(dict.fromkeys(_MODEL_SETTINGS))


def opening(page: Page[Any], url: Mapping[str, str], there: Mapping[str, Any]) -> dict[str, str]:
    """The URL of a page as this visitor left it, with what he looked at since. there: see `Page.parse`."""
    looked = st.session_state.get(_SETTINGS)
    if looked is None or not carries(page):
        return dict(url)
    texts = page.texts(page.parse(url, **there)[0])
    met = {key: _within(page, key, text) for key, text in looked.items() if key in page.settings}
    other = any(met.get(key, texts[key]) != texts[key] for key in ("index", "own"))
    texts |= {key: text for key, text in met.items() if key not in _MODEL_SETTINGS}
    texts |= _chosen(texts, looked, st.session_state.get(_MODELS, ()), there)
    if other:
        texts.pop("paint", None)  # it belongs to the image that it was painted over
    return {key: text for key, text in texts.items() if text is not None}


def _models(texts: Texts) -> tuple[str, ...]:
    """The models that a page shows, the first ones first."""
    if texts.get("models"):
        shown = (texts.get("pin"), *str(texts["models"]).split(","))
    else:
        shown = tuple(texts.get(key) for key in ("left", "right", "model"))
    return tuple(dict.fromkeys(model for model in shown if model))


def _within(page: Page[Any], key: str, text: str | None) -> str | None:
    """A whole number that a page has fewer of, cut to the most."""
    setting = page.settings[key]
    if isinstance(setting, Whole) and isinstance(setting.high, int) and text is not None:
        return str(min(int(text), setting.high))
    return text


def _chosen(texts: Texts, looked: Texts, shown: tuple[str, ...], there: Mapping[str, Any]) -> Texts:
    """A page's settings of models, of which there are fewer or more than were shown elsewhere: those that
    it had stay as long as they are among them, or they among those."""
    if not shown:
        return dict.fromkeys(key for key in _MODEL_SETTINGS if key in texts)
    if "model" in texts:
        return {} if texts["model"] in shown else {"model": shown[0]}
    if "models" in texts:
        had = str(texts["models"] or "").split(",")
        if set(shown) <= set(had):
            return {}
        same = alike(there["kinds"], shown)
        models = [model for model in dict.fromkeys((*shown, *had)) if model in same][:MOST_MODELS]
        kept = {key: texts[key] if texts[key] in models else None for key in ("pin", "of")}
        return {"models": ",".join(models), **kept}
    sides = {side: looked.get(side, texts[side]) for side in ("left", "right")}
    if len(shown) > 1 and not set(_models(sides)) <= set(shown):
        return {"left": shown[0], "right": shown[1]}
    if len(shown) == 1 and shown[0] not in sides.values():
        fits = sides["left"] in partners(shown[0], there["models"])
        return {"left": sides["left"] if fits else None, "right": shown[0]}
    return sides
