"""Who may import whom: the rules of the house, held over the import statements themselves."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAVES = ("metrics", "comparison", "heatmaps", "images", "charts")  # take values, never a path or a run
ABOUT_MODELS = ("capacity", "learn")  # take values as well, and build models to speak of
STAGED = "explorer.architectures.staged"  # what a model is: a value
HOMES = {  # package -> the only files that import it
    "streamlit": ("app.py", "explorer/session.py", "explorer/pages/"),
    "altair": ("explorer/charts.py",),
    "pytorch_grad_cam": ("explorer/heatmaps.py",),
    "train": ("train/",),
}
MAY_IMPORT = {  # part -> the parts of the explorer that it may import besides itself
    "explorer/norms": (),
    "explorer/architectures": ("explorer.norms",),
    "explorer/datasets": ("explorer.images",),
    "explorer/marks": (),
    "explorer/runs": ("explorer.architectures", "explorer.metrics", "explorer.norms"),
    **{
        f"explorer/{leaf}": (STAGED, "explorer.marks", *(f"explorer.{other}" for other in LEAVES[:-1]))
        for leaf in LEAVES
    },
    **{f"explorer/{name}": ("explorer.architectures", "explorer.norms") for name in ABOUT_MODELS},
    "explorer/failures": ("explorer.comparison",),
    "explorer/explain": (STAGED, "explorer.heatmaps"),
    "explorer/bundle": ("explorer.explain", "explorer.images"),
    "explorer/results": ("explorer.marks", "explorer.runs"),
}
INNER_HOMES = {  # module -> the only files that import it
    "explorer.session": ("app.py", "explorer/session.py", "explorer/pages/"),
    "explorer.pages": ("app.py", "explorer/pages/"),
    "explorer.charts": ("explorer/pages/",),
    "explorer.__main__": (),
}


def sources() -> list[str]:
    """Every source file of the project, from the root."""
    files = [ROOT / "app.py", *(ROOT / "explorer").rglob("*.py"), *(ROOT / "train").rglob("*.py")]
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
        for package, homes in (HOMES | INNER_HOMES).items()
        if below(module, package) and not source.startswith(homes)
    ]
    for part, allowed in MAY_IMPORT.items():
        if source == f"{part}.py" or source.startswith(f"{part}/"):
            valid = (part.replace("/", "."), *allowed)
            inner = [module for module in imported if below(module, "explorer") and module != "explorer"]
            wrong += [module for module in inner if not any(below(module, package) for package in valid)]
    return sorted(wrong)


@pytest.mark.parametrize("source", sources())
def test_every_file_keeps_to_the_rules(source: str) -> None:
    assert wrong_imports(source, imports_of((ROOT / source).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("explorer/images.py", "import streamlit as st"),
        ("explorer/pages/overview.py", "import altair"),
        ("explorer/session.py", "from pytorch_grad_cam import GradCAM"),
        ("explorer/runs.py", "from train.recipes import Recipe"),
        ("explorer/heatmaps.py", "from explorer.runs import Run"),
        ("explorer/charts.py", "from explorer import runs"),
        ("explorer/metrics.py", "def f():\n    from explorer.datasets import load_dataset"),
        ("explorer/norms.py", "from explorer.architectures import ARCHITECTURES"),
        ("explorer/architectures/resnet.py", "import explorer.runs"),
        ("explorer/datasets/elpv.py", "from explorer.session import dataset"),
        ("explorer/heatmaps.py", "from explorer.architectures import build_model"),
        ("explorer/failures.py", "from explorer.runs import Run"),
        ("explorer/bundle.py", "from explorer.runs import Run"),
        ("explorer/explain.py", "from explorer.runs import Run"),
        ("explorer/results.py", "from explorer.comparison import verdict"),
        ("explorer/__main__.py", "from explorer.session import model"),
        ("train/job.py", "from explorer.charts import accuracy_chart"),
    ],
)
def test_the_rules_notice(source: str, line: str) -> None:
    assert wrong_imports(source, imports_of(line)) != []


@pytest.mark.parametrize("source", sources())
def test_a_leaf_takes_no_path(source: str) -> None:
    leaf = source.removeprefix("explorer/").removesuffix(".py")
    if leaf in LEAVES:
        assert not [m for m in imports_of((ROOT / source).read_text(encoding="utf-8")) if below(m, "pathlib")]
