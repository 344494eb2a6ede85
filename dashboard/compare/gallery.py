"""Many images, each with a verdict."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from core.data.image_sets import ImageSet
from core.errors import CoreError
from core.evaluation.verdicts import BROKEN, CERTIFIED, OPEN, Finding
from dashboard.addresses.compare import PER_PAGE, Comparison, explorer_address
from dashboard.addresses.digit import Digit
from dashboard.addresses.sync import touch
from dashboard.compare import figures, rows, scripts, text
from dashboard.compare.compute import chosen, chunks, findings, threshold
from dashboard.compare.controls import Panel
from dashboard.compare.figures import Share
from dashboard.compare.rows import Item
from dashboard.server.background import Now
from dashboard.shared import as_python, compute, destinations, images
from dashboard.shared.curves import GLYPHS
from dashboard.shared.file_names import file_name, of_models, of_question
from dashboard.shared.skeleton import Bar, chart
from dashboard.shared.text import EPS_SHORT, QUANTITY_NAMES

SECONDS = 120.0
"""After so long no other digits are begun, so that one visitor does not occupy the server."""
_STANDS = 3.0
"""Seconds that the page stands before it is drawn again with what has come in."""


class _Gallery:
    """What is known so far, and the places where it is shown."""

    def __init__(
        self,
        panel: Panel,
        comparison: Comparison,
        names: Mapping[str, str],
        found: ImageSet,
        models: Sequence[str],
    ) -> None:
        self._comparison, self._names, self._images, self._models = comparison, names, found, models
        self.whole = len(chosen(comparison))
        # What is said of the computation stands below, or the chart would jump when it is done.
        with st.container(key="compare-shares"):
            self._summary, self._chart, self._legend = st.empty(), st.empty(), st.empty()
        self.status = st.empty()
        st.caption(text.SHARE_STROKES)
        panel.gallery(comparison, {name: names[name] for name in comparison.models}, found.classes)
        self._cards = st.empty()
        self._version = 0
        self.page = self.pages = 1
        self._found: dict[int, dict[str, Finding]] = {}
        self.judged = comparison.judged

    def add(self, model: str, indices: Sequence[int], found: Sequence[Finding]) -> None:
        for index, finding in zip(indices, found, strict=True):
            self._found.setdefault(index, {})[model] = finding

    def leave_out(self, model: str) -> None:
        """A model that cannot be judged."""
        self.judged = tuple(name for name in self.judged if name != model)

    @property
    def _lead(self) -> str:
        lead = self._comparison.lead
        return lead if lead in self.judged else self.judged[0]

    @property
    def items(self) -> list[Item]:
        """The images of which every model's verdict is in."""
        return [
            self._item(index, found)
            for index, found in self._found.items()
            if self.judged and found.keys() >= {*self.judged}
        ]

    def _item(self, index: int, found: Mapping[str, Finding]) -> Item:
        label, mine = int(self._images.y[index]), {name: found[name] for name in self.judged}
        return Item(index, label, mine, self._images.name_of(index))

    def draw(self) -> None:
        """Summary, chart and cards of what is in."""
        items = self.items
        if not items:
            return
        self._version += 1
        self._draw_summary(items)
        self._draw_chart(items)
        with self._cards.container():
            self._draw_cards(rows.ordered(items, self._comparison, self._lead))

    def _draw_summary(self, items: Sequence[Item]) -> None:
        c = self._comparison
        said = []
        for name in self.judged:
            counts = Counter(item.found[name].at(c.asked.eps) for item in items)
            every = {verdict: counts[verdict] for verdict in (CERTIFIED, OPEN, BROKEN)}
            shown = text.summary(self._names[name], every, c.asked.eps, threshold(c, name), self.whole)
            said.append(f"{GLYPHS[c.models.index(name)]} {shown}")
        self._summary.markdown("\n\n".join(said))

    def _draw_chart(self, items: Sequence[Item]) -> None:
        c, grid = self._comparison, self._comparison.asked.grid
        shares = [
            Share(self._names[name], c.models.index(name), grid, *rows.shares(items, name, grid))
            for name in self.judged
        ]
        chart(
            figures.share_figure(shares, c.asked.eps, c.asked.most, EPS_SHORT[c.asked.settings.norm]),
            f"compare-shares-{self._version}",
            figures.describe_shares(shares, c.asked.eps),
            self._chart,
        )
        self._legend.html(figures.names([(share.place, share.name) for share in shares]))

    def _draw_cards(self, items: Sequence[Item]) -> None:
        c = self._comparison
        self.pages = max(1, -(-len(items) // PER_PAGE))
        self.page = page = min(c.page, self.pages)
        if not items:
            st.info(text.NOTHING_PASSES)
        st.caption(text.under(self._names[self._lead] if len(self.judged) > 1 else None))
        with st.container(horizontal=True, gap="xsmall"):
            for item in items[(page - 1) * PER_PAGE : page * PER_PAGE]:
                self._draw_card(item)

    def _draw_card(self, item: Item) -> None:
        c = self._comparison
        shown = text.numbered(item.index, item.name)
        url = explorer_address(c, self._lead, Digit(item.index, source=c.asked.source), self._models)
        with st.container(border=True, width=172, gap="xsmall"):
            with st.container(horizontal=True, gap=None, vertical_alignment="center"):
                pixels = compute.samples(c.asked.source)[0][item.index]
                st.image(images.enlarged(pixels, 56), width=48, alt=f"Image {shown}")
                st.page_link(destinations.EXPLORER, label=shown, query_params=url)
            st.markdown("  \n".join(self._verdict(item, name) for name in self.judged))

    def _verdict(self, item: Item, name: str) -> str:
        """Badge and radii; of which model, if there are several."""
        c, found = self._comparison, item.found[name]
        badge = text.BADGES[found.at(c.asked.eps)]
        radii = f"to {rows.radius(found.verdict.certified)}, from {rows.radius(found.verdict.broken)}"
        who = f"{GLYPHS[c.models.index(name)]} " if len(self.judged) > 1 else ""
        return f"{who}{badge}  \n:small[{radii}]"

    def take_away(self) -> None:
        """What is in, in full."""
        c, items = self._comparison, self.items
        if items and (shown := rows.gallery_rows(rows.ordered(items, c, self._lead), c)):
            st.download_button(
                f"Rows (CSV): {len(items) * len(self.judged):,}",
                rows.as_csv(shown),
                file_name(
                    "csv",
                    "gallery",
                    c.asked.source.model or c.asked.source.dataset,
                    f"{len(items)}-images",
                    of_models(self.judged),
                    *of_question(c.asked.settings, c.asked.eps),
                ),
                "text/csv",
                on_click="ignore",
                icon=":material/download:",
            )
            as_python.offer(scripts.of_gallery(c, self._names))


def show_gallery(
    panel: Panel,
    comparison: Comparison,
    names: Mapping[str, str],
    found: ImageSet,
    models: Sequence[str],
) -> None:
    """Verdicts as they come in; every control of the page interrupts it, what is done is kept."""
    st.header("Which share is certified", anchor=False, help=text.SHARE_HELP)
    gallery = _Gallery(panel, comparison, names, found, models)
    _fill(gallery, comparison)
    gallery.draw()
    panel.turn(gallery.page, gallery.pages)
    asked = comparison.asked
    st.caption(text.method(asked.scale.grid, QUANTITY_NAMES[asked.settings.attack], asked.settings.draws))
    gallery.take_away()


def _fill(gallery: _Gallery, comparison: Comparison) -> None:
    """Compute chunk after chunk until all are in, or the time is over."""
    status = gallery.status
    whole, done = gallery.whole * len(comparison.judged), 0
    end, drawn = time.monotonic() + SECONDS, time.monotonic()

    bar = Bar(status)

    def progress(now: Now) -> None:
        what = f"{done} of {whole} verdicts are in; {now.what}"
        bar.say(done / whole, f"{what}. Any control cancels it; what is done is kept.")

    for chunk in chunks(comparison):
        for name in gallery.judged:
            try:
                gallery.add(name, chunk, findings(comparison, name, chunk, progress))
            except CoreError as error:
                st.error(str(error))
                gallery.leave_out(name)
            done += len(chunk)
            if time.monotonic() > end and done < whole:
                with status.container():
                    st.info(text.stopped(done, whole, SECONDS))
                    st.button(text.GO_ON, on_click=touch)
                return
            if time.monotonic() - drawn > _STANDS:
                gallery.draw()
                drawn = time.monotonic()
    status.empty()
