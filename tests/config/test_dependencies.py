"""docs/dependencies.md says why each package that we name is there, and under which licence."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")


def named(file: str) -> list[str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [re.split(r"[\[;<>= ]", line)[0] for line in lines if line and not line.startswith("#")]


def rows() -> dict[str, list[str]]:
    """Package to the other cells of its row."""
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in GUIDE.splitlines() if line[:1] == "|"]
    found = {}
    for names, *cells in table[2:]:
        for name in names.split(","):
            found[re.sub(r"\s*\(.*?\)", "", name).strip().lower()] = cells
    return found


def test_every_package_of_the_service_has_its_licence_and_its_reason() -> None:
    told = rows()
    for name in named("requirements.in"):
        licence, reason = told[name.lower()]
        assert licence, name
        assert len(reason) > len(name), name


def test_every_package_of_checks_and_tests_is_named() -> None:
    used = [name for name in named("requirements-dev.in") if not name.startswith("types-")]
    assert [name for name in used if not re.search(rf"\b{re.escape(name.lower())}\b", GUIDE.lower())] == []


def test_what_langserve_may_be_used_for_is_told() -> None:
    licence, reason = rows()["langserve"]
    assert "not to be offered" in licence
    assert "only mends LangServe" in reason
