"""How heatmaps are made and shown: one popover and one legend that several pages draw."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from explorer import images as pictures
from explorer.app.caches import model_of
from explorer.app.text import plain
from explorer.app.urlstate import number, select
from explorer.heatmaps.methods import METHODS
from explorer.runs import DamagedRun, Run

if TYPE_CHECKING:
    from explorer.models import StagedModel

DEFAULT = "default"


@dataclass(frozen=True)
class HeatmapSettings:
    """The method (a key of METHODS), the stage (None: the model's default) and the opacity of the heat in [0, 1]."""

    method: str
    stage: str | None
    opacity: float


def choose_heatmap_settings(*runs: Run) -> HeatmapSettings | None:
    """The settings chosen in a popover; None, after a line that says why, where no run has a model.

    The stages offered are those that the models of all the runs have. The settings stand in the address as `method`,
    `stage` and `opacity`.
    """
    models, reason = _models_of(runs)
    if not models:
        st.caption(f"No heatmaps: {plain(reason)}")
        return None
    with st.popover("Heatmap settings", icon=":material/tune:", width="stretch"):
        method = _choose_method()
        stage = _choose_stage(models)
        opacity = number(st.slider, "opacity", "Opacity", 10, 100, 50, step=10, format="%d%%")
    return HeatmapSettings(method, stage, opacity / 100)


def _models_of(runs: Sequence[Run]) -> "tuple[list[StagedModel], str]":
    """The models that can be loaded, and why the first of the others cannot."""
    models, reasons = [], []
    for run in runs:
        try:
            models.append(model_of(run))
        except DamagedRun as error:
            reasons.append(str(error))
    return models, next(iter(reasons), "no run is chosen")


def _choose_method() -> str:
    name = select(
        st.selectbox,
        "method",
        "Method",
        list(METHODS),
        format_func=lambda key: METHODS[key].title + (" (slow)" if METHODS[key].slow else ""),
        help="Grad-CAM is our own exact engine; the others come from pytorch-grad-cam.",
    )
    method = METHODS[name]
    st.caption(method.paper + ("" if method.by_class else ". It shows the same map for every class."))
    if method.slow:
        st.caption("Runs the model once for every few channels: expect seconds for a page of images.")
    return name


def _choose_stage(models: "Sequence[StagedModel]") -> str | None:
    """The stage, None for each model's default."""
    shared = [stage for stage in models[0].stage_names if all(stage in model.stage_names for model in models)]
    defaults = list(dict.fromkeys(model.cam_stage for model in models))
    name = select(
        st.selectbox,
        "stage",
        "Stage",
        [DEFAULT, *shared],
        format_func=lambda key: f"{', '.join(defaults)} (default)" if key == DEFAULT else key,
        help="Early stages see fine texture, late ones what the answer rests on.",
    )
    return None if name == DEFAULT else name


def say_how(settings: HeatmapSettings, *runs: Run, scale: str = "each map on its own scale") -> str:
    """What a page's heatmaps of runs with models are: method, stage and scale."""
    stages = list(dict.fromkeys(plain(settings.stage or model_of(run).cam_stage) for run in runs))
    where = stages[0] if len(stages) == 1 else f"each model's default stage ({', '.join(stages)})"
    return f"{METHODS[settings.method].title} at {where}, {scale}."


def show_legend() -> None:
    """The colours of the maps from no to most evidence."""
    strip = b64encode(pictures.png_bytes(pictures.colour_map()[None].repeat(12, axis=0))).decode()
    st.html(
        '<div style="display:flex;align-items:center;gap:.6rem;font-size:.875rem;white-space:nowrap">'
        f'<span>no evidence</span><img src="data:image/png;base64,{strip}" '
        'style="width:256px;min-width:3rem;height:12px;border-radius:3px" '
        'alt="Colours of the maps, from black for no evidence over purple and orange to yellow for most evidence">'
        "<span>most evidence</span></div>"
    )
