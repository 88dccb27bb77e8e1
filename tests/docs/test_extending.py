"""The store in docs/extending.md passes what all stores have to pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retrievers.types import OpenStore
from tests.docs.pages import blocks
from tests.retrievers import test_store_conformance as conformance

PROMISES = [
    pytest.param(check, id=name)
    for name, check in vars(conformance).items()
    if name.startswith("test_") and list(inspect.signature(check).parameters) == ["open_store", "tmp_path"]
]


@pytest.fixture(scope="module")
def open_store() -> OpenStore:
    [code] = [block.text for block in blocks("python") if "class OneFileStore" in block.text]
    variables: dict[str, Any] = {"__name__": "extending"}
    exec(code, variables)  # noqa: S102 - the page's own snippet
    store: OpenStore = variables["OneFileStore"]
    return store


@pytest.mark.parametrize("check", PROMISES)
def test_the_store_keeps_a_promise(
    check: Callable[[OpenStore, Path], None], open_store: OpenStore, tmp_path: Path
) -> None:
    check(open_store, tmp_path)


def test_there_are_promises() -> None:
    assert len(PROMISES) > 5
