"""Ollama's `options`: their defaults, their types, and what llama-server calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.embedded.replies import ApiError

# Source: Ollama `api/types.go`, `DefaultOptions`.
_NUMBERS: Mapping[str, float] = {
    "temperature": 0.8,
    "top_p": 0.9,
    "min_p": 0.0,
    "typical_p": 1.0,
    "repeat_penalty": 1.1,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
_INTEGERS: Mapping[str, int] = {"top_k": 40, "repeat_last_n": 64}
_SMALLEST_WINDOW_TOKENS = 4
_SEED_MASK = 0xFFFFFFFF
_LARGEST_INTEGER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Options:
    """`window_tokens` is the limit asked for, or None; `num_predict` below 0: until the window is full."""

    sampling: Mapping[str, Any]
    stop: tuple[str, ...]
    num_predict: int
    window_tokens: int | None


def parse_options(raw: Mapping[str, Any]) -> Options:
    """Unknown names are ignored, as Ollama does; a wrong type raises `ApiError` 400 in Ollama's words."""
    sampling: dict[str, Any] = {name: _number(raw, name, default) for name, default in _NUMBERS.items()}
    sampling |= {name: _integer(raw, name, default) for name, default in _INTEGERS.items()}
    # llama-server reads 2^32 - 1 as "draw one", which is what Ollama's -1 means.
    sampling["seed"] = _seed(raw.get("seed")) & _SEED_MASK
    window = None if raw.get("num_ctx") is None else _integer(raw, "num_ctx", 0)
    return Options(
        sampling=sampling,
        stop=_stop(raw.get("stop")),
        num_predict=_integer(raw, "num_predict", -1),
        window_tokens=None if window is None else max(window, _SMALLEST_WINDOW_TOKENS),
    )


def _number(raw: Mapping[str, Any], name: str, default: float) -> float:
    value = raw.get(name)
    if value is None:
        return default
    if not _is_number(value):
        raise ApiError(400, f'option "{name}" must be of type float32')
    return float(value)


def _integer(raw: Mapping[str, Any], name: str, default: int) -> int:
    value = raw.get(name)
    if value is None:
        return default
    if not _is_number(value) or int(value) != value:
        raise ApiError(400, f'option "{name}" must be of type integer')
    return max(-_LARGEST_INTEGER, min(int(value), _LARGEST_INTEGER))


def _seed(value: object) -> int:
    """Any integer is a seed; clients send 64 bits, llama.cpp takes 32."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _integer({"seed": value}, "seed", -1)


def _is_number(value: object) -> bool:
    """Comparing first keeps NaN, infinity and integers too large for a float out of all arithmetic."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -_SEED_MASK <= value <= _SEED_MASK


def _stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ApiError(400, 'option "stop" must be of type array of strings')
    return tuple(text for text in value if text)
