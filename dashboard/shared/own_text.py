"""The words for images and models of a visitor's own."""

from __future__ import annotations

from collections.abc import Sequence

TITLE = "Bring your own"
SUBTITLE = "See in the explorer what an attack does to it, and what is proved. Nobody else sees it."
WHICH, AN_IMAGE, A_MODEL = "What do you bring?", "An image", "A model"
KEPT_WHERE = (
    "Your image is kept in the storage of your browser and, as long as this page is open, in the memory of "
    "this server, never on its disk."
)
CERTIFICATE = (
    "A certificate that you download there contains the image: without it, nobody could verify it. Labels "
    "are known of test images only, so yours has none."
)
DRAW, UPLOAD, MODELS = "Draw a digit", "Upload an image", "In folders of this server"
PAD = (
    "Page to draw on with mouse, finger or pen. By keyboard, upload an image here or choose a test "
    "image in the explorer instead."
)
DRAW_HELP = (
    "The ink is scaled to fit into 20 x 20 pixels and its centre of mass is put in the middle of 28 x 28, "
    "as it was for all digits of MNIST: where and how large you draw makes no difference."
)
EMPTY = "Draw with mouse, finger or pen. By keyboard, upload an image instead."
NO_FILE = "The file goes to the memory of this server only; what is used of it is 28 x 28 grey values."
FILE, MOST_MB = "PNG or JPEG, up to 5 MB and 16 megapixels", 5
INVERT = "Dark ink on light paper"
INVERT_HELP = "MNIST is white on black: such a picture is turned into its negative. Found by its edge."
CENTRE = "Centre and scale like MNIST"
CENTRE_HELP = (
    "On: paper becomes black, and what is brighter than it is cut out, fitted into 20 x 20 pixels and "
    "centred. Off: the whole picture as it is, made 28 x 28."
)
SEEN = "What the models see: 28 x 28"
USE_DRAWING, USE_IMAGE = "Use this digit", "Use this image"
YOURS = "Your own"
YOURS_HELP = "Images kept in this browser, the newest last; Your own has a button that forgets them."
KEPT = "Yours so far"
FORGET = "Forget them all"
NO_MODELS = (
    "None. Train one with `python -m core train --out runs/mine`: folders in `runs` appear here and in "
    "the explorer's lists. Whoever runs this server can name other folders in the environment variable "
    "`ELBO_MODEL_ROOTS`, separated as in `PATH`."
)
ROOTS = (
    "Folders with a `config.json` in `runs`, or in the folders that whoever runs this server named in "
    "`ELBO_MODEL_ROOTS`. Nothing in them is ever unpickled."
)


def whole(height: int, width: int) -> str:
    """What becomes of a file."""
    return (
        f"The whole picture, made {height} x {width} pixels, as these models take it. It stays in "
        "this browser and in the memory of this server."
    )


def seen_alt(inked: int) -> str:
    """Of the preview, for those who cannot see it."""
    return f"The image as the models see it: 28 x 28 pixels, {inked} of them brighter than half"


def image_alt(number: int) -> str:
    return f"your image {number}"


def brought(shape: Sequence[int], name: str) -> str:
    """What a model is called that a visitor dropped: nothing that its files say of it."""
    return f"Yours, {' x '.join(map(str, shape))} ({name.rpartition('/')[2][:6]})"
