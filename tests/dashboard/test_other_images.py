"""Models for images of any shape on the pages: in colour with classes, grey without, and without images."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import streamlit as st
import torch
from torch import nn

import core
from core.inspection.work import crown_products
from core.vae.model import VAE
from dashboard.addresses import costs, models
from dashboard.addresses.digit import Digit, images
from dashboard.addresses.explorer import PAGE, facing, to_params
from dashboard.addresses.inspect import Layout
from dashboard.addresses.kinds import SHIPPED_IMAGES, Kind, kinds, partners, source_of
from dashboard.compare import text as compare_text
from dashboard.explorer.stage.picture_strip import film
from dashboard.shared import compute, own_images, text
from dashboard.shared import images as drawn
from tests.dashboard.addressed import parse_compare, parse_explorer, parse_inspect
from tests.dashboard.page_parts import NAMES, feeds, opened, stage, words

COLOUR, GREY = (3, 12, 10), (1, 6, 9)
CHEAP = {"method": "ibp", "steps": "2", "draws": "1", "eps": "0.01"}


def tiny(shape: tuple[int, int, int], seed: int = 0) -> VAE:
    torch.manual_seed(seed)
    size = shape[0] * shape[1] * shape[2]
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, 5), nn.SiLU(), nn.Linear(5, 4))
    decoder = nn.Sequential(nn.Linear(2, 5), nn.SiLU(), nn.Linear(5, size), nn.Unflatten(1, shape))
    return core.wrap(encoder.eval(), decoder.eval(), shape=shape, heads="chunk")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four strangers' models: two in colour, of which one has images, a grey one, and one without."""
    root = tmp_path_factory.mktemp("allowed") / "lab"
    generator = torch.Generator().manual_seed(0)

    def some(count: int, shape: tuple[int, int, int]) -> torch.Tensor:
        return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)

    labels, classes = [0, 1, 1, 0, 1], ["cat", "dog"]
    core.save_model(tiny(COLOUR), root / "colour", images=some(5, COLOUR), labels=labels, classes=classes)
    core.save_model(tiny(COLOUR, 1), root / "plain")
    core.save_model(tiny(GREY), root / "grey", images=some(3, GREY))
    core.save_model(tiny((1, 5, 5)), root / "bare")
    return root


