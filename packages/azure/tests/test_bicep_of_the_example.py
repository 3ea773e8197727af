"""The Bicep of infra/azure: it is sound as far as can be told without its compiler, and fits the example."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Final

import pytest

from api_exchange_azure import create_function_app
from api_exchange_azure.containers import azure_container
from api_exchange_azure.settings import AzureSettings
from examples.orders.container import OrdersContainer
from examples.orders.exchange import declare
from infra.azure.package import ORDERS
from packages.azure.tests.bicep import Bicep

INFRA: Final = Path(__file__).parents[3] / "infra" / "azure"
MAIN: Final = INFRA / "main.bicep"
FILES: Final = [MAIN, *sorted((INFRA / "modules").glob("*.bicep"))]
SETTINGS: Final = {
    "database_url": "postgresql://app@127.0.0.1/exchange",
    "service_bus_namespace": "bus.example",
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_is_bicep_and_uses_what_it_declares(file: Path) -> None:
    bicep = Bicep.read(file)
    assert (bicep.mistakes, bicep.undeclared, bicep.unused) == ([], set(), set())


def test_a_mistake_would_be_seen(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.bicep"
    wrong.write_text("param name string\nvar twice = ['${nam}'\n")
    assert Bicep.read(wrong).mistakes
    wrong.write_text("param name string\nvar twice = '${nam}'\n")
    assert (Bicep.read(wrong).undeclared, Bicep.read(wrong).unused) == ({"nam"}, {"name", "twice"})


def test_modules_are_handed_what_they_ask_for_and_asked_for_what_they_tell() -> None:
    main = Bicep.read(MAIN)
    assert {path for path, _ in main.modules.values()} == set(FILES) - {MAIN}
    for name, (path, handed) in main.modules.items():
        module = Bicep.read(path)
        needed = {parameter for parameter, has_to in module.parameters.items() if has_to}
        assert needed <= handed <= module.parameters.keys(), path.name
        assert main.members_of(name) <= module.outputs, path.name


def test_nothing_holds_a_key() -> None:
    for file in FILES:
        source = file.read_text()
        assert not re.search(
            r"listKeys|listCredentials|AccountKey|SharedAccessKey|primaryKey|@secure", source
        ), file
    assert "allowSharedKeyAccess: false" in (INFRA / "modules" / "storage.bicep").read_text()
    assert "disableLocalAuth: true" in (INFRA / "modules" / "service-bus.bicep").read_text()
    assert "DisableLocalAuth: true" in (INFRA / "modules" / "monitoring.bicep").read_text()
    assert "passwordAuth: 'Disabled'" in (INFRA / "modules" / "database.bicep").read_text()


def test_each_queue_of_the_example_is_there() -> None:
    exchange = declare(OrdersContainer(shop_url="http://127.0.0.1"))
    main = Bicep.read(MAIN)
    assert set(main.texts_of("consumedQueues")) == {function.input_queue for function in exchange.functions}
    assert set(main.texts_of("handedOverQueues")) == {"express-orders", "standard-orders", "unknown-orders"}


def test_the_function_app_listens_to_these_queues_alone() -> None:
    exchange = declare(OrdersContainer(shop_url="http://127.0.0.1"))
    settings = AzureSettings(**SETTINGS)  # type: ignore[arg-type] # pydantic makes a secret of the text
    app = create_function_app(exchange, container=azure_container(exchange, settings))
    triggers = [function.get_trigger() for function in app.get_functions()]
    listening = {one.queue_name for one in triggers if one is not None and hasattr(one, "queue_name")}
    assert listening == set(Bicep.read(MAIN).texts_of("consumedQueues"))


def test_each_setting_is_one_that_the_framework_reads() -> None:
    known = {"API_EXCHANGE_" + name.upper() for name in AzureSettings.model_fields}
    for field in AzureSettings.model_fields.values():
        alias = field.validation_alias
        known |= {str(choice) for choice in getattr(alias, "choices", [])}
    given = {key for key in Bicep.read(MAIN).keys if key.startswith("API_EXCHANGE_")}
    assert len(given) > 5
    assert given <= known


def test_the_host_lets_a_message_of_a_session_take_as_long_as_it_renews_its_lock() -> None:
    host = json.loads((INFRA / "host.json").read_text())
    assert host["functionTimeout"] == host["extensions"]["serviceBus"]["maxAutoLockRenewalDuration"]
    assert host["extensions"]["http"]["routePrefix"] == ""


def test_contents_of_large_messages_outlive_every_wait_and_every_letter() -> None:
    queues = (INFRA / "modules" / "service-bus.bicep").read_text()
    waits = {int(days) for days in re.findall(r"defaultMessageTimeToLive: 'P(\d+)D'", queues)}
    storage = (INFRA / "modules" / "storage.bicep").read_text()
    least = re.search(r"@minValue\((\d+)\)\s+param keepPayloadsFor int = (\d+)", storage)
    assert least is not None
    # What was large when it came is not written again when it is buried.
    assert int(least[2]) >= int(least[1]) > sum(waits) == 14 + 90


@pytest.mark.slow
def test_the_package_has_what_the_host_loads_and_libraries_for_its_python(tmp_path: Path) -> None:
    ORDERS.write(tmp_path / "orders.zip")
    with zipfile.ZipFile(tmp_path / "orders.zip") as archive:
        names = archive.namelist()
    assert {"function_app.py", "host.json", "examples/orders/app.py"} <= set(names)
    libraries = {name.removeprefix(f"{ORDERS.libraries}/").split("/")[0] for name in names}
    assert {"api_exchange_core", "api_exchange_azure", "azure", "psycopg"} <= libraries
    assert not {"api_exchange_testing", "boto3", "pytest", "hypothesis"} & libraries
    compiled = [name for name in names if "cpython-" in name and name.endswith(".so")]
    assert compiled
    assert all("cpython-313-x86_64" in name for name in compiled)
