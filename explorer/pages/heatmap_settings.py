"""How heatmaps are made and shown: one popover that several pages draw, its choices kept in the URL."""

from dataclasses import dataclass

import streamlit as st

from explorer.heatmaps import METHODS
from explorer.runs import Run
from explorer.session import model

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
