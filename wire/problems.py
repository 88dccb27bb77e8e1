"""What is wrong with a body that pydantic checked, without the client's text."""

from __future__ import annotations

from pydantic import ValidationError

from config.errors import BadRequest


def first_problem(error: ValidationError, *, whole: str = "body") -> BadRequest:
    """The first problem, named by its field, or as `whole` where the value itself is wrong."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in problem["loc"]) or whole
    return BadRequest(f"{field}: {problem['msg']}.", param=field)
