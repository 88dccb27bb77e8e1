"""The page's templates, with everything escaped: what is shown may come from anybody's files."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from chains.ledger import Ledger
from wire.ages import age
from wire.page.picture import PARTS, context_bar
from wire.page.recent import KEPT

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - of no use until the page is opened

    made = Environment(
        loader=PackageLoader("wire.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"seconds": seconds, "age": age, "thousands": thousands, "gigabytes": gigabytes}
    made.globals |= {"context_bar": _bar, "parts": PARTS}
    return made


def render(template: str, **values: Any) -> Markup:
    """One template of this package as HTML; only what this gave is put into another one unescaped."""
    return Markup(_environment().get_template(template).render(**values))  # noqa: S704 - the template escapes


def seconds(value: float | None) -> str:
    """A duration for people; a dash where it is not known."""
    if value is None:
        return "–"
    if value >= 60:  # noqa: PLR2004 - a minute
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms" if value else "0 s"


def thousands(value: int) -> str:
    """A count with its thousands parted."""
    return f"{value:,}"


def gigabytes(value: float) -> str:
    """Bytes as GB."""
    return f"{value / 1e9:.1f} GB"


@lru_cache(maxsize=2 * KEPT)
def _bar(ledger: Ledger) -> Markup:
    return render("bar.html", ledger=ledger, parts=context_bar(ledger))
