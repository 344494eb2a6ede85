"""The words for models of a visitor's own. Without core."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

DROP = "Drop a model"
FILES = "weights.safetensors, config.json, graph.json: all of a folder at once, or one .zip"
LIMITS = (
    "Up to 16 MB a model. Nothing is ever unpickled, and no code of yours runs here: the loader of all "
    "models checks it. It lies in a private folder of this server, which no other visitor sees, and is "
    "deleted when you leave or forget it, or bring a fifth one."
)
FORGET = "Forget"
OPEN, INSPECT, COMPARE = "Open in the explorer", "Inspect", "Compare"

STEPS = "From PyTorch to these files"
TABS = ("Any architecture", "MLP by hand", "Tensors and config")
ANY = "In your own Python, where this project is. Your module is traced; the folder `mine` is what to drop."
COMMAND = "Or on the command line, where `build` in vae.py gives (encoder, decoder):"
MORE = (
    "The encoder ends before noise is drawn. What `heads`, `scale`, `sigma` and `pixels` say, and which "
    "operations have a rule: docs/own-models.md."
)
MLP = (
    "Linear layers and ReLUs need no graph, and nothing of this project: rename the tensors. On the right "
    "are the names of pytorch/examples. The decoder ends in logits: its sigmoid is left out."
)
TENSORS = (
    "A model without a graph has these tensors, float32. `widths` are those of the encoder, which the "
    "decoder mirrors; the encoder's last layer gives mu, then the log variance."
)
ARCH_WORDS = {
    "mlp": "`mlp`: linear layers with ReLUs between them.",
    "conv": "`conv`: two convolutions of 4 x 4, stride 2, and a linear layer; `size` is 28 or 32.",
}
TENSOR_COLUMNS = ("Tensor", "Shape", "Layer")

CHECKED, OPERATIONS, STOPS = "What was checked", "How it is bounded", "Where it stops"
OPERATION_COLUMNS = ("Part", "Operations", "Bounded")
STOP_COLUMNS = ("Method", "Largest eps")
STOPS_HELP = (
    "The largest of 0.000001, 0.000002, 0.000005, ... 0.5 for which the bound is not vacuous, on one image "
    "and one draw. A model that was not trained for it often stops below 0.01."
)
MEASURING = "…"
NOWHERE, EVERYWHERE, DEAR = "none", "0.5 or more", "too much for a page"
REFUSED, TIGHTER = "no rule here", "as far or further"
EXPECTATION_YES = "There are certificates on the expectation over all noise, too."
NOT_CHECKED = (
    "Compare that ELBO with the one you know: a wrong head, scale or sigma shows there. What a file says "
    "of its training is not taken over: nobody could check it."
)


def checks(
    left_out: Sequence[str], traced: bool, images: int, weights: int, clean: str, scored: str
) -> list[str]:
    """What was looked at, and found right."""
    said = ["No pickle; no file empty or twice there"]
    if left_out:
        said.append(f"Not read, for no model has them: {', '.join(left_out)}")
    if traced:
        said.append("Config, graph and weights are of one save, by their digests")
    said.append(f"{weights:,} weights: the shapes that the config asks for, float32, finite")
    if traced:
        said.append("Each operation is known and takes what it gets; what bounds rely on is true of it")
    if images:
        said.append(f"{images} images of its own, unchanged since the save")
    return [*said, f"Computed once: clean ELBO {clean}, mean of {scored}, one draw"]


def facts(shape: Sequence[int], latent: int, likelihood: str, operations: int) -> str:
    """A model in a line."""
    size = " x ".join(map(str, shape))
    scored = likelihood.replace("_", " ")
    return f"{size} images, {latent} latent dimensions, {scored} likelihood, {operations} operations"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as Markdown. The cells are ours, or were made plain."""
    lines = ["|".join(row) for row in (columns, ["---"] * len(columns), *rows)]
    return "\n".join(f"|{line}|" for line in lines)
