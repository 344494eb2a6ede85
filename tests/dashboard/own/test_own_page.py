"""The page for images of one's own, and the explorer on one of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

import core
from benchmarks.hostile.uploads import uploads
from core.claims.claim import read_claim
from core.data.digits import like_mnist
from core.data.pictures import read_page
from core.errors import DataError
from dashboard.addresses.digit import Digit, own_name
from dashboard.addresses.explorer import Settings
from dashboard.own.strokes import render
from dashboard.shared import compute, own_images
from dashboard.shared import own_text as text
from dashboard.shared import text as words
from tests.dashboard.page_parts import NAMES, address, metric
from tests.malice import Bomb, exploded

ROOT = Path(__file__).resolve().parents[3]
APP = ROOT / "dashboard" / "pages.py"
DIGITS = core.load_samples("mnist")[0][:, 0].numpy()


def png(number: int) -> bytes:
    """A digit as dark ink on light paper."""
    buffer = io.BytesIO()
    levels = np.round((1 - DIGITS[number]) * 255).astype(np.uint8)
    Image.fromarray(levels.repeat(6, 0).repeat(6, 1)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def own(app: AppTest) -> AppTest:
    """The page, as reached from the explorer."""
    app.run()
    return app.switch_page("entries/own.py").run()


def upload(page: AppTest, content: bytes, name: str = "digit.png", kind: str = "image/png") -> AppTest:
    return page.file_uploader[0].set_value((name, content, kind)).run()


def use(page: AppTest, label: str = text.USE_IMAGE) -> AppTest:
    """Press a button. Where it leads to another page, a browser goes on there; a test has to say so."""
    next(b for b in page.button if b.label == label).click().run()
    return page if page.file_uploader else page.switch_page("entries/explorer.py")


def name_of(number: int) -> str:
    return own_name(DIGITS[number].tobytes())


def test_the_first_words_come_before_the_slow_imports():
    code = (ROOT / "dashboard" / "entries" / "own.py").read_text()
    assert (
        code.index("from dashboard.shared import own_text")
        < code.index("st.html(head(")
        < code.index("import view")
    )


def test_an_uploaded_digit_is_shown_before_use_and_goes_to_the_explorer(own: AppTest):
    upload(own, png(7))
    assert not own.exception
    assert own.toggle[0].value  # dark ink was seen
    assert own_images.IMAGES not in own.session_state
    use(own)
    assert not own.exception
    assert not own.warning
    assert address(own) == {"method": "ibp", "own": name_of(7)}
    vae = core.load_model(NAMES[1])
    x, noise = core.load_samples("mnist")[0][7:8], core.sample_noise(vae, 4, 0)
    assert metric(own, "Clean", 0) == words.nats(core.elbo(vae, x, noise).total.item(), 1)
    assert own.button_group(key="mine").value == name_of(7)
    assert own.button_group(key="digit").value is None


def test_the_toggles_change_what_is_used(own: AppTest):
    upload(own, png(3))
    for toggle in own.toggle:
        toggle.set_value(False)
    use(own.run())
    (pixels,) = own.session_state[own_images.IMAGES].values()
    assert abs(np.frombuffer(pixels, np.float32).reshape(28, 28) - (1 - DIGITS[3])).max() < 1 / 255


def test_a_shipped_digit_leaves_ones_own_for_later(own: AppTest):
    use(upload(own, png(7)))
    own.number_input(key="index").set_value(5).run()
    assert address(own) == {"method": "ibp", "index": "5"}
    assert own.button_group(key="mine").value is None
    own.button_group(key="mine").set_value(name_of(7)).run()
    assert address(own)["own"] == name_of(7)
    own.button_group(key="which").set_value(own.number_input(key="index").value).run()
    assert "own" not in address(own)
    assert not own.exception


def test_a_certificate_of_ones_own_holds_its_image():
    shipped, mine, settings = Digit(7), Digit(0, DIGITS[7].tobytes()), Settings(steps=1)
    proof = compute.explore(NAMES[0], shipped, settings, (0.0, 0.01), lambda now: None).curve.best(0.0)
    assert proof is not None
    one, other = (compute.claim(NAMES[0], digit, settings.proof, proof) for digit in (shipped, mine))
    assert read_claim(one) == read_claim(other)


def test_the_page_keeps_a_few_and_forgets_them_when_asked(own: AppTest):
    numbers = [number for number in range(30) if DIGITS[number].max() == 1][: own_images.MOST_IMAGES + 2]
    for number in numbers:
        use(upload(own, png(number)))
        own.switch_page("entries/own.py").run()
    kept = list(own.session_state[own_images.IMAGES])
    assert kept == list(map(name_of, numbers[2:]))
    use(own, text.FORGET)
    assert not own.session_state[own_images.IMAGES]
    own.switch_page("entries/explorer.py").run()
    # Whoever had them forgotten need not be told.
    assert not own.warning
    assert "own" not in address(own)
    assert not own.exception


def test_another_session_is_told_that_an_image_is_not_its_own(own: AppTest):
    use(upload(own, png(7)))
    opened = AppTest.from_file(str(APP), default_timeout=60)
    opened.query_params["own"] = address(own)["own"]
    opened.query_params["method"] = "ibp"
    opened.run()
    assert not opened.exception
    assert "kept only in the browser" in opened.warning[0].value
    assert text.YOURS not in [group.label for group in opened.button_group]
    # The browser may still bring it.
    assert address(opened)["own"] == name_of(7)
    assert own.button_group(key="mine").value == name_of(7)


@pytest.mark.parametrize("name", ["x.svg", "x.png.exe", "../../x", "<script>alert(1)</script>.png", "x"])
def test_the_content_of_a_file_counts_and_not_its_name(own: AppTest, name: str):
    upload(own, png(1), name, "image/svg+xml")
    assert not own.exception
    assert [b.label for b in own.button if b.label == text.USE_IMAGE]
    upload(own, b"<svg onload='alert(1)'/>", name.replace(".svg", ".png"))
    assert not own.exception
    assert "neither a PNG nor a JPEG" in own.error[0].value


def refused() -> list[tuple[str, bytes]]:
    """Of each kind of hostile file some that are refused."""
    found: dict[str, tuple[str, bytes]] = {}
    for name, content in files():
        try:
            read_page(content)
        except DataError as error:
            found.setdefault(str(error).split("{")[0][:40], (name, content))
    return list(found.values())


def files() -> list[tuple[str, bytes]]:
    cases = uploads(Bomb(Path("/nowhere")))
    return [(case.name, case.run.__defaults__[0]) for case in cases]  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore")
def test_hostile_files_are_refused_one_after_the_other_and_the_session_lives_on(
    own: AppTest, tmp_path: Path
):
    hostile = refused()
    assert len(hostile) >= 8
    for name, content in hostile:
        if len(content) <= 5_000_000:
            upload(own, content)
            assert not own.exception, name
            assert len(own.error) == 1, name
            assert own.error[0].value.endswith("."), name
    assert not exploded(tmp_path)
    use(upload(own, png(7)))
    assert not own.exception
    assert address(own)["own"] == name_of(7)


def test_a_drawing_that_is_none_gets_a_sentence(app: AppTest):
    app.run()
    app.session_state["own strokes"] = [[["x"]]]
    app.switch_page("entries/own.py").run()
    assert not app.exception
    assert "no drawing" in app.error[0].value
    assert app.file_uploader


def test_a_drawing_is_shown_as_the_models_see_it(app: AppTest):
    app.run()
    app.session_state["own strokes"] = [[[0.2, 0.1], [0.8, 0.1], [0.4, 0.9]]]
    app.switch_page("entries/own.py").run()
    use(app, text.USE_DRAWING)
    (pixels,) = app.session_state[own_images.IMAGES].values()
    drawn = like_mnist(render((((0.2, 0.1), (0.8, 0.1), (0.4, 0.9)),)))
    assert pixels == drawn.tobytes()
