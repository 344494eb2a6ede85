"""A second opinion on a certificate, by a program that shares nothing with the one that made it.

    python checker.py certificate.json [MODEL_FOLDER]
    exit code 0: the claim holds, 1: it does not, 2: unreadable, 3: not covered

Needs: the certificate (format 3), the model's folder, numpy, safetensors. Covers: claims on given noise,
evaluated in float64, by ibp, crown-ibp, crown and alpha-crown, on the fully connected and the convolutional
VAE. Any other claim it can only refute, where the image itself beats it.

How: every layer becomes a matrix. Intervals go forward; linear functions (rows) go backward, with a line or
a plane on the safe side of each ReLU, exp and log-likelihood; the last one is minimised over the ball. Any
slope gives a valid bound: those in the certificate, the witness, are advice and need no trust. All bounds
are lower ones, on weight * ELBO, where weight is +1 for "at least" and -1 for "at most".

Rounding: a sum of n products, in any order, fused or not, is off by less than gamma(n) times the sum of
their absolute values (Higham 2002, section 3.1). What the network's own float64 pass and the passes here
can lose is bounded layer by layer, and given up. Extremes of curves are searched and proved by a tangent:
no search has to be right. A claim holds if the image itself does not beat it, and the bound found here is
as good up to 1e-6 of it, for other sums round in other ways; what is printed as found here is rounded to
the safe side.

Trusts: IEEE doubles; exp, log, log1p, sqrt, sin, cos right to 4 units in the last place; matrix products as
sums of products; Python, numpy, safetensors; that you care about the weights whose SHA-256 is given, and
that nobody chose the seed. The ball is two float32 roundings wider than claimed, for images computed in
float32. The noise is the witness's: it is compared with that of the seed up to a few float32 roundings,
what logarithm and cosine leave open there, and what is said here is said of the noise in the file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

FAILS, UNREADABLE, NOT_COVERED = 1, 2, 3
try:
    import numpy as np
    import safetensors.numpy
    from numpy import ndarray as Array
except ImportError as error:
    sys.stderr.write(f"Not checked: numpy and safetensors are needed ({error!a}).\n")
    sys.exit(UNREADABLE)

MOST_BYTES, MOST_WITNESS, MOST_WEIGHTS, MOST_MATRIX = 1_000_000, 16_000_000, 201_000_000, 40_000_000
TEXTS = {"model", "weights", "image", "statement", "versions", "witness"}
COVERED = ("ibp", "crown-ibp", "crown", "alpha-crown")
CHOICES = {"target": ("likelihood", "reconstruction"), "norm": ("linf", "l2"), "side": ("lower", "upper")}
CHOICES |= {"states": ("draws", "expectation", "coverage"), "arithmetic": ("float64", "float32")}
CHOICES |= {"method": (*COVERED, "quadratic", "bab")}
NUMBERS, WHOLE = {"eps", "alpha", "delta", "bound", "margin"}, {"iterations", "draws", "seed", "sample"}
MOST_UNITS, MOST_STEPS = 50_000_000, 10_000
MODEL, VERSIONS = r"[\w.+-]{1,200}", r"python \d[\w.+]{0,79}, torch \d[\w.+]{0,79}"
TOLERANCE, NARROW = 1e-6, 1e-6  # of a claim; width below which a difference quotient is mostly rounding
U, TINY = 2.0**-53, 1e-300  # unit roundoff; far above what underflow can lose


def need(condition: object, code: int, why: str) -> None:
    if not condition:
        raise Stop(code, why)


class Stop(Exception):
    """An exit code, and why."""


def read_claim(path: Path) -> dict:
    """The fields of a certificate, numbers as what they stand for, compared with its checksum."""
    with path.open("rb") as file:
        need(len(content := file.read(MOST_BYTES + 1)) <= MOST_BYTES, UNREADABLE, "it is over 1 MB")
    pairs = json.loads(content, object_pairs_hook=tuple)
    need(type(pairs) is tuple, UNREADABLE, "it is no object")
    claim = dict(pairs)
    known = type(claim["format"]) is int and claim["format"]
    need(known in (2, 3), UNREADABLE, "its format is another one")
    texts = TEXTS if claim["format"] == 3 else TEXTS - {"witness"}
    fields = {"format", "checksum"} | texts | NUMBERS | WHOLE | set(CHOICES)
    need(set(claim) == fields and len(pairs) == len(fields), UNREADABLE, "it is no certificate")
    numbers = all(type(claim[name]) in (int, float) for name in NUMBERS | WHOLE)
    numbers = numbers and all(claim[name] == int(claim[name]) >= 0 for name in WHOLE)
    need(numbers and all(isinstance(claim[name], str) for name in texts), UNREADABLE, "a field is none")
    claim |= {name: float(claim[name]) for name in NUMBERS} | {name: int(claim[name]) for name in WHOLE}
    checksum = claim.pop("checksum")
    said = json.dumps(claim, sort_keys=True, separators=(",", ":")).encode()
    same = hashlib.sha256(said).hexdigest() == checksum
    need(same, UNREADABLE, "it was changed after it was written: its checksum is another one")
    usable = all(math.isfinite(claim[name]) for name in NUMBERS) and claim["eps"] >= 0
    usable = usable and all(claim[name] in choices for name, choices in CHOICES.items())
    usable = usable and re.fullmatch(VERSIONS, claim["versions"], re.ASCII)
    least = int((claim["method"], claim["states"]) == ("alpha-crown", "draws"))  # steps of its search
    usable = usable and least <= claim["iterations"] <= MOST_STEPS
    usable = usable and claim["draws"] <= 10_000 and claim["seed"] < 2**63 and claim["margin"] >= 0
    need(usable, UNREADABLE, "it asks what cannot be asked")
    shown = [claim[n] == float(format(claim[n], form)) for n, form in (("bound", ".2f"), ("margin", ".2g"))]
    need(all(shown), FAILS, "its numbers are not those that its sentence can show")
    return claim


def read_model(folder: Path, digest: str) -> SimpleNamespace:
    """The model of a folder, if it is the one that was certified: layers as matrices and biases, with ReLUs
    between them; scale and base: a Gaussian log p is -scale (t - g)^2 - base."""
    with (folder / "config.json").open("rb") as file:
        record = json.loads(file.read(MOST_BYTES).decode())
    need(record["format"] == 1, UNREADABLE, "the model's configuration has another format")
    config = record["model"]
    need("kind" not in config, NOT_COVERED, "the model is a graph of operations, none of ours")
    with (folder / "weights.safetensors").open("rb") as file:
        raw = file.read(MOST_WEIGHTS + 1)
    need(len(raw) <= MOST_WEIGHTS, NOT_COVERED, "the model is too large")
    found = hashlib.sha256(json.dumps(config, sort_keys=True).encode() + raw).hexdigest()
    need(found == digest, FAILS, f"{folder.name!a} has other weights than were certified")
    sizes, widths = [config[name] for name in ("channels", "size", "latent")], config["widths"]
    known = config["arch"] in ("mlp", "conv") and config["likelihood"] in ("bernoulli", "gaussian")
    known = known and len(config) == 7 and config["sigma"] is not True
    known = known and all(type(n) is int and 1 <= n <= 8192 for n in sizes + widths)
    known = known and sizes[0] in (1, 3) and sizes[1] in (28, 32) and sizes[2] <= 1024
    known = known and 1e-3 <= config["sigma"] <= 10 and 1 <= len(widths) <= 8
    need(known, NOT_COVERED, "the model is of neither kind that is known here")
    weights = safetensors.numpy.load(raw)
    fits = {name: w.shape for name, w in weights.items()} == shapes(config)
    fits = fits and all(w.dtype == np.float32 and np.isfinite(w).all() for w in weights.values())
    need(fits, UNREADABLE, "the model's layers are not those of its configuration")
    weights = {name: value.astype(np.float64) for name, value in weights.items()}
    size, variance = config["size"], 2 * config["sigma"] ** 2
    encoder, decoder = network(weights, "encoder", size), network(weights, "decoder", size // 4)
    kind = {"bernoulli": config["likelihood"] == "bernoulli", "scale": 1 / variance}
    kind["convolves"] = config["arch"] == "conv"
    return SimpleNamespace(encoder=encoder, decoder=decoder, base=math.log(math.pi * variance) / 2, **kind)


def shapes(config: dict) -> dict[str, tuple[int, ...]]:
    """Of all weights and biases, by name. Between the layers stand ReLUs; elsewhere images are flattened or
    built up again, which changes no number."""
    channels, k, widths = config["channels"], config["latent"], config["widths"]
    pixels = config["size"] ** 2
    if config["arch"] == "mlp":
        there, back = [channels * pixels, *widths, 2 * k], [k, *widths[::-1], channels * pixels]
        found = {f"encoder.{2 * i + 1}": there[i : i + 2][::-1] for i in range(len(widths) + 1)}
        found |= {f"decoder.{2 * i}": back[i : i + 2][::-1] for i in range(len(widths) + 1)}
    else:
        one, two, hidden = widths
        flat = two * pixels // 16
        convolved, transposed = [one, channels, 4, 4], [two, one, 4, 4]
        found = {"encoder.0": convolved, "encoder.2": transposed, "encoder.5": [hidden, flat]}
        found |= {"encoder.7": [2 * k, hidden], "decoder.0": [hidden, k], "decoder.2": [flat, hidden]}
        found |= {"decoder.5": transposed, "decoder.7": convolved}
    out = {name: w[len(w) == 4 and name[0] == "d"] for name, w in found.items()}
    weights = {f"{name}.weight": tuple(w) for name, w in found.items()}
    return weights | {f"{name}.bias": (n,) for name, n in out.items()}


def network(weights: dict, part: str, side: int) -> list[tuple[Array, Array]]:
    """The matrices in the order of the layers. Convolutions halve the image, transposed ones double it."""
    layers = []
    for at in sorted(int(name.split(".")[1]) for name in weights if name.startswith(part) and ".w" in name):
        w, b = weights[f"{part}.{at}.weight"], weights[f"{part}.{at}.bias"]
        if w.ndim == 4:
            w = convolution(w, side) if part == "encoder" else convolution(w, 2 * side).T
            side = side // 2 if part == "encoder" else 2 * side
            b = np.repeat(b, side**2)
        layers.append((np.ascontiguousarray(w), b))
    return layers


def convolution(w: Array, size: int) -> Array:
    """The matrix of a convolution (out, in, 4, 4) of images (in, size, size); stride 2, padding 1."""
    (outputs, inputs), half = w.shape[:2], size // 2
    small = outputs * inputs * (half * size) ** 2 <= MOST_MATRIX
    need(small, NOT_COVERED, "the model has a convolution that is too large")
    matrix = np.zeros((outputs, half, half, inputs, size, size))
    for row in range(4):
        for column in range(4):
            i, j = np.ix_(*([o for o in range(half) if 0 <= 2 * o + at - 1 < size] for at in (row, column)))
            matrix[:, i, j, :, 2 * i + row - 1, 2 * j + column - 1] = w[:, :, row, column]
    return matrix.reshape(outputs * half**2, inputs * size**2)


def seeded_noise(seed: int, draws: int, k: int) -> Array:
    """(draws, k) as torch.randn makes it row by row, up to rounding: Mersenne Twister and Box-Muller, pair
    by pair: in doubles for short rows, else in floats, 8 with the next 8."""
    need(k < 16 or k % 16 == 0, NOT_COVERED, f"noise of {k} dimensions is made in another way")
    count = draws * k if k >= 16 else 4 * ((draws * k + 1) // 2)
    words = np.random.RandomState(seed % 2**32).randint(0, 2**32, count, dtype=np.uint32).astype(np.uint64)
    if k >= 16:
        u, v = np.moveaxis((words % 2**24 / 2**24).reshape(-1, 2, 8), 1, 0)
        turn = (np.float32(2 * np.pi) * v.astype(np.float32)).astype(np.float64)
    else:
        doubles = ((words[::2] << np.uint64(32)) | words[1::2]) % 2**53 / 2**53
        v, u = doubles[::2, None], doubles[1::2, None]
        turn = 2 * np.pi * v
    radius = np.sqrt(-2 * np.log1p(-u))
    found = np.stack([radius * np.cos(turn), radius * np.sin(turn)], 1).ravel()
    return found[: draws * k].reshape(draws, k)


def read_witness(claim: dict, model: SimpleNamespace, k: int) -> dict[str, Array]:
    """Noise and slopes, in the shapes that this model has."""
    inflate, draws = zlib.decompressobj(), claim["draws"]
    raw = inflate.decompress(base64.b64decode(claim["witness"], validate=True), MOST_WITNESS)
    need(inflate.eof and not inflate.unused_data, UNREADABLE, "its witness is truncated or too large")
    found = safetensors.numpy.load(raw)
    shapes = {"noise": (draws, k), "mu": (k,), "logvar": (k,), "mix": (draws, len(model.decoder[-1][1]))}
    shapes |= {f"encoder.{i}": b.shape for i, (_, b) in enumerate(model.encoder[:-1])}
    shapes |= {f"decoder.{i}": (draws, *b.shape) for i, (_, b) in enumerate(model.decoder[:-1])}
    fits = {name: v.shape for name, v in found.items()} in (shapes, {"noise": (draws, k)})
    fits = fits and all(v.dtype == np.float32 and np.isfinite(v).all() for v in found.values())
    free = {"noise", "mu", "logvar"}
    fits = fits and all(((found[name] >= 0) & (found[name] <= 1)).all() for name in set(found) - free)
    need(fits, UNREADABLE, "its witness is that of another model or question, or out of range")
    return {name: v.astype(np.float64) for name, v in found.items()}


def gamma(n: int) -> float:
    """Twice the relative error of a sum of n products: the margin's own rounding has room in it."""
    return 2 * n * U


