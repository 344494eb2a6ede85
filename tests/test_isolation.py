"""What the caller has switched on changes no number that any public function gives, not in a bit."""

from __future__ import annotations

import ast
import copy
import decimal
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import core
import core.errors
from core.attacks import ATTACKS
from core.certificates.certificate import shown_bound
from core.certificates.elbo_bounds.layer_bounds import LateIntervals
from core.certificates.methods import METHODS
from core.data.samples import load_levels
from core.errors import InputError
from core.evaluation.verdicts import find_verdicts
from core.inspection import lessons
from core.isolation import isolated
from core.vae.model import VAE
from tests.conftest import make_images, make_vae
from tests.training.trainings import ROBUST

pytestmark = pytest.mark.slow

BACKENDS: Any = torch.backends
ROOT = Path(__file__).resolve().parent.parent
SHORT = replace(ROBUST, epochs=1, warmup=0.2, ramp=0.5)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device(name: str) -> Iterator[None]:
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def flushed() -> Iterator[None]:
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def short_products() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    BACKENDS.mkldnn.conv.fp32_precision = "bf16"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")
        BACKENDS.mkldnn.matmul.fp32_precision = BACKENDS.mkldnn.conv.fp32_precision = "none"


@contextmanager
def watched() -> Iterator[None]:
    torch.set_anomaly_enabled(True)
    try:
        yield
    finally:
        torch.set_anomaly_enabled(False)


@contextmanager
def strict() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        yield


@contextmanager
def reseeded() -> Iterator[None]:
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(7)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])


STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference mode": torch.inference_mode,
    "float64 by default": lambda: default_dtype(torch.float64),
    "float16 by default": lambda: default_dtype(torch.float16),
    "bfloat16 by default": lambda: default_dtype(torch.bfloat16),
    "meta by default": lambda: default_device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": deterministic,
    "subnormals flushed": flushed,
    "short products": short_products,
    "anomaly mode": watched,
    "warnings and numpy raise": strict,
    "another seed": reseeded,
}


def values(prefix: str, found: object) -> Iterator[tuple[str, object]]:
    """Every tensor, number and string that a result holds, by name."""
    if isinstance(found, VAE):
        found = found.state_dict()
    if is_dataclass(found) and not isinstance(found, type):
        found = {field.name: getattr(found, field.name) for field in fields(found)}
    if isinstance(found, dict):
        for name, value in found.items():
            yield from values(f"{prefix}.{name}", value)
    elif isinstance(found, (list, tuple, LateIntervals)):
        for index, value in enumerate(found):
            yield from values(f"{prefix}.{index}", value)
    else:
        yield prefix, found


def quick(folder: str) -> Iterator[tuple[str, object]]:
    """What the main functions say of a small model, all of it made in the caller's state."""
    vae = core.load_model(folder)
    noise, x = core.sample_noise(vae, draws=2, seed=5), core.load_samples("mnist")[0][:2].clone()
    yield "load_model", vae
    yield "sample_noise", noise
    yield "elbo", core.elbo(vae, x, noise)
    yield "attack", core.attack(vae, x, noise, eps=0.1, steps=2, restarts=2)
    yield "certify", core.certify(vae, x, noise, eps=0.01, method="crown")
    yield "alpha", core.certify(vae, x[:1], noise[:1], eps=0.02, method="alpha-crown", iterations=2)


