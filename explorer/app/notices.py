"""What is to be said of the images on every page that shows them: that they are missing, or changed since."""

import streamlit as st

from explorer.app.caches import TestImages, find_images_at, test_images
from explorer.app.text import plain
from explorer.runs import Run

FOLDER = "folder:"


def images_of(run: Run) -> TestImages:
    """The test images of a run, after a line where they are missing or changed.

    Where a folder of images is missing, a box takes the folder that they are in now.
    """
    here = test_images(run)
    if here.line:
        st.info(plain(here.line), icon=":material/image_not_supported:")
    if here.split is None and not here.changed and run.spec.dataset.location.startswith(FOLDER):
        ask_for_folder(run)
    return here


def ask_for_folder(run: Run) -> None:
    """A box for the folder that the images have moved to; they are known again by their fingerprint."""
    folder = st.text_input(
        "Folder that the images are in now",
        key="images_folder",
        placeholder="/path/to/the/folder",
        help="On the machine that this app runs on. The images are taken from there until the app is started again.",
    )
    if not folder:
        return
    reason = find_images_at(run, folder)
    if reason:
        st.error(f"Not taken: {plain(reason)}", icon=":material/folder_off:")
    else:
        st.rerun()