def largest(x: Array) -> Array:
    """Absolute value in each interval; intervals are arrays (lower ends, upper ends)."""
    return np.abs(x).max(0)


def affine(layer: tuple[Array, Array], x: Array) -> Array:
    """w center + b -+ |w| radius, and what the network's own pass and this one can be off by."""
    (w, b), center = layer, (x[0] + x[1]) / 2
    g, radius = 4 * gamma(w.shape[1] + 8), np.maximum(x[1] - center, center - x[0])
    reach = (radius + g * largest(x)) @ np.abs(w).T + (g * np.abs(b) + TINY)
    found = center @ w.T + b + np.stack([-reach, reach])
    need(np.isfinite(found).all(), FAILS, "values of the network may overflow")
    return found


def cut(x: Array, y: Array | None) -> Array:
    return x if y is None else np.stack([np.maximum(x[0], y[0]), np.minimum(x[1], y[1])])


def sigma(logvar: Array) -> Array:
    """Bounds on exp(logvar / 2)."""
    return np.exp(logvar / 2) * (1 + np.array([[-16 * U], [16 * U]])) + np.array([[0], [TINY]])


def softplus(a: Array) -> Array:
    return np.logaddexp(0, a)


def sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def quotient(rise: Array, width: Array, otherwise: Array | float) -> Array:
    return np.where(width > NARROW, rise / np.maximum(width, NARROW), otherwise)


