"""A model that is dropped onto the page: checked, opened on the other pages, seen by nobody else."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from weakref import WeakSet

import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import nn

import core
from core.vae.checkpoint import write_tensors
from core.vae.config import VAEConfig
from core.vae.model import VAE
from dashboard.addresses import models, session_models
from dashboard.own import model_text, steps
from dashboard.own.report import GRID
from dashboard.shared import own_text
from tests.dashboard.page_parts import NAMES, address, metric
from tests.malice import Bomb, exploded

APP = Path(__file__).resolve().parents[3] / "dashboard" / "pages.py"
Files = list[tuple[str, bytes, str]]
KIND = "application/octet-stream"


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty place for the models of sessions."""
    with TemporaryDirectory() as folder:
        monkeypatch.setattr(session_models, "root", lambda: Path(folder).resolve())
        monkeypatch.setattr(session_models, "_KEPT", {})
        monkeypatch.setattr(session_models, "_HOLDERS", WeakSet())  # sessions of other tests may live on
        yield Path(folder).resolve()


@pytest.fixture
def page(app: AppTest) -> AppTest:
    """The page where one drops a model."""
    app.switch_page("entries/own.py").run()
    app.button_group(key="bring").set_value("model").run()
    assert not app.exception
    return app


def files_of(folder: Path) -> Files:
    return [(path.name, path.read_bytes(), KIND) for path in sorted(folder.rglob("*")) if path.is_file()]


def small(folder: Path, seed: int = 0) -> Files:
    """A traced model with images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(36, 5), nn.SiLU(), nn.Linear(5, 4)).eval()
        decoder = nn.Sequential(nn.Linear(2, 5), nn.SiLU(), nn.Linear(5, 36)).eval()
        images = torch.randint(0, 256, (3, 1, 6, 6), dtype=torch.uint8)
    vae = core.wrap(encoder, decoder, shape=(1, 6, 6), heads="chunk")
    core.save_model(vae, folder, {"training": {"eps": "**hostile**"}}, images=images)
    return files_of(folder)


def plain(folder: Path, seed: int = 0) -> Files:
    """A model of our own kind."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        core.save_model(VAE(VAEConfig(latent=2, widths=(4,))), folder)
    return files_of(folder)


def drop(page: AppTest, files: Files) -> AppTest:
    page.file_uploader[0].set_value(files).run()
    assert not page.exception
    return page


def mine(page: AppTest) -> list[str]:
    """The models of that session."""
    return list(page.session_state["session models"].names)


def test_a_dropped_model_is_reported_and_opened(page: AppTest, tmp_path: Path) -> None:
    drop(page, small(tmp_path / "m"))
    assert [error.value for error in page.error] == []
    (name,) = mine(page)
    assert page.header[1].value == own_text.brought((1, 6, 6), name)
    said = "\n".join(part.value for part in page.markdown)
    assert "1 x 6 x 6 images, 2 latent dimensions, bernoulli likelihood" in said
    assert "3 images of its own" in said
    assert "|encoder|1 Flatten|linear|" in said
    assert "||1 silu|between two lines|" in said
    assert f"|quadratic, branch and bound|{model_text.REFUSED}|" in said
    rows = [row.split("|") for row in said.splitlines() if row.startswith(("|IBP", "|CROWN"))]
    largest = [float(row[2].removesuffix(" or more")) for row in rows]
    assert len(largest) == 3
    assert set(largest) <= {0, *GRID}
    assert largest == sorted(largest)
    assert "hostile" not in said
    # The uploader is empty again: what was dropped lies in one place.
    assert page.file_uploader[0].value == []
    page.query_params.clear()
    page.query_params["right"] = name
    page.query_params["method"] = "ibp"
    page.switch_page("entries/explorer.py").run()
    assert not page.exception
    assert not page.warning
    assert address(page)["right"] == name or address(page).get("left") == name
    vae = core.load_model(models.folder(name))
    x, noise = core.load_images(models.folder(name)).x[:1], core.sample_noise(vae, 4, 0)
    assert metric(page, "Clean", 0) == f"{core.elbo(vae, x, noise).total.item():.1f} nats".replace("-", "−")


@pytest.mark.parametrize("entry", ["inspect", "compare"])
def test_other_pages_open_it(entry: str, page: AppTest, tmp_path: Path) -> None:
    drop(page, plain(tmp_path / "m"))
    (name,) = mine(page)
    page.query_params.clear()
    page.query_params["model" if entry == "inspect" else "models"] = name
    page.query_params["draws"] = "1"
    page.query_params["method"] = "ibp"
    page.switch_page(f"entries/{entry}.py").run()
    assert not page.exception
    assert not page.warning


