"""What the core files are for."""

from __future__ import annotations

import pytest

from retrievers.layouts import READING_ORDER
from retrievers.roles import ROLES, role_id, role_of


@pytest.mark.parametrize("name", READING_ORDER)
def test_each_core_file_has_a_role(name: str) -> None:
    role = role_of(f"memory-bank/{name}.md")
    assert role is not None
    assert ROLES[role_id(role)] == role


def test_the_name_tells_the_role_wherever_the_file_lies() -> None:
    assert role_of("memory-bank/active-context.md") == role_of("activeContext.md")
    assert role_of("memory-bank/archive/tasks.md") == role_of("tasks.md")


def test_other_names_have_none() -> None:
    assert role_of("memory-bank/notes.md") is None