def highest(c: Array, a: Array) -> Array:
    """Above c v - softplus(v) for v in a: the higher end of the tangent near the maximum."""
    v = np.clip(np.log(np.clip(c, 0, 1)) - np.log1p(-np.clip(c, 0, 1)), *a)
    slope = c - sigmoid(v)
    return c * v - softplus(v) + np.maximum(slope * (a[0] - v), slope * (a[1] - v))


def lowest_curved(c: Array, d: Array, weight: int, s: Array) -> Array:
    """Below h = c s - weight s^2 / 2 + d log(s) in intervals s: where h is concave its ends are lowest,
    where it is convex all tangents are below; those on both sides of the minimum are found by halving."""
    turn = np.sqrt(np.maximum(-weight * d, 0))
    first, last = (s[0], np.minimum(s[1], turn)) if weight > 0 else (np.maximum(s[0], turn), s[1])
    convex = first <= last
    first, last = low, high = np.where(convex, first, s[0]), np.where(convex, last, s[0])
    for _ in range(60):
        middle = (low + high) / 2
        rising = c - weight * middle + d / middle > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    points = np.stack([low, high, low * 0 + s[0], low * 0 + s[1]])
    h, rise = c * points - weight * points**2 / 2 + d * np.log(points), c - weight * points + d / points
    off = 8 * U * (np.abs(c) + points + np.abs(d) / points)  # rounding of the slope
    tangents = h + np.minimum((rise + off) * (first - points), (rise - off) * (last - points))
    return np.minimum(np.where(convex, tangents[:2].max(0), np.inf), h[2:].min(0))


