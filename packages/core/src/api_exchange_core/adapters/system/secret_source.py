"""Secrets of the machine: environment variables, or files of a folder, as container platforms mount them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from typing_extensions import override

from api_exchange_core.domain.errors import TransientError
from api_exchange_core.ports.secret_source import SecretSource

_FILE = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,254})")
_NOT_READABLE: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def secret_source(folder: Path | None) -> SecretSource:
    """The files of *folder* as secrets; environment variables if there is none."""
    return EnvironmentSecretSource() if folder is None else FolderSecretSource(folder)


@dataclass(frozen=True, slots=True)
class EnvironmentSecretSource(SecretSource):
    """Each secret is an environment variable of this process. A change is seen by processes that start after it."""

    variables: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    @override
    def secret(self, name: str) -> bytes:
        if name not in self.variables:
            raise LookupError(f"the environment variable {name!r} is not set")
        return self.variables[name].encode(
            "utf-8", "surrogateescape"
        )  # as the bytes that the system handed over


@dataclass(frozen=True, slots=True)
class FolderSecretSource(SecretSource):
    """Each secret is the content of a file, named as the secret is, and read anew each time.

    Kubernetes, Docker and others mount secrets so, and replace the files of running containers. A line break at the
    end of a file is a part of the secret.
    """

    folder: Path

    @override
    def secret(self, name: str) -> bytes:
        if not _FILE.fullmatch(name):
            raise LookupError(f"{name!r} is no name of a file in the folder {str(self.folder)!r}")
        try:
            return (self.folder / name).read_bytes()
        except _NOT_READABLE as error:
            raise LookupError(
                f"the file {name!r} in the folder {str(self.folder)!r} cannot be read: {error.strerror}"
            ) from None
        except OSError as error:
            raise TransientError(
                f"the file {name!r} in the folder {str(self.folder)!r}: {error.strerror}"
            ) from error
