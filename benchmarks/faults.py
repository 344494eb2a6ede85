"""Plant a fault in the bounds, one at a time, and see whether the tests turn red.

python -m benchmarks.faults                          # all of them, two at a time
python -m benchmarks.faults --only plane latent      # those whose names contain one of the words

Each fault is one line of core that is changed in a copy of the tree, as somebody might get it wrong:
margins for rounding that are left out, a plane's term that is lost, an intercept that is a little off, an
attack that may end above the clean image. In the copy the tests of soundness run, and what turns red is
counted: tests, and cells of the grid; no more than --most tests, since one does it. Exit code 1 if a fault
goes unseen, or where core has no such line any more.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TESTS = [
    *("tests/soundness/test_margins.py", "tests/soundness/test_layer_kinds.py"),
    *("tests/soundness/test_guard.py", "tests/soundness/test_same_network.py", "tests/bounds/test_ball.py"),
    *("tests/vae/test_likelihood.py", "tests/vae/test_learned_variance.py"),
    "tests/bounds/test_relaxations.py",
    *("tests/bounds/test_kinked.py", "tests/certificates/elbo_bounds/test_in_ball.py"),
    *("tests/bounds/test_substitution.py", "tests/soundness/test_convolutions.py"),
    *("tests/certificates/noise/test_expectation.py", "tests/network/test_softmax.py"),
    *(
        "tests/attacks/test_attacks_upper.py",
        "tests/soundness/test_fooling.py",
        "tests/soundness/test_grid.py",
    ),
]


class Fault(NamedTuple):
    """`right` stands once in core/`file`, and is replaced."""

    file: str
    right: str
    wrong: str


FAULTS = {
    "plane: the part of a fixed image": Fault(
        "certificates/elbo_bounds/relaxation.py",
        "constant + (on_t * r.t.flatten(1)).sum(2), lost",
        "constant, lost",
    ),
    "margin: float32 latent code, linear": Fault(
        "certificates/elbo_bounds/relaxation.py", "inner(a.abs(), forward + own *", "inner(a.abs(), own *"
    ),
    "margin: float32 latent code, intervals": Fault(
        "vae/latent.py", "arithmetic.gamma(3) * size + lost, size)", "lost, size)"
    ),
    "margin: score": Fault(
        "vae/likelihood.py", "arithmetic.gamma(terms) * likelihood.magnitude", "0 * likelihood.magnitude"
    ),
    "margin: divergence": Fault(
        "vae/latent.py", "arithmetic.gamma(mu.lower.shape[-1] + ELEMENTARY) * twice / 2", "0 * twice"
    ),
    "margin: affine layers, linear": Fault(
        "bounds/linear.py", "margin = (g + own) * size + UNDERFLOW", "margin = 0 * size"
    ),
    "margin: affine layers, intervals": Fault(
        "bounds/interval.py", "g = arithmetic.gamma(known.terms + 2)", "g = 0.0"
    ),
    "margin: exponential": Fault(
        "bounds/interval.py", "    g = arithmetic.gamma(ELEMENTARY)\n", "    g = 0.0\n"
    ),
    "margin: inner product with the ball": Fault(
        "bounds/ball.py",
        "radius + FLOAT64.gamma(2 * x.shape[1] + ELEMENTARY) * (middle.abs() + radius)",
        "radius",
    ),
    "margin: substitution": Fault(
        "bounds/substitution.py",
        "lost = (lost + gamma * (size + constant.abs())) * ROOM",
        "lost = 0 * lost",
    ),
    "margin: forms that are carried forward": Fault(
        "bounds/forward_forms.py", "off if moved is None else off + moved", "0 * off"
    ),
    "l_2: how far the scored image moves": Fault(
        "certificates/elbo_bounds/robust_elbo.py", " + bend * ball.eps**2", " + 0 * bend"
    ),
    "l_2: how far the slopes of log p reach": Fault(
        "certificates/elbo_bounds/in_ball.py", "expand_as(on_x), tau", "expand_as(on_x) * 0, tau"
    ),
    "l_2: what log p bends": Fault(
        "certificates/elbo_bounds/in_ball.py", "return f, constant - bent, lost", "return f, constant, lost"
    ),
    "l_2: where the kinks are": Fault(
        "certificates/elbo_bounds/in_ball.py", "bend * away * (x.repeat", "-bend * away * (x.repeat"
    ),
    "l_2: one way of a kink alone": Fault(
        "bounds/kinked.py", "chosen = first <= second", "chosen = first > -1e300"
    ),
    "margin: dual of kinks": Fault("bounds/kinked.py", "slack - self._roundoff(ball, step, move)", "slack"),
    "margin: kinks over the box": Fault(
        "bounds/kinked.py",
        "FLOAT64.gamma(2 * size.shape[-1] + ELEMENTARY) * size.sum(-1)",
        "0 * size.sum(-1)",
    ),
    "substitution: the intercept of the line above": Fault(
        "bounds/substitution.py",
        "on_constant = intercept + rise * forms.constant",
        "on_constant = rise * forms.constant",
    ),
    "margin: dual of the l_2 ball": Fault(
        "bounds/ball.py", "slack - self._dual_roundoff(slope, step, move)", "slack"
    ),
    "margin: sums of a plane": Fault(
        "certificates/elbo_bounds/relaxation.py",
        "lost_sums = FLOAT64.gamma(4 * on_x.shape[2] + draws + ELEMENTARY) * size",
        "lost_sums = 0 * size",
    ),
    "margin: overflow": Fault(
        "bounds/rounding.py", "torch.where(size <= self.largest, margin, torch.inf)", "margin"
    ),
    "margin: cover of the float32 ball": Fault(
        "bounds/ball.py", "eps * (1 + ulp) + moves, eps)", "eps, eps)"
    ),
    "bound: what overflows is the largest float": Fault(
        "bounds/rounding.py",
        "bound.nan_to_num(nan=-torch.inf, posinf=-torch.inf, neginf=-torch.inf)",
        "bound.nan_to_num(-torch.inf)",
    ),
    "chord above ReLU: intercept": Fault(
        "bounds/relaxations.py",
        "slope, torch.where(crossing, ends, 0)",
        "slope, torch.where(crossing, 0.98 * ends, 0)",
    ),
    "chord above ReLU: weight": Fault(
        "bounds/relaxations.py",
        "return slope, torch.where(crossing, ends, 0)",
        "return 0.98 * slope, torch.where(crossing, ends, 0)",
    ),
    "tangent below exp: touching point": Fault(
        "bounds/relaxations.py",
        "value / 2, value * (1 - point / 2)",
        "value / 2, value * (1.02 - point / 2)",
    ),
    "Gaussian from above: constant": Fault(
        "vae/likelihood.py",
        "self._constant - self._scale * at**2",
        "self._constant - 0.98 * self._scale * at**2",
    ),
    "Gaussian from below: farthest corner": Fault(
        "vae/likelihood.py",
        "farthest = torch.maximum(t.upper - a.lower, a.upper - t.lower)",
        "farthest = torch.maximum(t.upper - a.lower, a.lower - t.lower)",
    ),
    "continuous Bernoulli: how much its log normaliser bends": Fault(
        "vae/continuous_bernoulli.py",
        "torch.full_like(at, _VARIANCE / 2)",
        "torch.full_like(at, _VARIANCE / 4)",
    ),
    "continuous Bernoulli from above: highest on the other face": Fault(
        "vae/continuous_bernoulli.py", "-_highest(t.upper + s, a))", "-_highest(t.lower + s, a))"
    ),
    "learned variance from below: a corner": Fault(
        "vae/learned_variance.py", "for mean in (g.lower, g.upper)", "for mean in (g.lower,)"
    ),
    "learned variance from above: slope of the log variance": Fault(
        "vae/learned_variance.py", "[-on_t, 0.5 - rest]", "[-on_t, 0.5 - 0.98 * rest]"
    ),
    "Bernoulli from above: best logit": Fault(
        "vae/likelihood.py",
        "nearest = torch.minimum(torch.maximum(mean, a.lower), a.upper)",
        "nearest = a.center",
    ),
    "divergence from below: nearest point": Fault(
        "vae/latent.py",
        "return kl_terms(*nearest).sum(-1).clamp(min=0) - kl",
        "return 1.02 * kl_terms(*nearest).sum(-1).clamp(min=0) - kl",
    ),
    "divergence from below: clamped after its margin": Fault(
        "vae/latent.py",
        "return kl_terms(*nearest).sum(-1).clamp(min=0) - kl_roundoff(mu, logvar, arithmetic)",
        "return (kl_terms(*nearest).sum(-1) - kl_roundoff(mu, logvar, arithmetic)).clamp(min=0)",
    ),
    "margin: products that are flushed to 0": Fault("bounds/linear.py", "FLUSHED / g", "0 / g"),
    "margin: softmax, intervals": Fault(
        "bounds/softmax.py", "return arithmetic.gamma(2 * ELEMENTARY + count) * total", "return 0 * total"
    ),
    "margin: softmax's differences, linear": Fault(
        "bounds/softmax.py", "(size + apart.magnitude)) + _difference(", "(size + apart.magnitude)) + 0 * ("
    ),
    "attack: ends above the clean image": Fault(
        "attacks/base.py", "better = found < clean", "better = found < clean + 1e-3"
    ),
    "kinds: a subclass gets its parent's rule": Fault(
        "bounds/rule_table.py",
        "return self._rules.get(type(layer), self._otherwise)",
        "return next((r for k, r in self._rules.items() if isinstance(layer, k)), self._otherwise)",
    ),
    "attack: leaves the l_2 ball by the rounding of a norm": Fault(
        "bounds/ball.py", "(point.double() - exact).flatten(1)", "(point - center).flatten(1)"
    ),
    "hooks are not looked for": Fault("vae/consistency.py", "        if any(tables):", "        if False:"),
    "the guard sleeps": Fault(
        "certificates/guard.py", "beaten = value > scores", "beaten = value > scores + 1e9"
    ),
}


def copy_tree(to: Path) -> None:
    """All that git tracks; assets are linked."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        if name and not name.startswith("assets/"):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name, follow_symlinks=False)
    (to / "assets").symlink_to(ROOT / "assets")


