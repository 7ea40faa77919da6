"""What each norm does: pictures of what it averages over, formulas, and facts that are checked while you read."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from explorer.app import urlstate
from explorer.app.cube import SHADINGS, cube_picture
from explorer.marks import NORM_MARKS
from explorer.models import facts

MOST_DRAWS = 9999


@dataclass(frozen=True)
class Lesson:
    """One norm in a formula and a paragraph; `picture` says what is shaded, to those who cannot see it."""

    norm: str
    title: str
    formula: str
    words: str
    picture: str


@dataclass(frozen=True)
class Fact:
    """Something that holds of norms: its name in the address, a formula, why it holds, and what checks it."""

    anchor: str
    title: str
    formula: str
    words: str
    checks: tuple[Callable[[int], list[facts.Check]], ...]


LESSONS = (
    Lesson(
        "batch",
        "Batch norm",
        r"\mu_c = \frac{1}{NHW} \sum_{n,h,w} x_{nchw}",
        "One mean for each channel, over all images of the batch. What an image becomes depends on its neighbours in "
        "the batch, so small batches make it noisy. Once trained, it uses averages kept from training instead. "
        "`batch-scratch` is the same, written from the definition.",
        "one channel of all images",
    ),
    Lesson(
        "layer",
        "Layer norm",
        r"\mu_n = \frac{1}{CHW} \sum_{c,h,w} x_{nchw}",
        "One mean for each image, over all its channels. It doesn't care about the batch and is the same in training "
        "and in use. Channels keep their relative strength.",
        "all channels of one image",
    ),
    Lesson(
        "instance",
        "Instance norm",
        r"\mu_{nc} = \frac{1}{HW} \sum_{h,w} x_{nchw}",
        "One mean for each channel of each image. It takes out contrast and brightness, which is why it came up for "
        "changing the style of pictures; where brightness is the clue, that clue is gone.",
        "one channel of one image",
    ),
    Lesson(
        "group",
        "Group norm",
        r"\mu_{ng} = \frac{G}{CHW} \sum_{c \in g,\, h,\, w} x_{nchw}",
        "One mean for each group of channels of each image: between layer norm (one group) and instance norm (as many "
        "groups as channels). Like both, it doesn't depend on the batch.",
        "half of the channels, one group, of one image",
    ),
    Lesson(
        "batch-instance",
        "Batch-instance norm",
        r"\hat{x} = \rho\, \hat{x}_{\text{BN}} + (1 - \rho)\, \hat{x}_{\text{IN}}",
        "A mix of the two with a learned gate ρ between 0 and 1 for each channel: the net decides which channels lose "
        "their contrast and which keep it. The faint and the strong part share the mean for batch norm, the strong one "
        "alone that for instance norm.",
        "one channel of all images faintly, and of one image strongly",
    ),
    Lesson(
        "none",
        "No norm",
        r"y = x",
        "Nothing is standardised. Deep nets then need careful first weights and small steps. It is here to show what "
        "the others are worth.",
        "nothing",
    ),
)


GRADIENTS = r"""\begin{aligned}
\frac{\partial \ell}{\partial \sigma^2} &= -\frac{1}{2 s^3} \sum g\,(x - \mu) \\[6pt]
\frac{\partial \ell}{\partial \mu} &= -\frac{1}{s} \sum g
    - \frac{\partial \ell}{\partial \sigma^2} \frac{2}{m} \sum (x - \mu) \\[6pt]
\frac{\partial \ell}{\partial x} &= \frac{g}{s}
    + \frac{\partial \ell}{\partial \sigma^2} \frac{2 (x - \mu)}{m}
    + \frac{\partial \ell}{\partial \mu} \frac{1}{m}
