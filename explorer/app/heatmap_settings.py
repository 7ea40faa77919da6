"""How heatmaps are made and shown: one popover and one legend that several pages draw."""

from base64 import b64encode
from dataclasses import dataclass

import streamlit as st

from explorer import images as pictures
from explorer.app.session import model
from explorer.heatmaps.methods import METHODS
from explorer.runs import Run

DEFAULT = "default"


@dataclass(frozen=True)
class HeatmapSettings:
    """The method (a key of METHODS), the stage (None: the model's default) and the opacity of the heat in [0, 1]."""

    method: str
    stage: str | None
    opacity: float


def choose_heatmap_settings(run: Run) -> HeatmapSettings:
    """The settings chosen in a popover; the stages offered are those of the run's model."""
    network = model(run)
    with st.popover("Heatmap settings", icon=":material/tune:", width="stretch"):
        method = st.selectbox(
            "Method",
            list(METHODS),
            format_func=lambda name: METHODS[name].title + (" (slow)" if METHODS[name].slow else ""),
            key="method",
            bind="query-params",
            help="Grad-CAM is our own exact engine; the others come from pytorch-grad-cam.",
        )
        chosen = METHODS[method or "gradcam"]
        st.caption(chosen.paper + ("" if chosen.by_class else ". It shows the same map for every class."))
        if chosen.slow:
            st.caption("Runs the model once for every few channels: expect seconds for a page of images.")
        stage = st.selectbox(
            "Stage",
            [DEFAULT, *network.stage_names],
            format_func=lambda name: f"{network.cam_stage} (default)" if name == DEFAULT else name,
            key="stage",
            bind="query-params",
            help="Early stages see fine texture, late ones what the answer rests on.",
        )
        opacity = st.slider("Opacity", 10, 100, 50, 10, format="%d %%", key="opacity", bind="query-params")
    return HeatmapSettings(method or "gradcam", None if stage in (None, DEFAULT) else stage, opacity / 100)


def say_how(settings: HeatmapSettings, run: Run, scale: str = "each map on its own scale") -> str:
    """What a page's heatmaps are: method, stage and scale."""
    return f"{METHODS[settings.method].title} at the stage {settings.stage or model(run).cam_stage}, {scale}."


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
