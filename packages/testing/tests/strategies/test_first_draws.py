"""What the strategies make Hypothesis work out when a folder runs its first test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_DRAWS = """
from typing import Annotated
from hypothesis import Phase, given, settings
from pydantic import BaseModel, Field
from api_exchange_testing.strategies import batches, function_names, messages, payloads_of

class Order(BaseModel):
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]

@settings(max_examples=1, database=None, deadline=None, phases=[Phase.generate])
@given(messages(payload=payloads_of(Order)), batches(), function_names())
def draw(message, batch, name):
    pass

draw()
"""


def test_they_do_not_make_it_try_all_of_unicode(tmp_path: Path) -> None:
    surroundings = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)}
    subprocess.run([sys.executable, "-c", _DRAWS], env=surroundings, check=True, timeout=120)
    assert not list(tmp_path.rglob("codec*"))
