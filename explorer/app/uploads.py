"""Uploaded files that stay with the visitor: Streamlit forgets a widget's files when another page is opened."""

from dataclasses import dataclass

import streamlit as st

from explorer.words import count_of

MOST_FILES = 12
KINDS = ("png", "jpg", "jpeg", "webp")
LIMITS = (
    f"PNG, JPEG or WEBP, up to 20 MB and 40 megapixels each, {MOST_FILES} at a time. The centre is scaled to the model "
    "input size. A reload of the page forgets the files."
)
KEY, KEPT = "upload", "kept_uploads"


@dataclass(frozen=True)
class Upload:
    """An uploaded file; `file_id` tells it from all others."""

    file_id: str
    name: str
    data: bytes


@dataclass(frozen=True)
class _Kept:
    """The files of earlier visits to the page, and those that the widget held when it was last drawn."""

    before: tuple[Upload, ...] = ()
    now: tuple[Upload, ...] = ()


def show_uploader() -> tuple[Upload, ...]:
    """The uploaded files, newest first where some are of an earlier visit to the page, up to MOST_FILES."""
    kept = st.session_state.get(KEPT, _Kept())
    if KEY not in st.session_state:  # the page was just opened: the widget is empty, whatever it held before
        kept = _Kept(before=(*kept.now, *kept.before)[:MOST_FILES])
    files = st.file_uploader("Your images", type=KINDS, accept_multiple_files=True, key=KEY)
    kept = _Kept(kept.before, tuple(Upload(file.file_id, file.name, file.getvalue()) for file in files or ()))
    st.session_state[KEPT] = kept
    st.caption(LIMITS)
    if kept.before:
        title = f"Remove {count_of(len(kept.before), 'image')} uploaded before"
        st.button(title, icon=":material/delete:", on_click=_forget_earlier)
    if len(kept.now) + len(kept.before) > MOST_FILES:
        st.warning(f"{MOST_FILES} images are shown at a time; remove some to see the others.")
    return (*kept.now, *kept.before)[:MOST_FILES]


def _forget_earlier() -> None:
    st.session_state[KEPT] = _Kept(now=st.session_state[KEPT].now)
