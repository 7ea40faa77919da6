"""A button that copies the address of the page as it stands: whoever opens it sees the same view."""

from streamlit.components.v2 import component

_component = component(
    "normscope_copy_link",
    html="<button type='button'><span>Copy link to this view</span></button>",
    css="""
    button {
      width: 100%;
      padding: 0.4rem 0.75rem;
      border: 1px solid var(--st-border-color);
      border-radius: var(--st-base-radius);
      background: var(--st-secondary-background-color);
      color: var(--st-text-color);
      font: inherit;
      font-family: var(--st-font);
      cursor: pointer;
    }
    button:hover, button:focus-visible { border-color: var(--st-primary-color); color: var(--st-primary-color); }
    """,
    js="""
    export default function ({ parentElement }) {
      const button = parentElement.querySelector("button");
      const label = button.querySelector("span");
      button.onclick = async () => {
        const address = window.location.href;
        try {
          await navigator.clipboard.writeText(address);
          label.textContent = "Copied";
        } catch {
          // Over plain http from another machine browsers give no clipboard: show the address instead.
          window.prompt("Copy this address:", address);
        }
        setTimeout(() => { label.textContent = "Copy link to this view"; }, 1500);
      };
    }
    """,
)


def show_copy_link() -> None:
    """Draws the button."""
    _component(key="copy_link")
