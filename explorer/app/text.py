"""Names on the pages: they are text, whoever gave them."""

import re

import pandas as pd

JOINER = "\N{WORD JOINER}"  # has no width
_ADDRESSES = re.compile(r"https?:(?=//)|www(?=\.)|@", re.IGNORECASE)


def plain(text: str) -> str:
    """The text in one line, with what Markdown would read as marks escaped.

    Colons are escaped too, because Streamlit reads `:red[...]` and `:material/...:`. Addresses are made links whatever
    is escaped in them, so a character of no width breaks them.
    """
    broken = _ADDRESSES.sub(rf"\g<0>{JOINER}", text)
    return " ".join(re.sub(r"([\\`*_{}\[\]()#$~<>|!:+.&-])", r"\\\1", broken).split())


def csv_text(table: pd.DataFrame) -> str:
    """The table as CSV; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
    texts = table.select_dtypes(include=["object", "string"]).columns
    safe = {column: table[column].map(_no_formula) for column in texts}
    return table.assign(**safe).to_csv(index=False)


def _no_formula(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