class Passage:
    """The way of rows back through a network: lines for its ReLUs, units that are always 0 left out, and
    what rounding can take. size: of the inputs, at most; hidden: bounds on all layers but the last."""

    def __init__(self, layers: list, size: Array, hidden: list[Array], shares: list[Array] | None = None):
        self.steps, live = [], np.arange(len(size))
        for i, (w, b) in enumerate(layers):
            w, line = w[:, live], None
            if i < len(layers) - 1:
                live = np.flatnonzero(hidden[i][1] > 0)
                w, b, (low, high) = w[live], b[live], hidden[i][:, live]
                crosses, loss = low < 0, 4 * gamma(len(live) + 8) * np.maximum(high, -low)
                share = np.where(crosses, high > -low if shares is None else shares[i][live], 1.0)
                above = np.where(crosses, high / (high - np.minimum(low, 0)), 1.0)
                top = np.where(crosses, np.maximum(high - above * high, -above * low) + 16 * U * high, 0)
                line = share, above, top, loss
            margin = 4 * gamma(sum(w.shape) + 8) * (np.abs(w) @ size + np.abs(b)) + TINY
            self.steps.append((w, b, margin, line))
            size = hidden[i][1][live] if line else size

    def units(self, units: Array) -> tuple[Array, Array, Array]:
        """`pull` of rows that pick each of some outputs, and then minus each."""
        w, b, margin, _ = self.steps[-1]
        start = np.concatenate([w[units], -w[units]]), np.concatenate([b[units], -b[units]])
        return self.pull(*start, np.tile(margin[units], 2), len(self.steps) - 1)

    def pull(self, rows: Array, constant: Array, lost: Array, count: int | None = None):
        """Rows (R, n) on the output, constants and losses (R,) -> the same for the input."""
        for w, b, margin, line in reversed(self.steps[:count]):
            if line is not None:
                share, above, top, loss = line
                constant, lost = constant + np.minimum(rows, 0) @ top, lost + np.abs(rows) @ loss
                rows = rows * np.where(rows > 0, share, above)
            constant, lost = constant + rows @ b, lost + np.abs(rows) @ margin
            rows, lost = rows @ w, lost + 4 * U * np.abs(constant)
        return rows, constant, lost