@pytest.fixture
def lab(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(models.ROOTS, str(made))
    return made


def test_kinds_partners_and_sources_are_known_from_the_configuration(lab: Path) -> None:
    names = models.available()
    assert kinds(names)["lab/colour"] == Kind("bernoulli", COLOUR, "")
    assert kinds(["nobody"]) == {"nobody": Kind()}
    assert partners("lab/plain", names) == ["lab/colour", "lab/plain"]
    assert partners("lab/grey", names) == ["lab/grey"]
    assert source_of(NAMES) == SHIPPED_IMAGES
    assert source_of(("lab/plain", "lab/colour")).model == "lab/colour"
    assert source_of(("lab/bare", "")).seal == ""
    found = images(source_of(["lab/colour"]))
    assert found.classes == ("cat", "dog")
    assert torch.equal(Digit(2, source=source_of(["lab/colour"])).image(), found.x[2:3])


def test_the_explorer_holds_models_of_one_shape_against_each_other(lab: Path) -> None:
    names = models.available()
    assert parse_explorer({}, names)[0].sides == (NAMES[1], NAMES[0])
    asked, said = parse_explorer({"right": "lab/plain"}, names)
    assert (asked.left, asked.right, said) == ("lab/colour", "lab/plain", [])
    assert asked.source.model == "lab/colour"
    assert parse_explorer(to_params(asked, names), names) == (asked, [])
    alone, said = parse_explorer({"right": "lab/grey"}, names)
    assert (alone.left, alone.right, alone.sides, said) == ("lab/grey", "", ("lab/grey",), [])
    assert parse_explorer(to_params(alone, names), names) == (alone, [])
    apart, said = parse_explorer({"left": NAMES[0], "right": "lab/grey"}, names)
    assert apart.right != "lab/grey"
    assert said[0].field == "right"
    assert facing({"left": NAMES[0], "index": "9", "eps": "0.2"}, "lab/grey", names) == {
        "right": "lab/grey",
        "eps": "0.2",
    }


def test_numbers_and_images_of_ones_own_are_those_of_the_shape(lab: Path) -> None:
    names = models.available()
    assert parse_explorer({"right": "lab/grey", "index": "2"}, names)[0].index == 2
    found, said = parse_explorer({"right": "lab/grey", "index": "3"}, names)
    assert found.index == 0
    assert "0 to 2" in said[0].text
    mine = {"mine": bytes(4 * 6 * 9)}
    assert parse_explorer({"right": "lab/grey", "own": "mine"}, names, mine)[0].own == mine["mine"]
    found, said = parse_explorer({"own": "mine"}, names, mine)
    assert found.own == b""
    assert "1 x 28 x 28" in said[0].text


def test_compare_and_inspect_take_the_same_images(lab: Path) -> None:
    there = kinds(models.available())
    both, said = parse_compare({"models": "lab/plain,lab/colour", "classes": "1", "against": "4"}, there)
    assert (both.models, both.asked.source.model, said) == (("lab/plain", "lab/colour"), "lab/colour", [])
    assert both.digits[0] == Digit(4, source=both.asked.source)
    mixed, said = parse_compare({"models": f"lab/colour,{NAMES[0]}"}, there)
    assert mixed.models == ("lab/colour",)
    assert "shapes of images" in said[0].text
    _, said = parse_compare({"models": "lab/colour", "classes": "2"}, there)
    assert "0 to 1" in said[0].text
    look, _ = parse_inspect({"model": "lab/grey"}, models.available(), lambda name: Layout(2, ("mu",)))
    assert look.source.shape == GREY


def test_what_takes_too_long_is_said_before(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = models.available()
    assert parse_explorer({"right": "lab/grey"}, names)[0].method == "alpha-crown"
    one, two = (crown_products(core.load_model(lab / "grey"), draws) for draws in (1, 2))
    monkeypatch.setattr(costs, "MOST", (one + two) / 2)
    assert costs.dear(["lab/grey"], 4)[::2] == ("lab/grey", 1)
    assert costs.dear(["lab/grey"], 1) == ("", 0.0, 1)
    assert costs.dear(["nobody"], 10**6)[0] == ""
    asked = {"right": "lab/grey", "draws": "2"}
    usual, said = parse_explorer(asked, names)
    assert (usual.method, said) == ("crown-ibp", [])
    slow, said = parse_explorer(asked | {"method": "crown"}, names)
    assert slow.method == "crown-ibp"
    assert "1 noise draw" in said[0].text
    assert "python -m core certify" in said[0].text
    assert PAGE.parse(asked | {"draws": "1"}, models=names, images={})[0].method == "alpha-crown"


def test_pictures_in_colour_come_as_they_are(lab: Path) -> None:
    x = images(source_of(["lab/colour"])).x
    assert drawn.pictures(x).shape == (5, 12, 10, 3)
    assert drawn.pictures(x[:, :1]).shape == (5, 12, 10)
    assert drawn.enlarged(drawn.pictures(x)[0], 56).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("params", "shape", "says"),
    [
        ({"left": "lab/colour", "right": "lab/plain"}, [12, 10, 3], "cat"),
        ({"right": "lab/grey"}, [6, 9], "Next image"),
    ],
)
def test_the_explorer_shows_them(params: dict[str, str], shape: list[int], says: str, lab: Path) -> None:
    app = opened("explorer", **params, **CHEAP).run()
    assert not app.exception
    assert [news["shape"] for news in feeds(app, "film")] == [shape] * len(feeds(app, "film"))
    assert stage(app)["images"] == (5 if shape[0] == 12 else 3)
    assert says in words(app)
    assert "digit" not in words(app).lower()
    assert not app.error
    assert (len(feeds(app, "film")) == 1) == ("stands alone" in words(app))


def test_their_ceiling_is_drawn_and_no_constant_decoder(lab: Path) -> None:
    app = opened(
        "explorer", left="lab/colour", right="lab/plain", limits="show", unit="bits", **CHEAP
    ).run()
    assert not app.exception
    vae, x = core.load_model(lab / "colour"), core.load_images(lab / "colour").x[:1]
    for news in feeds(app, "numbers"):
        (line,) = news["limits"]
        assert line["name"] == "Ceiling"
        tops = [core.ceiling(vae, x, eps).item() for eps in line["eps"]]
        assert line["values"] == pytest.approx(tops, abs=1e-9)
    assert "Constant" not in stage(app)["words"]["legend"]
    assert stage(app)["unit"]["nats"] == pytest.approx(3 * 12 * 10 * math.log(2))
    assert "Of all models: the ceiling" in words(app)
    assert "% of the way" not in words(app)


def test_what_is_said_of_any_images_names_no_digit() -> None:
    general = {name: words for name, words in text.HELP.items() if name != "dataset"}  # which says of each
    said = [*general.values(), *text.UPPER_HELP.values(), *text.RESULTS_HELP.values(), text.INCOMPARABLE]
    said += [*text.SAMPLES.values(), compare_text.MODELS_HELP, PAGE.settings["own"].used]
    assert not [each for each in said if "digit" in each.lower() or "grey value" in each]


def test_another_left_model_brings_its_partner_and_its_images(lab: Path) -> None:
    app = opened("explorer", index="400", **CHEAP).run()
    app.selectbox(key="left").set_value("lab/grey").run()
    assert not app.exception
    assert app.session_state["right"] == ""
    assert app.session_state["index"] == 0
    app.selectbox(key="left").set_value("lab/colour").run()
    assert not app.exception
    assert app.session_state["right"] == "lab/plain"
    assert not app.warning


@pytest.mark.parametrize("page", ["explorer", "inspect", "compare", "present"])
def test_without_images_a_page_says_how_to_add_them(page: str, lab: Path) -> None:
    name = {"inspect": "model", "compare": "models"}.get(page, "left")
    app = opened(page, **{name: "lab/bare"}).run()
    assert not app.exception
    assert "core import lab/bare" in app.info[0].value.replace("\\", "")
    assert str(lab) not in words(app)


@pytest.mark.parametrize("name", ["colour", "grey"])
def test_inspect_shows_them(name: str, lab: Path) -> None:
    app = opened("inspect", model=f"lab/{name}", eps="0.001", layer="input").run()
    assert not app.exception
    assert not app.error
    assert "no ReLUs" in words(app)
    assert "digit" not in words(app).lower()


@pytest.mark.parametrize("part", ["digit", "gallery"])
@pytest.mark.parametrize("name", ["colour,lab/plain", "grey"])
def test_compare_shows_them(name: str, part: str, lab: Path) -> None:
    cheap = {"steps": "2", "draws": "1", "eps": "0.01", "part": part}
    app = opened("compare", models=f"lab/{name}", **cheap).run()
    assert not app.exception
    assert not app.error
    assert "digit" not in words(app).lower()


def test_images_that_were_edited_are_no_crash(made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    shutil.copytree(made / "colour", tmp_path / "lab" / "broken")
    index = tmp_path / "lab" / "broken" / "images" / "index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"labels": [0] * 5}))
    monkeypatch.setenv(models.ROOTS, str(tmp_path / "lab"))
    st.cache_resource.clear()
    app = opened("explorer", left="lab/broken", **CHEAP).run()
    assert not app.exception
    assert "changed since" in app.error[0].value
    assert str(tmp_path) not in words(app)


def test_an_upload_becomes_an_image_of_the_shape() -> None:
    kept = own_images.picture(bytes(4 * 3 * 12 * 10), COLOUR)
    assert kept.shape == (12, 10, 3)


def test_a_film_has_the_colours(lab: Path) -> None:
    state = parse_explorer({"left": "lab/colour"} | CHEAP, models.available())[0]
    result = compute.explore("lab/colour", state.digit, state.settings, (0.0, 0.1), lambda now: None)
    shown = film(result, "l2")
    assert shown["shape"] == [12, 10, 3]
    assert len(shown["scale"]) == 2