\end{aligned}"""
FACTS = (
    Fact(
        "gradients",
        "Batch norm's gradients, by hand",
        GRADIENTS,
        "The mean and the variance depend on every input, so the gradient flows through them too. Here g is the "
        "gradient of x̂, m = NHW the numbers per channel, and s² = σ² + ε.",
        (facts.check_gradients, facts.check_own_batch_norm),
    ),
    Fact(
        "bias",
        "A bias before a norm is redundant",
        r"(x + b) - \text{mean}(x + b) = x - \text{mean}(x)",
        "A bias per channel moves the channel's mean by as much, and the norm subtracts it again. That is why convs "
        "before batch norm have no bias here. It holds where each channel has its own mean; layer and group norm "
        "share a mean between channels, so there a bias does something.",
        (facts.check_bias,),
    ),
    Fact(
        "groups",
        "Group norm lies between layer norm and instance norm",
        r"\begin{aligned} G &= 1: \text{layer norm} \\ G &= C: \text{instance norm} \end{aligned}",
        "With one group all channels of an image share a mean; with a group per channel none do.",
        (facts.check_groups,),
    ),
    Fact(
        "gate",
        "Batch-instance norm has both in it",
        r"\begin{aligned} \rho &= 1: \text{batch norm} \\ \rho &= 0: \text{instance norm} \end{aligned}",
        "Training moves ρ between the two, for each channel on its own.",
        (facts.check_gate,),
    ),
)


def show_page() -> None:
    """Draws the page."""
    st.title("What does each norm do?")
    st.write(
        "Between two layers of a net, the activations are a block of numbers: N images, C channels, and H × W pixels "
        "each. A norm moves and scales them so that those which share a mean have mean 0 and variance 1, and then lets "
        "every channel learn its own scale γ and shift β:"
    )
    st.latex(r"\hat{x} = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad y = \gamma_c\, \hat{x} + \beta_c")
    st.write(
        "The norms differ only in **which numbers share one mean μ and one variance σ²**: in each picture, one such "
        "set."
    )
    for start in range(0, len(LESSONS), 3):
        for column, lesson in zip(st.columns(3), LESSONS[start : start + 3], strict=True):
            with column, st.container(border=True, height="stretch"):
                show_lesson(lesson)
    show_facts()


def show_lesson(lesson: Lesson) -> None:
    """The picture, formula and paragraph of one norm; `#<norm>` in the address leads to it."""
    st.subheader(lesson.title, anchor=lesson.norm)
    ink = "#e8ebf1" if st.context.theme.type == "dark" else "#1a2130"
    picture = cube_picture(SHADINGS[lesson.norm], NORM_MARKS[lesson.norm].colour, ink)
    alt = f"A block of N images by C channels by H times W pixels. Shaded: {lesson.picture}."
    with st.container(horizontal_alignment="center"):
        st.image(picture, alt=alt, width="content")
    st.latex(lesson.formula)
    st.write(lesson.words)


def show_facts() -> None:
    """The facts, each with what its checks find on the chosen random numbers."""
    st.header("Facts, checked while you read", anchor="facts")
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.write(
        f"Each check computes both sides on {' × '.join(map(str, facts.SHAPE))} random numbers. Two results that are "
        "equal in theory differ by rounding in a computer, by about 1e-15 here."
    )
    draw = urlstate.number(right.number_input, "draw", "Random numbers, draw", 0, MOST_DRAWS, 0)
    for fact in FACTS:
        with st.container(border=True):
            st.subheader(fact.title, anchor=fact.anchor)
            st.latex(fact.formula)
            st.write(fact.words)
            st.markdown("  \n".join(describe(found) for check in fact.checks for found in check(draw)))


def describe(check: facts.Check) -> str:
    """A check as a line of Markdown: what is compared, what came out, and the largest difference."""
    mark = ":green[:material/check_circle:]" if check.holds else ":red[:material/cancel:]"
    verdict = ("equal" if check.equal else "not equal, as expected") if check.holds else "not as expected"
    found = "exactly 0" if check.difference == 0 else f"{check.difference:.1g}"
    return f"{mark} {check.words}: {verdict}, largest difference **{found}**"


if __name__ == "__main__":
    show_page()
