"""Finding the exchange that a command line names."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from api_exchange_core.domain.errors import DeclarationError, ExchangeError
from api_exchange_core.domain.exchange import Exchange
from api_exchange_core.domain.payload_model import invalid_payload

DEFAULT_ATTRIBUTE = "exchange"


def load_exchange(target: str) -> Exchange:
    """Import the exchange called *target*, looking in the current folder first, as `python -m` does.

    Args:
        target: ``module:attribute``; the attribute is ``exchange`` if it is left out.

    Raises:
        DeclarationError: there is no such exchange, or importing it failed; names the file and line of the failure.
    """
    name, colon, attribute = target.partition(":")
    if not colon:
        attribute = DEFAULT_ATTRIBUTE
    if name.endswith(".py") or not all(part.isidentifier() for part in [*name.split("."), attribute]):
        raise DeclarationError(_no_target(target, name, attribute))
    module = _imported(name)
    if not hasattr(module, attribute):
        raise DeclarationError(f"module {name!r} has no {attribute!r}; {_exchanges_of(module)}")
    found = getattr(module, attribute)
    if not isinstance(found, Exchange):
        mend = _exchanges_of(found if isinstance(found, ModuleType) else module)
        raise DeclarationError(f"'{name}:{attribute}' is no Exchange, but a {type(found).__name__}; {mend}")
    return found


def _no_target(target: str, name: str, attribute: str) -> str:
    mend = "use module:attribute, such as shop.exchange:exchange"
    path = Path(name)
    if path.suffix == ".py" or len(path.parts) > 1:
        mend = f"name the module, not the file: {'.'.join(path.with_suffix('').parts)}:{attribute}"
    return f"{target!r} names no exchange; {mend}"


def _imported(name: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except SystemExit as error:
        raise DeclarationError(f"module {name!r} ended the program with exit code {error.code!r}") from error
    except Exception as error:
        raise DeclarationError(_import_failure(name, folder, error)) from error


def _import_failure(name: str, folder: str, error: Exception) -> str:
    place = _place(error, folder)
    if place is None:
        return f"no module {name!r} was found from {folder} on: {error}"
    return f"module {name!r} could not be imported: {place}: {_text(error)}"


def _place(error: Exception, folder: str) -> str | None:
    """File and line of the failure in the application's own code, or else where it came from; None: not found."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return _shown(error.filename, error.lineno, folder)
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)
    ]
    own = [frame for frame in frames if _is_own(frame.filename, folder)]
    frame = next(reversed(own or frames), None)
    return None if frame is None else _shown(frame.filename, frame.lineno, folder)


def _is_machinery(file: str) -> bool:
    return file in (__file__, importlib.__file__) or file.startswith("<frozen importlib")


def _is_own(file: str, folder: str) -> bool:
    path = Path(file)
    return path.is_relative_to(folder) and "site-packages" not in path.parts


def _shown(file: str, line: int | None, folder: str) -> str:
    path = Path(file)
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    return f"{shown}:{line}"


def _text(error: Exception) -> str:
    """One line. Our own errors say it all; of others the class is a part of what they say."""
    if isinstance(error, ValidationError):  # settings that do not fit; pydantic's own text quotes them
        error = invalid_payload(error, where=error.title)
    said = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
    return said if isinstance(error, ExchangeError) else f"{type(error).__name__}: {said}".removesuffix(": ")


def _exchanges_of(module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if isinstance(value, Exchange)]
    if not names:
        return f'declare one there: {DEFAULT_ATTRIBUTE} = Exchange("orders")'
    return f"its exchanges: {', '.join(f'{module.__name__}:{name}' for name in names)}"
