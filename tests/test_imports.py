"""Who may import whom: the rules of the house as folders, held over the import statements themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("explorer", "train")
HOMES = {  # package -> the only places that import it
    "streamlit": ("app.py", "explorer/app/", "explorer/pages/"),
    "altair": ("explorer/app/",),
    "pytorch_grad_cam": ("explorer/heatmaps/",),
    "train": ("train/",),
    "explorer.app": ("app.py", "explorer/app/", "explorer/pages/"),
    "explorer.pages": ("explorer/pages/",),
    "explorer.__main__": (),
}
MAY_IMPORT = {  # room -> what of the explorer it may import besides itself
    "explorer/registry": (),
    "explorer/marks": (),
    "explorer/places": (),
    "explorer/words": (),
    "explorer/images": (),
    "explorer/models": ("explorer.registry",),
    "explorer/datasets": ("explorer.images", "explorer.places", "explorer.registry"),
    "explorer/predictions": ("explorer.registry", "explorer.words"),
    "explorer/heatmaps": ("explorer.models", "explorer.images", "explorer.registry", "explorer.words"),
    "explorer/runs": ("explorer.models", "explorer.predictions", "explorer.registry", "explorer.words"),
    "explorer/results": ("explorer.marks", "explorer.runs"),
}
VALUES_ONLY = ("explorer/predictions/", "explorer/heatmaps/", "explorer/models/", "explorer/images.py")
WITHOUT_TORCH = ("explorer.predictions", "explorer.runs", "explorer.marks", "explorer.registry", "explorer.results")


def sources() -> list[str]:
    """Every source file of the project, from the root."""
    files = [ROOT / "app.py", *(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))]
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def imports_of(text: str) -> set[str]:
    """The modules a source imports anywhere; `from a import b` gives `a.b` too, which may be a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def below(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def wrong_imports(source: str, imported: set[str]) -> list[str]:
    """The imports of a source file that break a rule."""
    wrong = [
        module
        for module in imported
        for package, homes in HOMES.items()
        if below(module, package) and not source.startswith(homes or "nowhere")
    ]
    for room, allowed in MAY_IMPORT.items():
        if source == f"{room}.py" or source.startswith(f"{room}/"):
            valid = (room.replace("/", "."), *allowed)
            inner = [module for module in imported if below(module, "explorer") and module != "explorer"]
            wrong += [module for module in inner if not any(below(module, package) for package in valid)]
    if source.startswith(VALUES_ONLY):
        wrong += [module for module in imported if below(module, "pathlib")]
    return sorted(wrong)


@pytest.mark.parametrize("source", sources())
def test_every_file_keeps_to_the_rules(source: str) -> None:
    assert wrong_imports(source, imports_of((ROOT / source).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("explorer/images.py", "import streamlit as st"),
        ("explorer/pages/overview.py", "import altair"),
        ("explorer/app/session.py", "from pytorch_grad_cam import GradCAM"),
        ("explorer/runs/__init__.py", "from train.recipes import Recipe"),
        ("explorer/heatmaps/gradcam.py", "from explorer.runs import Run"),
        ("explorer/predictions/metrics.py", "def f():\n    from explorer.datasets import load_dataset"),
        ("explorer/predictions/filters.py", "from explorer.runs import Run"),
        ("explorer/predictions/filters.py", "from pathlib import Path"),
        ("explorer/models/norms.py", "from explorer.runs import Run"),
        ("explorer/datasets/elpv.py", "from explorer.app.session import dataset"),
        ("explorer/results.py", "from explorer.predictions.verdict import verdict"),
        ("explorer/__main__.py", "from explorer.app.session import model"),
        ("explorer/app/frame.py", "from explorer.pages.overview import show_page"),
        ("train/job.py", "from explorer.app.charts import accuracy_chart"),
    ],
)
def test_the_rules_notice(source: str, line: str) -> None:
    assert wrong_imports(source, imports_of(line)) != []


def test_what_the_first_page_waits_for_imports_no_torch() -> None:
    imported = "; ".join(f"import {module}" for module in WITHOUT_TORCH)
    program = f"{imported}; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