def thorough(folder: str) -> Iterator[tuple[str, object]]:
    """What all functions and methods say."""
    vae = core.load_model(folder)
    noise, (x, y) = core.sample_noise(vae, draws=2, seed=5), core.load_samples("mnist")
    x, y, one = x[:2].clone(), y[:2], x[:1].clone()
    for method in ATTACKS:
        steps, restarts = (29, 1) if method == "strongest" else (3, 2)  # as few as let it do all it can
        how: dict[str, Any] = {"method": method, "steps": steps, "restarts": restarts}
        yield f"attack {method}", core.attack(vae, one, noise, eps=0.1, **how)
    start = one.flip(3)
    yield "l2", core.attack(vae, one, noise, eps=0.5, norm="l2", steps=2, start=start)
    for method in METHODS:
        yield f"certify {method}", core.certify(vae, one, noise[:1], eps=0.02, method=method, iterations=2)
    how = {"norm": "l2", "side": "upper", "arithmetic": "float32", "iterations": 2}
    upper = core.certify(vae, x, noise, eps=0.5, method="alpha-crown", **how)
    yield "upper", upper
    yield "statement", upper.statement()
    how = {"eps": 0.01, "draws": 64, "alpha": 0.1}
    yield "expectation", core.certify(vae, one, noise, states="expectation", method="ibp", **how)
    yield "coverage", core.certify(vae, one, noise, states="coverage", method="crown", delta=0.1, **how)
    yield "refine", [stage.bound for stage in core.refine(vae, one, noise, eps=0.01, iterations=2)]
    yield "radius", core.certified_radius(vae, one, noise, threshold=-900, method="crown-ibp", steps=3)
    yield "curve", core.elbo_curve(vae, one, noise, [0.0, 0.1], steps=2).proved()
    yield "verdicts", find_verdicts(vae, x, noise, [0.0, 0.1], threshold=-600, steps=2)
    yield "inspection", core.inspect_layers(vae, one, noise, eps=0.05, steps=2, samples=3, iterations=2)
    yield "lessons", [lessons.promised(vae, one, noise, 0.1), lessons.parts(vae, one, noise).recon]
    yield "descent", lessons.descend(vae, one, noise, 0.1, 3, clamped=True)
    rows = core.evaluate([folder], x, y, eps=[0.1], steps=2, levels=load_levels("mnist"))
    yield "evaluate", [replace(row, seconds=0.0) for row in rows]
    proved = core.certify(vae, one, noise, eps=0.02, method="alpha-crown", iterations=2)
    claim = core.make_claim(folder, one, proved, draws=2, seed=5, iterations=2)
    yield "claim", claim
    yield "verify", core.verify_claim(claim, folder)


Answers = Callable[[str], Iterator[tuple[str, object]]]


def flat(answers: Answers, folder: str) -> dict[str, object]:
    return dict(pair for name, found in answers(folder) for pair in values(name, found))


def compare(found: dict[str, object], usual: dict[str, object]) -> None:
    assert found.keys() == usual.keys()
    assert [name for name, value in found.items() if not same(value, usual[name])] == []


@pytest.fixture(scope="module")
def usual(model: str) -> dict[Answers, dict[str, object]]:
    """The answers where nothing is switched on."""
    return {answers: flat(answers, model) for answers in (quick, thorough)}


@pytest.mark.parametrize("state", STATES)
def test_in_every_state_every_answer_is_the_same(
    state: str, model: str, usual: dict[Answers, dict[str, object]]
) -> None:
    with STATES[state]():
        found = flat(quick, model)
    compare(found, usual[quick])


@pytest.mark.slow
@pytest.mark.parametrize(
    "states",
    [
        [name for name in STATES if name not in ("no_grad", "float16 by default", "bfloat16 by default")],
        ["no_grad", "float16 by default"],
    ],
    ids=["nearly all", "float16"],
)
def test_in_many_states_at_once_every_function_says_the_same(
    states: list[str], model: str, usual: dict[Answers, dict[str, object]]
) -> None:
    with ExitStack() as stack:
        for state in states:
            stack.enter_context(STATES[state]())
        found = flat(thorough, model)
    compare(found, usual[thorough])


