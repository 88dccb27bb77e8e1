"""Documents in Anthropic's messages: plain text goes on as words, in the tags that Anthropic's guide to prompts has."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field


def _check_is_text(media_type: Any) -> Any:
    if media_type != "text/plain":
        raise ValueError(f"{str(media_type)[:40]!r} cannot be read here: send the document's text, as text/plain")
    return media_type


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except ValueError:
        raise ValueError("must be a text of UTF-8 in base64") from None


def _check_cites_nothing(citations: dict[str, Any] | None) -> dict[str, Any] | None:
    if citations and citations.get("enabled"):
        raise ValueError("no model here cites its documents: leave it out")
    return citations


PlainText = Annotated[Literal["text/plain"], BeforeValidator(_check_is_text)]


class TextSource(BaseModel):
    """A document's text."""

    type: Literal["text"]
    media_type: PlainText = "text/plain"
    data: str


class EncodedSource(BaseModel):
    """A document's bytes; `data` is what they say."""

    type: Literal["base64"]
    media_type: PlainText
    data: Annotated[str, AfterValidator(_decoded)]


class DocumentBlock(BaseModel):
    """A document of plain text."""

    type: Literal["document"]
    source: Annotated[TextSource | EncodedSource, Field(discriminator="type")]
    title: str | None = None
    context: str | None = None
    citations: Annotated[dict[str, Any] | None, AfterValidator(_check_cites_nothing)] = None

    @property
    def text(self) -> str:
        """What the model reads of it."""
        told = {"source": self.title, "context": self.context, "document_content": f"\n{self.source.data}\n"}
        fields = "".join(f"<{name}>{text}</{name}>\n" for name, text in told.items() if text)
        return f"<document>\n{fields}</document>\n"