def plant(fault: Fault, tree: Path) -> None:
    path = tree / "core" / fault.file
    text = path.read_text(encoding="utf-8")
    if text.count(fault.right) != 1:
        raise SystemExit(f"core/{fault.file} has {text.count(fault.right)} times: {fault.right}")
    path.write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")


def run_tests(tree: Path, limit: list[str]) -> str:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *limit, *TESTS]
    done = subprocess.run(
        words,
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return done.stdout + done.stderr


def report(name: str, output: str) -> bool:
    """Print what turned red; whether anything did."""
    failed = re.findall(r"^(?:FAILED|ERROR) \S*?(\w+)\.py::(\w+)", output, re.MULTILINE)
    tests = Counter(f"{file}::{test}" for file, test in failed)
    beaten = set(re.findall(r"Cell\(([^)]*)\)", output))
    print(f"\n{name}: {'red' if tests else 'NOT SEEN'}, {sum(tests.values())} tests, {len(beaten)} cells")
    for test, count in tests.most_common():
        print(f"    {count:>4}  {test}")
    axes = Counter(word for cell in beaten for word in re.findall(r"\w+='([^']*)'", cell))
    if axes:
        print("    cells by name: " + ", ".join(f"{word} {count}" for word, count in axes.most_common()))
    sys.stdout.flush()
    return bool(tests)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--most", type=int, default=6, help="red tests of one fault that are enough")
    options = parser.parse_args()
    chosen = {name: fault for name, fault in FAULTS.items() if any(word in name for word in options.only)}

    def one(name: str, fault: Fault | None) -> str:
        with tempfile.TemporaryDirectory() as folder:
            copy_tree(Path(folder))
            if fault is not None:
                plant(fault, Path(folder))
            return run_tests(Path(folder), [f"--maxfail={options.most}"])

    unseen = []
    with ThreadPoolExecutor(options.jobs) as pool:
        sound = pool.submit(one, "", None)
        jobs = {name: pool.submit(one, name, fault) for name, fault in chosen.items()}
        if report("no fault", sound.result()):
            print("The tests are red without a fault already.")
            return 1
        for name, job in jobs.items():
            if not report(name, job.result()):
                unseen.append(name)
    print(f"\n{len(chosen)} faults, {len(unseen)} not seen: {', '.join(unseen) or 'none'}")
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main())