def same(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and one.device == other.device and torch.equal(one, other)
    return one == other or repr(one) == repr(other) == "nan"


@pytest.fixture(scope="module")
def trained(mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> VAE:
    return core.train(SHORT, tmp_path_factory.mktemp("trained"), data=mnist)


@pytest.mark.parametrize("state", STATES)
def test_in_every_state_a_training_gives_the_same_weights(
    state: str, mnist: Path, tmp_path: Path, trained: VAE
) -> None:
    with STATES[state]():
        found = core.train(SHORT, tmp_path, data=mnist)
    assert all(same(v, trained.state_dict()[k]) for k, v in found.state_dict().items())


def generators() -> list[object]:
    return [torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()]


@pytest.mark.slow
def test_nothing_is_drawn_from_the_generators_of_the_caller(
    model: str, mnist: Path, tmp_path: Path
) -> None:
    before = generators()
    flat(thorough, model)
    core.train(SHORT, tmp_path, data=mnist)
    assert generators() == before


def switches() -> list[object]:
    """All that STATES changes, but for seeds."""
    products = BACKENDS.mkldnn.matmul.fp32_precision, BACKENDS.mkldnn.conv.fp32_precision
    return [
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
        sys.float_info.min / 2 == 0,
        torch.get_float32_matmul_precision(),
        products,
        torch.is_anomaly_enabled(),
        warnings.filters[:1],
        np.geterr(),
    ]


@pytest.mark.parametrize("state", STATES)
def test_the_caller_finds_everything_as_it_was(state: str) -> None:
    vae, x = make_vae(), make_images(make_vae(), count=1)
    noise, usual = core.sample_noise(vae), switches()
    with STATES[state]():
        before = switches()
        assert (before != usual) is (state != "another seed")
        for _ in core.refine(vae, x, noise, eps=0.01, iterations=2):
            assert switches() == before
        with pytest.raises(core.errors.InputError):
            core.attack(vae, x, noise, eps=2)
        assert switches() == before
    assert switches() == usual


@pytest.mark.slow
def test_tensors_and_models_of_inference_mode_are_as_good_as_others() -> None:
    usual = make_vae()
    x, noise = make_images(usual, count=1), core.sample_noise(usual)
    with torch.inference_mode():
        vae, seen, drawn, eps = copy.deepcopy(usual), x.clone(), noise.clone(), torch.full((1,), 0.1)
    assert next(vae.parameters()).is_inference()
    for method in ATTACKS:
        how: dict[str, Any] = {"method": method, "steps": 2}
        found = core.attack(vae, seen, drawn, eps=eps, start=seen, **how)
        assert same(found.elbo, core.attack(usual, x, noise, eps=eps, start=x, **how).elbo)
        assert not found.x_adv.is_inference()
    for method in METHODS:
        how = {"method": method, "iterations": 1}
        found = core.certify(vae, seen, drawn, eps=eps, **how)
        assert same(found.lower, core.certify(usual, x, noise, eps=eps, **how).lower)


def test_a_model_that_is_loaded_in_inference_mode_can_be_used_in_and_outside_of_it(model: str) -> None:
    with torch.inference_mode():
        vae = core.load_model(model)
        x = make_images(vae, count=1)
        inside = vae.encode(x)[0]
    x = x.clone().requires_grad_()
    outside = vae.encode(x)[0]
    assert torch.equal(inside, outside)
    assert torch.autograd.grad(outside.sum(), x)[0].abs().sum() > 0


def test_of_two_threads_that_overlap_both_have_whole_products() -> None:
    seen, first_in, second_in, first_out = [], *(threading.Event() for _ in range(3))

    def first() -> None:
        with isolated():
            first_in.set()
            second_in.wait()
        first_out.set()

    def second() -> None:
        first_in.wait()
        with isolated():
            second_in.set()
            first_out.wait()
            seen.append(BACKENDS.mkldnn.matmul.fp32_precision)

    with short_products():
        threads = [threading.Thread(target=run) for run in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == ["none"]
        assert BACKENDS.mkldnn.matmul.fp32_precision == "bf16"


def test_what_is_set_for_all_backends_is_not_pinned_to_one() -> None:
    matmul = BACKENDS.mkldnn.matmul
    BACKENDS.fp32_precision = "bf16"
    try:
        with isolated():
            assert matmul.fp32_precision == "ieee"
        assert matmul.fp32_precision == "bf16"
    finally:
        BACKENDS.fp32_precision = "none"
    assert matmul.fp32_precision == "none"


FACTORIES = {
    *("tensor", "as_tensor", "asarray", "scalar_tensor", "zeros", "ones", "full", "empty", "eye"),
    *("arange", "range", "linspace", "logspace", "rand", "randn", "randint", "randperm", "normal"),
    *("tril_indices", "triu_indices", "complex", "polar", "sparse_coo_tensor", "empty_strided"),
}
LAYERS = {"Linear", "Conv2d", "ConvTranspose2d"}
GLOBAL = {"set_default_dtype", "set_default_device", "set_default_tensor_type", "manual_seed", "fork_rng"}


def unsaid(code: str) -> list[int]:
    """Lines that make a tensor whose dtype or device torch's defaults choose, or change what all share."""
    found = []
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        name, keywords = ast.unparse(call.func), {keyword.arg for keyword in call.keywords}
        module, _, last = name.rpartition(".")
        made = module == "torch" and last in FACTORIES and not {"dtype", "device"} <= keywords
        built = module == "nn" and last in LAYERS and "dtype" not in keywords
        drawn = name == "torch.Generator" and not call.args and "device" not in keywords
        shared = module in ("torch", "torch.random") and last in GLOBAL
        found += [call.lineno] if made or built or drawn or shared else []
    return found


def test_every_tensor_names_its_dtype_and_device() -> None:
    files = [path for folder in ("core", "dashboard") for path in sorted((ROOT / folder).rglob("*.py"))]
    places = [f"{path.relative_to(ROOT)}:{line}" for path in files for line in unsaid(path.read_text())]
    assert len(files) > 100
    assert places == []


@pytest.mark.parametrize(
    "code",
    [
        "torch.tensor([1.0], dtype=torch.float64)",
        "torch.zeros(2, device=x.device)",
        "y = [f(torch.randn(2, generator=g))]",
        "torch.Generator().manual_seed(0)",
        "torch.manual_seed(0)",
        "torch.set_default_dtype(torch.float64)",
        "nn.Linear(2, 3)",
    ],
)
def test_what_names_too_little_is_found(code: str) -> None:
    assert unsaid(code) == [1]


def test_what_the_caller_changes_later_changes_no_result() -> None:
    vae = make_vae().double()
    x, noise = make_images(vae, 2).double(), core.sample_noise(vae, 2).double()
    eps = torch.tensor([0.01, 0.02], dtype=torch.float64)
    asked = x.clone(), noise.clone()
    found = core.certify(vae, x, noise, eps=eps, method="crown-ibp")
    attacked = core.attack(vae, x, noise, eps=eps, steps=2)
    curve = core.elbo_curve(vae, x[:1], noise, eps, steps=2)
    said = found.statement(1)
    steps = core.refine(vae, x, noise, eps=eps, method="crown")
    next(steps)
    for held in (x, noise, eps):
        held.zero_()
    wanted = core.certify(vae, *asked, eps=torch.tensor([0.01, 0.02], dtype=torch.float64), method="crown")
    assert torch.equal(list(steps)[-1].lower, wanted.lower)
    assert found.statement(1) == said
    assert found.eps.tolist() == attacked.eps.tolist() == curve.eps.tolist() == [0.01, 0.02]
    assert (found.intervals[0].interval.upper >= wanted.intervals[0].interval.upper).all()


def in_vmap(ask: Callable[[], object]) -> None:
    torch.func.vmap(lambda v: [ask(), v][1])(torch.ones(1, dtype=torch.float32, device="cpu"))


def in_fakes(ask: Callable[[], object]) -> None:
    with FakeTensorMode():
        ask()


@pytest.mark.parametrize("within", [in_vmap, in_fakes])
@pytest.mark.parametrize("name", ["elbo", "attack", "certify"])
def test_where_tensors_have_no_values_nothing_runs(name: str, within: Callable[..., None]) -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    more: dict[str, Any] = {} if name == "elbo" else {"eps": 0.01}
    with pytest.raises(InputError, match=r"torch\.func"):
        within(lambda: getattr(core, name)(vae, x, noise, **more))


def test_hooks_on_saved_tensors_do_not_reach_inside() -> None:
    vae = make_vae()
    x, noise = make_images(vae, 1), core.sample_noise(vae)
    asked: dict[str, Any] = {"eps": 0.02, "method": "alpha-crown", "iterations": 3}
    wanted = core.certify(vae, x, noise, **asked).lower
    with torch.autograd.graph.saved_tensors_hooks(lambda v: v.half(), lambda v: v.float()):
        assert torch.equal(core.certify(vae, x, noise, **asked).lower, wanted)


def test_a_trap_for_floats_in_decimals_does_not_reach_inside() -> None:
    with decimal.localcontext() as context:
        context.traps[decimal.FloatOperation] = True
        assert shown_bound(-1.005, "lower") == "-1.01"
