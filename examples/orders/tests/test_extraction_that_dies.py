"""Whatever step a process dies at while it extracts the orders, another one completes them, each once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from api_exchange_testing import RecordingObserver, VirtualClock
from examples.orders.tests.dying import Deaths, explored
from examples.orders.tests.machine import START, Machine, Site, book_of
from examples.orders.vendor import VendorApi

EACH, PAGE = 3, 2
PAGES_EACH = 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_process_may_be_killed_at_each_page_and_anywhere_in_between(tmp_path: Path) -> None:
    file = tmp_path / "orders.db"
    with VendorApi(orders=EACH) as shop:
        site = Site(database_url=f"sqlite:///{file}", shop_url=shop.url)
        site.set_up(shop)
        with site.process(RecordingObserver()) as container:
            Machine(container, VirtualClock(START)).tick()
        begun = shutil.copy(file, tmp_path / "begun")
        steps = explored(Deaths(site=site, begun=Path(begun), page_size=PAGE, book=book_of(shop)))
    assert steps.count("after pages.next") == len(shop.tenants) * PAGES_EACH
    assert steps.count("between pages") == PAGES_EACH
