"""The explorer's screen for a room: large, with scenes, and an answer that is revealed step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.addresses import scenes
from dashboard.addresses.present import ALL, PAGE, Room, explorer_address
from dashboard.explorer import refining, screen
from dashboard.explorer.card import Card
from dashboard.explorer.controls import StageControls
from dashboard.explorer.stage import reveal
from dashboard.explorer.stage.event import Ask
from dashboard.explorer.takeaway import share
from dashboard.shared import compute, destinations, links, own_images, skeleton, text
from dashboard.shared.qr_code import qr_code

GUESS, AGAIN, LEAVE = "How far is it proved?", "Hide the answer", "Leave"
CLASS, CLASS_HELP = "QR code", "For the class: the explorer with this image and these models."
OWN = "A scene of your own: its address opens it again as it stands."


class Panel(StageControls[Room]):
    """The explorer's settings, of which few are changed here, and where the talk is."""

    def __init__(self, models: Sequence[str]) -> None:
        super().__init__("present", PAGE, "present-", models=models, images=own_images.images())

    def take(self, asked: Ask) -> None:
        super().take(asked)
        if asked.step is not None:
            self.set("step", asked.step)
        if asked.scene:
            self.open_scene(asked.scene)

    def open_scene(self, number: int) -> None:
        """Go to the beginning of a prepared scene."""
        self.go(self.page.parse(scenes.address(number), **self.there)[0])

    def row(self, room: Room, asked_about: str) -> DeltaGenerator:
        """Where the talk is, and what it does next; beside it a place for what is said of a guess."""
        found = scenes.scene(room.scene)
        title, line = (found.title, found.line) if found else (text.TITLE, OWN)
        st.html(f'<div class="elbo-head elbo-room"><h1>{title}</h1><span>{line}</span></div>')
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            self.put("picked", room.scene or None)
            st.segmented_control(
                "Scene",
                range(1, len(scenes.SCENES) + 1),
                key=self.key("picked"),
                on_change=self._pick,
                label_visibility="collapsed",
            )
            names = {"": "no guess", **reveal.parts(room.asked.most)}
            label = f"{GUESS} {asked_about}"
            self.segments("guess", label=label, format_func=names.__getitem__, label_visibility="collapsed")
            if room.step < ALL:
                st.button(
                    reveal.NEXT[room.step], on_click=self.set, args=("step", room.step + 1), type="primary"
                )
            else:
                st.button(AGAIN, on_click=self.set, args=("step", 0))
            self._way_out(room)
            return st.container(key="judged", width="stretch")

    def _pick(self) -> None:
        """A scene was picked; the one that is picked again begins again."""
        self.open_scene(self.get("picked") or self.get("scene") or 1)

    def _way_out(self, room: Room) -> None:
        """For the class, and back."""
        there = explorer_address(room, self.there["models"])
        with st.popover(CLASS, help=CLASS_HELP):
            base = str(st.context.url or "/").split("?")[0]
            url = share.address(base.removesuffix(destinations.PATHS[destinations.PRESENT]), there)
            st.image(qr_code(url), width=320, alt=f"QR code of {url}")
            st.caption(text.plain(url))
        links.link(destinations.EXPLORER, LEAVE, there, "arrow_back")


def show() -> None:
    models = skeleton.models()
    panel = Panel(models)
    room, messages = panel.open()
    state = room.asked
    judged = panel.row(room, compute.labels(tuple(models))[state.sides[-1]])
    if skeleton.images(state.source) is None:
        skeleton.say_no_images(state.source)
        return
    cards, status = screen.show(state, models, messages, panel.answer, room)
    if cards:
        # What is hidden is computed all the same: it is there when it is revealed.
        refining.refine(cards, replace(state, states="draws"), status, lambda: None)
        _judge(cards[-1], room, judged)


def _judge(card: Card, room: Room, place: DeltaGenerator) -> None:
    """What became of the guess, when all is revealed."""
    if room.step < ALL:
        said = reveal.TOLD[room.step]
    else:
        said = reveal.judge(card.curve.verdict(card.threshold), room.guess, room.asked.most)
    if said:
        place.markdown(f"**{said}**")