class Question:
    """Lower bounds on weight * ELBO(x') in the ball of x, a mean over noise (S, k). moves: x' is scored."""

    def __init__(self, model, x: Array, eps: float, norm: str, noise: Array, weight: int, moves: bool):
        self.model, self.x, self.eps, self.norm = model, x, eps, norm
        self.noise, self.weight, self.moves = noise, weight, moves
        self.box = np.stack([np.maximum(x - eps, 0), np.minimum(x + eps, 1)])
        self.t = self.box if moves else np.stack([x, x])

    def ladder(self, method: str, witness: dict[str, Array]):
        """Bounds, from the fastest method to the one that is asked for."""
        bounds, mixes = self.bounds(), np.array([0.5, 1.0, 0.0])[:, None, None]
        yield self.separate(bounds)
        if method != "ibp":
            yield from self.together(bounds, mixes, {})
        if method in ("crown", "alpha-crown"):
            yield from self.together(bounds := self.bounds(bounds), mixes, {})
        if method == "alpha-crown" and "mix" in witness:
            yield from self.together(bounds, witness["mix"][None], witness)

    def together(self, bounds: tuple, mixes: Array, given: dict[str, Array]):
        """All terms as one function: linear, and where x' is scored in an l_2 ball with kinks, too."""
        yield self.joint(bounds, mixes, given).max()
        if self.moves and self.norm == "l2":
            (low, high), found = self.box, given and self.weight > 0
            at = low + mixes[0].mean(0) * (high - low) if found else self.x
            yield self.joint(bounds, mixes, given, at).max()

    def bounds(self, before: tuple | None = None) -> tuple[list[Array], Array, list[Array]]:
        """Of all layers' outputs: encoder (2, n), last mu and logvar; z and decoder (2, S, n). Given such
        bounds, units that may cross 0, and the last ones, get rows of their own over the layers before."""
        known = before or ([None] * len(self.model.encoder), None, [None] * len(self.model.decoder))
        encoder, decoder, model = [], [], self.model
        for i, layer in enumerate(model.encoder):
            x = affine(layer, np.maximum(encoder[-1], 0) if i else self.box)
            encoder.append(x := cut(x, known[0][i]))
            if before and (i or self.norm == "l2"):  # a box through one matrix is exact
                passage = Passage(model.encoder[: i + 1], self.box[1], encoder)
                for units in chunks(x, i == len(model.encoder) - 1):
                    narrow(x, units, self.lowest(*passage.units(units)))
        (mu, logvar), back = np.split(encoder[-1], 2, 1), Passage(model.encoder, self.box[1], encoder)
        ends = sigma(logvar)[:, None] * self.noise
        off = 16 * U * (largest(mu) + largest(ends)) + TINY
        z = cut(np.stack([mu[0] + ends.min(0) - off, mu[1] + ends.max(0) + off]), known[1])
        for i, layer in enumerate(model.decoder):
            x = affine(layer, np.maximum(decoder[-1], 0) if i else z)
            decoder.append(x := cut(x, known[2][i]))
            parts = chunks(x, i == len(model.decoder) - 1)  # before any draw is narrowed
            for s in range(len(self.noise)) if before else ():
                passage = Passage(model.decoder[: i + 1], largest(z)[s], [v[:, s] for v in decoder])
                for units in parts:
                    rows, constant, lost = passage.units(units)
                    if self.model.convolves if i < len(model.decoder) - 1 else self.weight > 0:
                        narrow(x[:, s], units, in_box(rows, constant, z[:, s]) - lost)
                    rows = back.pull(*self.to_posterior(rows, constant, lost, encoder[-1], s))
                    narrow(x[:, s], units, self.lowest(*rows))
        return encoder, z, decoder

    def lowest(self, rows: Array, constant: Array, lost: Array) -> Array:
        """Below the minimum of each row over the ball, (R,)."""
        (low, high), x, n, size = self.box, self.x, gamma(2 * len(self.x) + 16), np.abs(rows)
        value = np.maximum(rows, 0) @ low + np.minimum(rows, 0) @ high - n * (size @ high)
        if self.norm == "l2" and self.eps > 0:
            # For any m > 0 it is at least min <c, y> + (|y - x|^2 - eps^2) / 2m over all images y. The best
            # has |y - x| = eps; Newton's steps come from below, and end where the search for claims does.
            steps = ~(((x <= 0) & (rows > 0)) | ((x >= 1) & (rows < 0)))
            m = self.eps / np.maximum(np.linalg.norm(rows * steps, axis=1, keepdims=True), 1e-30)
            most = 1024 * m
            for _ in range(12):
                y = x - m * rows
                inside = steps & (y >= 0) & (y <= 1)
                left = self.eps**2 - np.where(inside, 0, (np.clip(y, 0, 1) - x) ** 2).sum(1, keepdims=True)
                free, last = np.linalg.norm(rows * inside, axis=1, keepdims=True), m
                m = np.clip(np.sqrt(np.maximum(left, 0)) / np.maximum(free, 1e-30), m, most)
                if (m <= last * (1 + 1e-6)).all():
                    break
            y = np.clip(x - m * rows, 0, 1)
            move = (y - x) / m
            tangent = np.minimum((rows + move) * -y, (rows + move) * (1 - y))  # at y, down to its lower end
            curve, bend = (move * (y - x)).sum(1) / 2, self.eps**2 / (2 * m[:, 0])
            off = n * (4 * (size + np.abs(move)).sum(1) + curve + bend)
            value = np.fmax(value, (rows * y + tangent).sum(1) + curve - bend - off)
        return value + constant - lost - 4 * U * (np.abs(value) + np.abs(constant))

    def lowest_bent(self, rows: Array, reach: Array, at: Array) -> Array:
        """Below the minimum of <row, y> - <reach, |y - at|> over the ball, (R,), as `lowest`: the smaller
        one of two lines in each pixel, each proved by its tangent; over the box at one of its ends."""
        n, size = 2 * gamma(2 * len(self.x) + 32), (np.abs(rows) + reach).sum(1)
        value = np.minimum(*(rows * end - reach * np.abs(end - at) for end in self.box)).sum(1) - n * size
        if self.eps == 0:
            return value - 4 * U * np.abs(value)

        def pixels(m: Array) -> tuple[Array, Array, Array]:
            found = []
            for slope, base in ((rows + reach, -reach * at), (rows - reach, reach * at)):
                y = np.clip(self.x - m * slope, 0, 1)
                pull = (y - self.x) / m
                rest = np.minimum((slope + pull) * -y, (slope + pull) * (1 - y))
                found.append((slope * y + rest + pull * (y - self.x) / 2 + base, np.abs(y - self.x), pull))
            (one, near, up), (other, far, down) = found
            return np.minimum(one, other), np.where(one <= other, near, far), np.abs(up) + np.abs(down)

        m = self.eps / np.maximum(np.linalg.norm(np.abs(rows) + reach, axis=1, keepdims=True), 1e-30)
        most = 1024 * m
        for _ in range(30):
            middle = np.sqrt(m * most)
            inside = np.linalg.norm(pixels(middle)[1], axis=1, keepdims=True) <= self.eps
            m, most = np.where(inside, middle, m), np.where(inside, most, middle)
        found, bend = pixels(m), self.eps**2 / (2 * m[:, 0])
        off = n * (8 * size + 4 * found[2].sum(1) + bend)
        value = np.fmax(value, found[0].sum(1) - bend - off)
        return value - 4 * U * np.abs(value)

    def log_p(self, t: Array, a: Array) -> Array:
        model = self.model
        return t * a - softplus(a) if model.bernoulli else -model.scale * (t - a) ** 2 - model.base

    def peak(self, a: Array) -> Array:
        """No part of log p is larger in absolute value, for natural parameters in a."""
        if self.model.bernoulli:
            return self.t[1] * largest(a) + softplus(a[1])
        return self.model.scale * (1 + largest(a)) ** 2 + abs(self.model.base)

    def scoring(self, a: Array) -> float:
        """What rounding can do to the mean of log p over the draws."""
        draws = len(self.noise)
        return 2 * gamma(len(self.x) + draws + 32) * self.peak(a).sum() / draws

    def faces(self, a: Array, on_a: Array | float, ends: Array) -> list[Array]:
        """Below weight log p(t | v) - on_a v for v in a, at both ends of t. log p is concave, so that
        its ends are lowest; above a Gaussian this is not used."""
        if self.weight < 0:
            return [-highest(t + on_a, a) for t in ends]
        return [np.minimum(*(self.log_p(t, v) - on_a * v for v in a)) for t in ends]

    def separate(self, bounds: tuple) -> float:
        """The worst case of each term alone."""
        a, t, zero = bounds[2][-1], self.t, np.zeros((1, self.noise.shape[1]))
        if self.model.bernoulli or self.weight > 0:
            score = np.minimum(*self.faces(a, 0.0, t))
        else:
            score = -self.log_p(np.maximum(np.maximum(t[0] - a[1], a[0] - t[1]), 0), np.zeros(1))
        rest = np.subtract(*self.curved(bounds, *[zero] * 4))[0]
        rest = rest if self.weight > 0 else max(rest, -1e-12)  # no KL is below 0, but by its own rounding
        return score.sum() / len(self.noise) + rest - self.scoring(a)

    def curved(self, bounds: tuple, on_mu: Array, scale: Array, on_square: Array, on_logvar: Array):
        """Below -weight KL + <scale, exp(logvar / 2)> - <on_square, mu> - <on_logvar, logvar>, term by
        term; and what rounding takes from it and from rows on_mu; each (R,)."""
        (mu, logvar), w = np.split(bounds[0][-1], 2, 1), self.weight
        ends = [-w * v * v / 2 - on_square * v for v in (*mu, np.clip(on_square, *mu))]
        square = np.minimum(ends[0], ends[1]) if w > 0 else ends[2]
        rest = lowest_curved(scale, w - 2 * on_logvar, w, sigma(logvar)) + w / 2
        m, v, s = largest(mu), largest(logvar), sigma(logvar)[1]
        size = m * (m + np.abs(on_square) + np.abs(on_mu))
        size = size + (1 + v) * (2 * s**2 + 2 + 2 * np.abs(scale) * s + 4 * np.abs(on_logvar))
        return (square + rest).sum(1), 8 * gamma(len(m) + 32) * size.sum(1)

    def plane(self, a: Array, mix: Array, t: Array) -> tuple[Array, Array, Array]:
        """on_a v + on_t t + constant <= weight log p(t | v), for v in a, t and each pixel, mix (R, d)."""
        (low, high), (t0, t1), above, far = a, t, self.weight < 0, np.zeros(1)
        if self.model.bernoulli and above:
            on_a = sigmoid(low + mix * (high - low)) - (t0 + t1) / 2
        elif self.model.bernoulli:
            chord = quotient(softplus(high) - softplus(low), high - low, sigmoid((low + high) / 2))
            on_a = t0 + mix * (t1 - t0) - chord
        else:
            middle = mix * (t1 - t0) + t0 - (low + high) / 2
            far = t0 - high + mix * (t1 - t0 + high - low) if above else -middle
            on_a = -2 * self.model.scale * far
        if above and not self.model.bernoulli:  # the tangent plane where t - v is far
            on_t, constant = -on_a, self.model.base - self.model.scale * far**2
        else:
            at0, at1 = self.faces(a, on_a, t)
            on_t = quotient(at1 - at0, t1 - t0, 0.0)
            constant = np.minimum(at0 - on_t * t0, at1 - on_t * t1)
        size = self.peak(a) + np.abs(on_a) * (1 + largest(a)) + 2 * np.abs(on_t) + np.abs(constant)
        return on_a, on_t, constant - 64 * U * size

    def bent(self, a: Array, mix: Array, at: Array) -> tuple[Array, Array, Array, Array]:
        """on_a v + on_t t - reach |t - at| + constant, summed, <= weight log p(t | v), for v in a and t in
        the ball: log p is a parabola in t, which has a plane in v and a slope in an interval at `at`."""
        on_a, on_t, constant = self.plane(a, mix, np.stack([at, at]))
        scale = 0.0 if self.model.bernoulli else self.model.scale
        slope, bend = a if self.model.bernoulli else 2 * scale * (a - at), scale * (self.weight > 0)
        middle, away = self.weight * (slope[0] + slope[1]) / 2, self.x - at
        room = 16 * U * (largest(a) + 2 * scale * (largest(a) + 1))
        constant = constant + (on_t - middle) * at + bend * away * (self.x + at)
        constant = constant - bend * self.eps**2 / len(at)
        constant = constant - 64 * U * (2 * np.abs(on_t) + np.abs(middle) + bend * (4 + self.eps**2))
        return (
            on_a,
            middle - 2 * bend * away + 0 * on_t,
            constant,
            (slope[1] - slope[0]) / 2 + room + 0 * on_t,
        )

    def latent_loss(self, posterior: Array, s: int) -> Array:
        """What a unit of a row on z can lose, in z and on the way to mu and logvar, (k,)."""
        mu, logvar = np.split(posterior, 2, 1)
        size = sigma(logvar)[1] * np.abs(self.noise[s])
        return 8 * gamma(self.noise.size + 32) * (largest(mu) + size * (1 + largest(logvar))) + TINY

    def to_posterior(self, rows: Array, constant: Array, lost: Array, posterior: Array, s: int):
        """Rows on z -> on mu and logvar: a tangent below exp(logvar / 2), a chord above it."""
        low, high = np.split(posterior, 2, 1)[1]
        scale, (f0, f, f1) = rows * self.noise[s], (np.exp(v / 2) for v in (low, (low + high) / 2, high))
        chord = quotient(f1 - f0, high - low, f / 2)
        top, below = np.maximum(f0 - chord * low, f1 - chord * high), f * (1 - (low + high) / 4)
        constant = constant + np.maximum(scale, 0) @ below + np.minimum(scale, 0) @ top
        lost = lost + np.abs(rows) @ self.latent_loss(posterior, s) + 4 * U * np.abs(constant)
        return np.concatenate([rows, scale * np.where(scale > 0, f / 2, chord)], 1), constant, lost

    def joint(self, bounds: tuple, mixes: Array, given: dict[str, Array], at: Array | None = None) -> Array:
        """All terms as one linear function of x', minimised over the ball; for each of the mixes, (R,).
        With `at` (d,) it has a kink there in each pixel."""
        (encoder, z, decoder), draws, w, sums = bounds, len(self.noise), self.weight, [np.zeros(1)] * 7
        for s in range(draws):
            a, mix = decoder[-1][:, s], mixes[:, s % mixes.shape[1]]
            found = (*self.plane(a, mix, self.t), np.zeros(1)) if at is None else self.bent(a, mix, at)
            on_a, on_t, constant, reach = (v / draws for v in found)
            shares = [given[f"decoder.{i}"][s] for i in range(len(decoder) - 1)] if given else None
            passage = Passage(self.model.decoder, largest(z)[s], [v[:, s] for v in decoder], shares)
            rows, more, lost = passage.pull(on_a, constant.sum(1), np.zeros(len(on_a)))
            lost = lost + np.abs(rows) @ self.latent_loss(encoder[-1], s)
            size = (np.abs(constant) + np.abs(on_t)).sum(1) + np.abs(more)
            found = rows, rows * self.noise[s], on_t, more, lost, size, reach
            sums = [u + v for u, v in zip(sums, found, strict=True)]
        (mu, logvar), (on_mu, scale, on_t, constant, lost, size, reach) = np.split(encoder[-1], 2, 1), sums
        ends = [scale * np.exp(v / 2) - w * (np.exp(v) - v - 1) / 2 for v in logvar]
        f = np.exp((logvar[0] + logvar[1]) / 4)
        slope = quotient(ends[1] - ends[0], logvar[1] - logvar[0], (scale * f - w * (f * f - 1)) / 2)
        on_square = given.get("mu", 0 * on_mu) - w * (mu[0] + mu[1]) / 2
        on_logvar = slope + given.get("logvar", 0)
        curved, less = self.curved(bounds, on_mu, scale, on_square, on_logvar)
        shares = [given[f"encoder.{i}"] for i in range(len(encoder) - 1)] if given else None
        rows = np.concatenate([on_mu + on_square, on_logvar], 1)
        back = Passage(self.model.encoder, self.box[1], encoder, shares)
        rows, constant, lost = back.pull(rows, constant + curved, lost + less + self.scoring(decoder[-1]))
        rows, constant = (rows + on_t, constant) if self.moves else (rows, constant + on_t @ self.x)
        size = size + np.abs(rows).sum(1) + np.abs(constant) + reach.sum(-1)
        lost = lost + 4 * gamma(len(self.x) + draws + 32) * size
        if at is None:
            return self.lowest(rows, constant, lost)
        return self.lowest_bent(rows, reach, at) + constant - lost - 4 * U * np.abs(constant)


