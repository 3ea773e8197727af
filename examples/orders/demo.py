"""`make demo`: real orders from a vendor's API through fetch, transform and routing into queues, on one machine."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dependency_injector import providers
from pydantic import SecretStr
from rich.console import Console
from typing_extensions import override

from api_exchange_core import Exchange
from api_exchange_core.adapters.crypto.aes_gcm import KEYRING
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.system.secret_source import EnvironmentSecretSource
from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.containers.use_cases import UseCases
from examples.orders import acts
from examples.orders.acts import Deployment
from examples.orders.story import Story, keep_accounts, tell
from examples.orders.tally import Tally
from examples.orders.vendor import VendorApi

_LOOK_EVERY: Final = 0.1


@dataclass(frozen=True, slots=True)
class OnThisMachine(Deployment):
    """The runner of `api-exchange run`, in this process."""

    container: LocalContainer

    @property
    @override
    def place(self) -> str:
        return "Everything is in this process, and one database."

    @property
    @override
    def use_cases(self) -> UseCases:
        return self.container.use_cases()

    @property
    @override
    def keep_credentials(self) -> KeepCredentials:
        keep: KeepCredentials = self.container.operations.keep_credentials()
        return keep

    @override
    def fire(self, name: str) -> None:
        self.container.runner().tick(name)

    @override
    def run(self) -> Iterator[None]:
        while self.container.runner().waiting > 0:
            yield
            time.sleep(_LOOK_EVERY)

    @override
    def depths(self) -> Mapping[str, int]:
        return {str(name): depth for name, depth in self.container.queue().depths().items()}


def main() -> None:
    """Play the demo and print its table."""
    parser = argparse.ArgumentParser(prog="python -m examples.orders.demo", description=__doc__)
    parser.add_argument(
        "--database-url", help="sqlite:///FILE or postgresql://...; a fresh SQLite file if not given"
    )
    arguments = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="orders-demo-") as folder:
        url = arguments.database_url or f"sqlite:///{folder}/orders.db"
        tell(play(url, Path(folder), console), console)


def play(database_url: str, folder: Path, console: Console) -> Story:
    """Run the three acts over the database at *database_url*."""
    return acts.play(lambda exchange, tally: deployed(exchange, tally, database_url, folder), console)


@contextmanager
def deployed(exchange: Exchange, tally: Tally, database_url: str, folder: Path) -> Iterator[OnThisMachine]:
    """Make the tables, and let a runner work."""
    settings = LocalSettings(
        database_url=SecretStr(database_url),
        output_folder=folder / "output",
        port=0,
        timers=False,  # the acts fire the timer; a tick by the clock in between would count twice
    )
    container = prepared_container(exchange, settings, observer=tally)
    # A key of this process alone: what it has sealed nobody opens afterwards.
    keys = EnvironmentSecretSource({KEYRING: new_entry("demo")})
    container.secrets.override(providers.Object(keys))
    container.runner().start()
    try:
        yield OnThisMachine(container)
    finally:
        container.runner().stop()
        container.engine().dispose()


def set_accounts(container: LocalContainer, vendor: VendorApi) -> None:
    """Do for each tenant what ``api-exchange credentials set TENANT shop`` does."""
    keep_accounts(container.operations.keep_credentials(), vendor, container.exchange().tenants)


if __name__ == "__main__":
    main()
