"""Writing a new project from the template beside this module."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Mapping
from importlib import metadata
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from api_exchange_core.domain.errors import DeclarationError, PermanentError
from api_exchange_core.domain.names import function_name

_FILES = {
    "pyproject.toml": "pyproject.toml.tmpl",
    "README.md": "README.md.tmpl",
    ".gitignore": "gitignore.tmpl",
    "{package}/__init__.py": "init.py.tmpl",
    "{package}/shop.py": "shop.py.tmpl",
    "{package}/processors.py": "processors.py.tmpl",
    "{package}/exchange.py": "exchange.py.tmpl",
    "tests/test_exchange.py": "test_exchange.py.tmpl",
}


def scaffold(name: str, directory: Path) -> list[Path]:
    """Write the project *name* into a new folder of *directory*.

    Returns:
        The files that were written.

    Raises:
        DeclarationError: the name cannot be that of a project and its package.
        PermanentError: there is something already, or the folder cannot be written.
    """
    package = package_name(name)
    folder = directory / name
    words = {"name": name, "package": package, "version": metadata.version("api-exchange-core")}
    texts = {
        folder / target.format(package=package): _filled(source, words) for target, source in _FILES.items()
    }
    try:
        folder.mkdir(parents=True)
        for path, text in texts.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except FileExistsError:
        raise PermanentError(
            f"{str(folder)!r} exists already and is left as it is; choose another name or --directory"
        ) from None
    except OSError as error:
        raise PermanentError(f"could not write {error.filename!r}: {error.strerror}") from error
    return list(texts)


def _filled(source: str, words: Mapping[str, str]) -> str:
    text = (files("api_exchange_core.cli") / "template" / source).read_text(encoding="utf-8")
    return Template(text).substitute(words)


def package_name(project: str) -> str:
    """The import package of *project*: the same, with underscores.

    Raises:
        DeclarationError: it could not be imported, or would hide another package.
    """
    package = project.replace("-", "_")
    try:
        function_name(project)
    except DeclarationError:
        package = ""
    if not package.isidentifier():
        raise DeclarationError(
            f"{project!r} is no name for a project: use 3 to 59 lower-case letters, digits and single hyphens, "
            "with a letter at the start, such as 'order-sync'"
        )
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or package == "tests":
        raise DeclarationError(
            f"{project!r} means something else to Python; choose another name, such as '{project}-sync'"
        )
    if find_spec(package) is not None:
        raise DeclarationError(
            f"a package {package!r} is installed already, and the project's would hide it; choose another name"
        )
    return package
