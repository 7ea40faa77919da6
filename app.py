"""The app: `streamlit run app.py` imports this file for its server and runs it for every visitor and every click."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from threading import Thread

import streamlit as st


def import_for_first_page() -> None:
    """Imports what the first page needs."""
    for module in ("explorer.app.frame", "explorer.app.charts.overview"):
        import_module(module)


@asynccontextmanager
async def imported_ahead(_: st.App) -> AsyncIterator[None]:
    """The life of the server: the imports, a second's worth, begin while the first browser is still loading."""
    Thread(target=import_for_first_page, daemon=True).start()
    yield


if __name__ == "__main__":
    from explorer.app.frame import show_frame

    show_frame()
else:
    app = st.App(__file__, lifespan=imported_ahead)