def chunks(x: Array, last: bool) -> list[Array]:
    """Units that need bounds, some at a time: before a ReLU those that cross 0, in any draw."""
    crossing = np.atleast_2d((x[0] < 0) & (x[1] > 0)).any(0)
    units = np.flatnonzero(crossing | last)
    return [units[i : i + 256] for i in range(0, len(units), 256)]


def in_box(rows: Array, constant: Array, x: Array) -> Array:
    """Below the minimum of <row, v> + constant over a box, (R,)."""
    value, size = np.maximum(rows, 0) @ x[0] + np.minimum(rows, 0) @ x[1], np.abs(rows) @ largest(x)
    return value + constant - 2 * gamma(2 * rows.shape[1] + 32) * size - 4 * U * np.abs(constant)


def narrow(x: Array, units: Array, found: Array) -> None:
    """Cut x, in place, with bounds below units and below minus them; what is no number bounds nothing."""
    x[0][units] = np.fmax(x[0][units], found[: len(units)])
    x[1][units] = np.fmin(x[1][units], -found[len(units) :])


def statement(claim: dict) -> str:
    """What the statement of a certificate on given draws has to be, word by word."""
    image = hashlib.sha256(base64.b64decode(claim["image"])).hexdigest()
    steps = f" {claim['iterations']} iterations;" if claim["iterations"] else ""
    return (
        f"{sentence(claim)} ({claim['method']}, evaluated in {claim['arithmetic']}; {claim['margin']:.2g} "
        f"nats cover rounding). From model {claim['model']}, weights {claim['weights'][:16]}; image "
        f"{image[:16]} (SHA-256); noise of seed {claim['seed']}; eps {claim['eps']!r};{steps} "
        f"{claim['versions']}."
    )


