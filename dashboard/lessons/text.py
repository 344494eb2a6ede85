"""The lessons' words and formulas. In a formula <name> stands for a number of the digit that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TITLE = "Lessons"
SUBTITLE = "Six short steps; every number is computed for the digit that is shown."
SHORT = ("ELBO", "One pixel", "Steps", "Intervals", "Training", "Limits")
"""What the lessons are called in the list of them."""
OPEN = "Open in the explorer"
PRESENT, LEAVE = "Presenter view", "Leave presenter view"
NEXT, PREVIOUS = "Next", "Previous"
MISSING = "The lessons need the models {}, which are not in assets/models: restore that folder."
QUESTION, ANSWER = "To think about", "An answer"
MOVES = {
    "shift-1": "Shift 1 pixel",
    "shift-2": "Shift 2 pixels",
    "shift-3": "Shift 3 pixels",
    "rotate-10": "Rotate 10°",
    "rotate-20": "Rotate 20°",
    "rotate-30": "Rotate 30°",
}
"""What core.inspection.lessons.MOVES are called on a button."""


SCORED = "likelihood of the attacked image"


def locked(fixed: Sequence[str]) -> str:
    return f"Fixed in this lesson: {', '.join(fixed)}. In the explorer all of it can be changed."


@dataclass(frozen=True)
class Lesson:
    """Words of one lesson, Markdown."""

    title: str
    words: str
    question: str
    answer: str


LESSONS = (
    Lesson(
        "What is an ELBO?",
        "A variational auto-encoder squeezes an image $x$ into a short code $z$ and draws it again. Its "
        "encoder does not name one code but a Gaussian, with a mean $\\mu(x)$ and a spread $\\sigma(x)$; "
        "codes $z_s$ are drawn from it, and the decoder says for each pixel how likely white is. Two "
        "things count. The **reconstruction** term $\\log p(x \\mid z_s)$ says how well the drawn image "
        "explains $x$. The **KL** term says how far the code had to leave what is usual, the prior "
        "$\\mathcal N(0, I)$. Reconstruction minus KL is the **ELBO**: a lower bound on $\\log p(x)$, in "
        "nats. One nat more is 2.7 times as likely. In all lessons every image is scored with the same "
        "draws.",
        "The KL term only ever lowers the score. Why not leave it out?",
        "Then the encoder may put the code of each image wherever it likes, with no spread: the "
        "reconstructions get better, but the score is no longer a lower bound on $\\log p(x)$, and a code "
        "drawn from the prior decodes to nothing. The KL is the price of saying which code it is.",
    ),
    Lesson(
        "One pixel of freedom",
        "Now an adversary may change the digit. What can a single pixel do? The map shows it: each of the "
        "784 pixels is moved alone, by at most $\\varepsilon$, and the image is scored again. No pixel "
        "does much. But the adversary may move **all** of them by $\\varepsilon$, and you would hardly see "
        "it. Were the ELBO linear, the drops would add up: over all pixels, slope times reach $r_j$, which "
        "is $\\varepsilon$, or less where black or white ends the way. The **fast gradient sign method** "
        "(FGSM) tries just that: one gradient, one step of $\\varepsilon$ against its sign in every pixel, "
        "cut to $[0, 1]$ by $\\Pi$. Many small things are a large thing: that is what high dimension does.",
        "The slope promises one drop, FGSM attains another. Which of the two is a fact, and is it the "
        "worst that can happen?",
        "What FGSM attained is a fact: the image is there and its score was computed. The promise is what "
        "a linear ELBO would do, and the ELBO bends. Neither is the worst case: a better search may go "
        "lower, and how low nothing can go needs a proof.",
    ),
    Lesson(
        "Steps, and a clamp in the wrong place",
        "One step is crude, for the slope changes on the way. **Projected gradient descent** (PGD) takes "
        "many smaller ones and after each returns to the nearest allowed image, $\\Pi$: at most "
        "$\\varepsilon$ from $x$, between black and white. Where that is done matters. Written into the "
        "score, as in `elbo(x.clamp(0, 1))`, the clamp is differentiated too, and its slope is 0 for a "
        "pixel on 0 or 1. MNIST's background is exactly black: most pixels get no gradient, never move, "
        "and the attack reports a robustness that is not there. Right: differentiate at $x'$ itself, "
        "step, then project. A black pixel can still only go one way, up.",
        "An attack fails to lower the score. What can be wrong before you call the model robust?",
        "Gradients that are 0 or rounding noise, too few steps, steps of a wrong size, other noise in each "
        "step, a loss that is not what is judged. Checks: it beats random search, more steps are never "
        "worse, a large eps breaks everything. And the best attack is still no proof.",
    ),
    Lesson(
        "Why intervals explode",
        "An attack finds one image; a proof has to cover **all** images of the ball. **Interval "
        "propagation** (IBP) carries a box through the network. A linear layer turns its centre $c$ and "
        "half-width $r$ into $Wc + b$ and $|W|\\,r$. The absolute values forget that all units look at the "
        "same pixels and cannot be at their worst together, so that the box grows with every layer. In a "
        "standard network it explodes, and what is proved is vacuous. The robust model was trained on this "
        "very bound and keeps its boxes narrow. **CROWN** bounds each unit by straight lines in the "
        "pixels, so that errors can cancel: the same network, narrower intervals, at a higher price.",
        "A bound is vacuous. Does that prove that the model can be attacked?",
        "No. A vacuous bound says nothing in either direction; only an attack shows that a low score is "
        "attained. What lies between attained and proved is open, and a tighter method may close it.",
    ),
    Lesson(
        "Robust training and its price",
        "Robust training maximises a mix: $\\kappa$ times the clean ELBO plus $1 - \\kappa$ times the "
        "proved bound $L$. The price is seen at once: a lower clean ELBO and blurred reconstructions. "
        "What it buys is a bound that means something, for every image of the ball. How much is that "
        "worth? Compare the **constant decoder**. It ignores its code and draws one grey picture for "
        "every digit. Its KL is 0, and its worst case over the ball has a closed form: attained and "
        "proved are equal, nothing is open, at any $\\varepsilon$. It is certified perfectly, and "
        "useless. A robust model has to lie above it, or “robust” means nothing. At the other end is the "
        "**ceiling**: the adversary makes pixels grey, and of those even the best guess is worth "
        "$-H(t_j)$. Nothing higher can be proved of any model. The chart shows all models over test "
        "images.",
        "Why do models that are trained for a larger eps come closer to the constant decoder?",
        "The intervals of a decoder stay narrow if its code hardly depends on the image: units fall silent "
        "(their KL goes to 0), and what is left is an average picture. With a large ball that is the best "
        "trade. Bold pixels are risky too: the likelihood of an attacked pixel falls with the size of its "
        "logit.",
    ),
    Lesson(
        "What a certificate does not say",
        "A certificate is a theorem, with small print. **Which ball:** each pixel within $\\varepsilon$, "
        "nothing else. A digit that is shifted a little looks the same to you, but it lies far outside, "
        "and its score may be lower than what is proved. **Which draws:** the mean over these draws. With "
        "others the same image may score less; *expectation* and *coverage* are other statements, about "
        "all noise, with a confidence. **Which target:** the likelihood of the attacked image and the "
        "reconstruction of the clean one are two questions with two bounds. **Which score:** nothing here "
        "says that an ELBO is a good likelihood. An all-black image may score higher than a digit. The "
        "proof holds; whether it is about what you care for is for you to say.",
        "Say in one sentence what is proved of this digit, and leave nothing out.",
        "The certificate says it itself:",
    ),
)
FRONTIER = (
    "○ other models\u2003 ✖ constant decoder\u2003 ╌╌ ceiling\u2003 "
    "╍╍ frontier: no model lies above and to the right\u2003 ↓ below the frame, or vacuous"
)
CLEAN = (
    r"z_s = \mu(x) + \sigma(x) \odot \epsilon_s, \quad \epsilon_s \sim \mathcal N(0, I)",
    r"\mathrm{KL} = \tfrac12 \textstyle\sum_{i=1}^{<latent>} \mu_i^2 + \sigma_i^2 - \log \sigma_i^2 - 1 "
    r"= <kl>",
    r"\mathrm{ELBO} = \underbrace{\tfrac1{<draws>}\textstyle\sum_s \log p(x \mid z_s)}_{<recon>}"
    r" - \underbrace{\mathrm{KL}}_{<kl>} = <total>",
)
PIXELS = (
    r"\max_{j,\,\pm}\ \mathrm{ELBO}(x) - \mathrm{ELBO}(x \pm \varepsilon e_j) = <best>",
    r"x' = \Pi\big(x - \varepsilon\, \mathrm{sign}\, \nabla \mathrm{ELBO}(x)\big)",
    r"\text{promised: } \textstyle\sum_j r_j\, |\partial_j \mathrm{ELBO}| = <promised>",
    r"\text{attained: } \mathrm{ELBO}(x) - \mathrm{ELBO}(x') = <attained>",
)
DESCENT = (
    r"x' \leftarrow \Pi(x' - \alpha\, \mathrm{sign}\, g)",
    r"\text{right: } g = \nabla \mathrm{ELBO}(x') \ \to\ <right>",
    r"\text{wrong: } g = \nabla \mathrm{ELBO}(\mathrm{clamp}\, x')\ \to\ <wrong>",
    r"g_j = 0 \text{ if } x_j \in \{0, 1\}\text{: here } <dead>\,\%",
)
EXPLOSION = (
    r"c \mapsto W c + b, \quad r \mapsto |W|\, r",
    r"\text{standard, first layer: } <x> \to <standard>",
    r"\text{robust, first layer: } <x> \to <robust>",
    r"\frac{\text{width of } z}{\text{width of } x} = <standard_z>\text{ standard},\ <robust_z>"
    r"\text{ robust}",
)
PRICE = (
    r"\max_\theta\ \kappa\, \mathrm{ELBO}(x) + (1 - \kappa)\, L(x; \varepsilon)",
    r"<kappa> \cdot (<clean>) + <rest> \cdot (<proved>) = <both>",
    r"L_{\text{constant}} = \textstyle\sum_j \displaystyle\min_{|t_j - x_j| \le \varepsilon}"
    r"\log p(t_j \mid a_j) = <constant>",
    r"L_{\text{any model}} \le -\textstyle\sum_j \displaystyle\max_{|t_j - x_j| \le \varepsilon} H(t_j)"
    r" = <ceiling>",
)
LIMITS = (
    r"\min_{x' \in B(x,\, <eps>)} \mathrm{ELBO}_{<draws>\text{ draws}}(x') \ge <bound>",
    r"\lVert x_{\text{moved}} - x \rVert_\infty = <distance> > <eps>",
    r"\mathrm{ELBO}(x_{\text{moved}}) = <moved> <sign> <bound>",
)