def test_nobody_else_sees_it(page: AppTest, tmp_path: Path) -> None:
    drop(page, plain(tmp_path / "m"))
    (name,) = mine(page)
    assert name not in models.available()
    other = AppTest.from_file(str(APP), default_timeout=60)
    other.query_params["right"] = name
    other.query_params["method"] = "ibp"
    other.run()
    assert not other.exception
    assert "right" in other.warning[0].value
    assert name not in other.selectbox(key="right").options
    assert not any("Yours" in option for option in other.selectbox(key="right").options)


@pytest.mark.parametrize("name", ["config.json", f"{NAMES[0]}/config.json"])
def test_a_shipped_name_stays_the_shipped_model(name: str, page: AppTest, tmp_path: Path) -> None:
    files = [(name if old == "config.json" else old, *rest) for old, *rest in plain(tmp_path / "m")]
    before = models.folder(NAMES[0])
    drop(page, files)  # type: ignore[arg-type]
    assert mine(page)[0].startswith("brought/")
    assert models.folder(NAMES[0]) == before
    assert not set(mine(page)) & set(core.list_models())


def test_few_are_kept_and_one_can_be_forgotten(page: AppTest, place: Path, tmp_path: Path) -> None:
    for seed in range(session_models.MOST_OWN + 1):
        drop(page, plain(tmp_path / f"m{seed}", seed))
    assert len(list(place.iterdir())) == len(mine(page)) == session_models.MOST_OWN
    *_, last = mine(page)
    page.button(key=f"forget-{last}").click().run()
    assert not page.exception
    assert last not in mine(page)
    assert len(list(place.iterdir())) == session_models.MOST_OWN - 1
    for name in mine(page):
        page.button(key=f"forget-{name}").click().run()
    assert list(place.iterdir()) == []
    assert [tab.label for tab in page.tabs] == list(model_text.TABS)


def test_what_is_missing_can_be_dropped_beside_the_rest(page: AppTest, tmp_path: Path) -> None:
    files = small(tmp_path / "m")
    first = [file for file in files if not file[0].endswith(".safetensors")]
    drop(page, first)
    assert "There is no weights.safetensors" in page.error[0].value.replace("\\", "")
    assert len(page.file_uploader[0].value) == len(first)
    drop(page, files)
    assert [error.value for error in page.error] == []
    assert len(mine(page)) == 1


def hostile(good: Files, bomb: bytes) -> dict[str, Files]:
    """Files that are refused, each of a kind of its own."""
    by_name = {name: (name, content, kind) for name, content, kind in good}

    def with_(name: str, content: bytes) -> Files:
        return list((by_name | {name: (name, content, KIND)}).values())

    weights, config = "weights.safetensors", "config.json"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo(weights)
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    shapes = json.loads(by_name["graph.json"][1])
    shapes["encoder"][1]["options"]["out_features"] = 10**12
    return {
        "a pickle": [("model.pt", bomb, KIND)],
        "a pickle inside": with_(weights, bomb),
        "Markdown and HTML": [("<img src=x onerror=alert(1)>![x](http://x).pkl", b"x", KIND)],
        "a name that leads out": [("../../../etc/passwd", b"x", KIND)],
        "an archive with a link": [("m.zip", buffer.getvalue(), "application/zip")],
        "nothing in it": with_(weights, b""),
        "deep": with_(config, b'{"a":' * 100_000),
        "a graph that lies": with_("graph.json", json.dumps(shapes).encode()),
        "too large": [(weights, bytes(16_500_000), KIND)],
        "a folder of music": [(f"{number}.mp3", b"x", KIND) for number in range(300)],
    }


def test_hostile_files_are_refused_one_after_the_other_and_the_page_lives_on(
    page: AppTest, place: Path, tmp_path: Path
) -> None:
    good = small(tmp_path / "m")
    for name, files in hostile(good, Bomb(tmp_path).pickled()).items():
        drop(page, files)
        assert len(page.error) == 1, name
        said = page.error[0].value
        assert said[-1] in "." or said.endswith("make run."), name
        assert str(place) not in said, name
        assert "<img" not in said.replace("\\<", ""), name
        assert list(place.iterdir()) == [], name
    assert not exploded(tmp_path)
    drop(page, good)
    assert [error.value for error in page.error] == []
    assert len(mine(page)) == 1


