"""The Python examples of README and docs run, each page's one after the other, as a reader would type them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page
    for pattern in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/**/*.md",
        "packages/*/README.md",
        "examples/**/*.md",
    )
    for page in ROOT.glob(pattern)
    if "```python" in page.read_text(encoding="utf-8")
)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_there_are_examples() -> None:
    assert ROOT / "README.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "example"}
    for block in BLOCK.finditer(text):
        first_line = text.count("\n", 0, block.start(1))
        source = "\n" * first_line + block[1]
        exec(compile(source, str(page), "exec", dont_inherit=True), names)  # not with this file's __future__
    for name, value in list(names.items()):
        if name.startswith("test_") and callable(value):
            value()