def sentence(claim: dict) -> str:
    """How it begins: what is claimed."""
    eps, unit = claim["eps"], "" if claim["norm"] == "linf" else " in Euclidean distance"
    ball = f"within {eps if float(f'{eps:g}') > eps else f'{eps:g}'}{unit} of this one"
    scored = "x'" if claim["target"] == "likelihood" else "the clean image"
    most = f"at {'least' if claim['side'] == 'lower' else 'most'} {claim['bound']:.2f} nats"
    most = f"{most}, as a mean over these {claim['draws']} noise draws"
    return f"For every image x' with pixels in [0, 1] {ball}, the ELBO that scores {scored} is {most}"


def check(path: Path, folder: Path | None = None) -> str:
    """What was found, in words, if the claim holds; else Stop."""
    claim, shipped = read_claim(path), Path(__file__).resolve().parents[2] / "assets" / "models"
    named = re.fullmatch(MODEL, claim["model"], re.ASCII) and claim["model"] not in (".", "..")
    own = folder is not None and claim["model"] == folder.name  # that no forger chose
    need(named or own, UNREADABLE, "its model is no name")
    model = read_model(folder or shipped / claim["model"], claim["weights"])
    x = np.frombuffer(base64.b64decode(claim["image"], validate=True), np.dtype("<f4")).astype(np.float64)
    image = x.shape == (model.encoder[0][0].shape[1],) and ((x >= 0) & (x <= 1)).all()
    need(image, UNREADABLE, "its image is none of this model, or has pixels outside [0, 1]")
    diameter = 1 if claim["norm"] == "linf" else len(x) ** 0.5
    weight = 1 if claim["side"] == "lower" else -1
    need(claim["states"] == "draws", NOT_COVERED, "it is a statement about all noise")
    need(claim["eps"] <= diameter and claim["draws"] > 0, UNREADABLE, "it asks what cannot be asked")
    k, wanted = model.decoder[0][0].shape[1], weight * claim["bound"]
    moves = claim["target"] == "likelihood"
    units = claim["draws"] * sum(len(b) for _, b in model.encoder + model.decoder)
    need(units <= MOST_UNITS, NOT_COVERED, "it has too many draws for so large a model")
    noise, slack = seeded_noise(claim["seed"], claim["draws"], k), 1e-3 * (1 + abs(wanted))
    known, witness = claim["method"] in COVERED and claim["arithmetic"] == "float64", {}
    if known and claim.get("witness"):
        witness = read_witness(claim, model, k)
        same = (np.abs(witness["noise"] - noise) <= 2.0**-21 * (1 + np.abs(noise))).all()
        need(same, FAILS, "its noise is not that of its seed")
        noise, slack = witness["noise"], 0.0
    point = Question(model, x, 0.0, "linf", noise, -weight, moves)
    clean = -point.separate(point.bounds())  # weight * ELBO of the image itself is not higher
    asked = f"{claim['bound']:.2f} nats are claimed"
    beaten = f"{asked}, and the image itself has an ELBO of {weight * clean:.2f}"
    need(clean >= wanted - slack, FAILS, beaten)
    need(known, NOT_COVERED, "its method or arithmetic is not known here")
    need(witness, NOT_COVERED, f"this certificate of format {claim['format']} has no witness")
    unused = {"alpha", "delta", "sample"} | (set() if claim["method"] == "alpha-crown" else {"iterations"})
    said = not any(claim[name] for name in unused) and claim["statement"] == statement(claim)
    need(said, FAILS, "its sentence is not what its numbers say")
    eps = claim["eps"] and claim["eps"] * (1 + 2.0**-23) + 2.0**-23 * diameter
    question, best = Question(model, x, eps, claim["norm"], witness["noise"], weight, moves), -math.inf
    for value in question.ladder(claim["method"], witness):
        best = float(np.fmax(best, value))
        if best >= wanted - TOLERANCE * abs(wanted):
            found = f"{weight * (math.floor(best * 1e6) - 1) / 1e6:.6f} nats"
            less = f", {wanted - best:.1g} short of the claim, which is within 1e-6 of it"
            return f"{sentence(claim)} in the file. Found here: {found}{less if best < wanted else ''}."
    raise Stop(FAILS, f"{asked}, and what is found here is {weight * best:.2f}")


def main(arguments: list[str]) -> int:
    begins = {FAILS: "Does not hold", UNREADABLE: "Cannot be read", NOT_COVERED: "Not covered"}
    try:
        files = len(arguments) in (1, 2) and arguments[0] not in ("-h", "--help")
        need(files, UNREADABLE, "usage: checker.py certificate.json [MODEL_FOLDER]")
        with np.errstate(all="ignore"):
            code, said = 0, f"Holds. {check(*map(Path, arguments))}"
    except Stop as stop:
        code, said = stop.args[0], f"{begins[stop.args[0]]}: {stop.args[1]}."
    except (Exception, KeyboardInterrupt) as error:  # whatever a damaged file leads to is no verdict
        code = UNREADABLE
        said = f"{begins[code]}: the certificate or the model is damaged, or you stopped it ({error!a})."
    try:
        print(said, file=sys.stderr if code == UNREADABLE else sys.stdout, flush=True)
    except OSError:  # nobody reads it; the exit code says it all the same
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