def test_it_says_what_was_expected_and_what_is_there(page: AppTest, tmp_path: Path) -> None:
    files = plain(tmp_path / "m")
    config = json.loads(next(content for name, content, _ in files if name == "config.json"))
    config["model"]["widths"] = [5]
    wrong = [(n, json.dumps(config).encode() if n == "config.json" else c, k) for n, c, k in files]
    drop(page, wrong)
    said = page.error[0].value.replace("\\", "")
    assert "decoder.0.bias is (4,), the config says (5,)" in said


def test_a_link_leads_to_it_and_the_choice_stays(app: AppTest) -> None:
    app.query_params["bring"] = "model"
    app.switch_page("entries/own.py").run()
    assert app.header[0].value == model_text.DROP
    app.switch_page("entries/lessons.py").run()
    app.query_params.clear()
    app.switch_page("entries/own.py").run()
    assert app.header[0].value == model_text.DROP
    app.button_group(key="bring").set_value("image").run()
    assert app.header[0].value == own_text.DRAW
    app.query_params["bring"] = "![x](http://x)"
    assert not app.run().exception


def run_shown(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run code as it is shown, where a researcher has his module and his weights."""
    (folder / "my_vae.py").write_text(MODULE)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "my_vae", raising=False)
    namespace: dict[str, object] = {}
    exec(MODULE, namespace)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = namespace["VAE"]()  # type: ignore[operator]
    torch.save(model.state_dict(), folder / "model.pt")
    exec(compile(code, "shown", "exec"), {})


MODULE = '''
import torch
from torch import nn
from torch.nn import functional as F

class VAE(nn.Module):
    """As in pytorch/examples."""
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 400)
        self.fc21 = nn.Linear(400, 20)
        self.fc22 = nn.Linear(400, 20)
        self.fc3 = nn.Linear(20, 400)
        self.fc4 = nn.Linear(400, 784)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))
'''


@pytest.mark.parametrize("code", ["ANY", "MLP"])
def test_the_code_that_is_shown_makes_what_is_dropped(
    code: str, page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a researcher copies from the page, run on the VAE of pytorch/examples, then dropped, then
    certified: it is his module that is certified."""
    (shown,) = [block.value for block in page.code if block.value.strip() == getattr(steps, code).strip()]
    home = tmp_path / "home"
    home.mkdir()
    run_shown(shown, home, monkeypatch)
    made = files_of(home / "mine" if code == "ANY" else home)
    drop(page, [file for file in made if file[0].endswith((".safetensors", ".json"))])
    assert [error.value for error in page.error] == []
    (name,) = mine(page)
    vae = core.load_model(models.folder(name))
    x = core.load_samples("mnist")[0][7:8]
    noise = core.sample_noise(vae, 1)
    namespace: dict[str, object] = {}
    exec(MODULE, namespace)
    theirs = namespace["VAE"]()  # type: ignore[operator]
    theirs.load_state_dict(torch.load(home / "model.pt", weights_only=True))
    with torch.no_grad():
        mu, logvar = theirs.encode(x.flatten(1))
        z = mu + (logvar / 2).exp() * noise
        pixels = torch.distributions.Bernoulli(theirs.decode(z).double(), validate_args=False)
        kl = (mu**2 + logvar.exp() - 1 - logvar).double().sum() / 2
        own = pixels.log_prob(x.flatten(1).double()).sum() - kl
    assert core.elbo(vae, x, noise).total.item() == pytest.approx(own.item(), abs=0.01)
    proved = core.certify(vae, x, noise, eps=0.002, method="crown")
    found = core.attack(vae, x, noise, eps=0.002, method="pgd", steps=10)
    assert not bool(proved.vacuous.any())
    assert proved.lower.item() <= found.elbo.item()


@pytest.mark.parametrize("arch", steps.TEMPLATES)
def test_the_template_and_the_table_are_of_a_model(arch: str, page: AppTest, tmp_path: Path) -> None:
    template, mine_ = f'"arch": "{arch}"', tmp_path / "mine"
    (shown,) = [code.value for code in page.code if template in code.value and "import" not in code.value]
    weights = {name: torch.zeros(literal_eval(size)) for name, size, _ in steps.tensors(arch)}
    mine_.mkdir()
    write_tensors(mine_ / "weights.safetensors", weights)
    (mine_ / "config.json").write_text(shown)
    assert "|".join(next(iter(steps.tensors(arch)))) in "\n".join(part.value for part in page.markdown)
    drop(page, files_of(mine_))
    assert [error.value for error in page.error] == []
    assert len(mine(page)) == 1
