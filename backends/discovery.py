"""What a model server has for the roles: reads it once, decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from backends.ollama_api import OllamaApi, same_model
from backends.types import BackendStatus, ModelCard
from config.errors import BackendUnavailable
from config.schema import Role, RoleSettings

Roles = Mapping[Role, RoleSettings]

LARGEST_ANSWER_SHARE = 4  # of the window: at most a quarter is kept for the answer


async def look_at_ollama(api: OllamaApi, roles: Roles, *, timeout_s: float) -> BackendStatus:
    """What an Ollama has of the configured models; none of them gives a status without models.

    Raises:
        BackendUnavailable: it does not answer within `timeout_s`.
        UpstreamBroken: what answers does not speak Ollama.
    """
    version = await api.version(timeout_s)
    pulled = await api.pulled()
    cards = {
        role: await _card(
            api, role, settings, settings.model, _num_ctx(roles, settings.model), weights_bytes=weights_bytes
        )
        for role, settings in roles.items()
        for name, weights_bytes in pulled.items()
        if same_model(settings.model, name)
    }
    missing = {role: pull for role, pull in pulls(roles).items() if role not in cards}
    reason = "Ollama answers" if cards else none_there(api.base_url, version, roles).message
    return BackendStatus("ollama", api.base_url, version, reason, cards, missing)


async def look_at_embedded(api: OllamaApi, roles: Roles, *, model: str, reason: str, timeout_s: float) -> BackendStatus:
    """The embedded backend, whose one model takes every role; raises as `look_at_ollama`."""
    version = await api.version(timeout_s)
    window = (await api.facts(model)).window_tokens or 0
    weights_bytes = (await api.pulled()).get(model)
    cards = {
        role: await _card(api, role, settings, model, window, weights_bytes=weights_bytes)
        for role, settings in roles.items()
    }
    return BackendStatus("embedded", api.base_url, version, reason, cards, pulls(roles))


def none_there(base_url: str, version: str | None, roles: Roles) -> BackendUnavailable:
    """The error for an Ollama without any of the configured models."""
    wanted = ", ".join(f"`{pull}`" for pull in pulls(roles).values())
    return BackendUnavailable(f"Ollama {version} at {base_url} has none of the configured models: type {wanted}.")


def pulls(roles: Roles) -> dict[Role, str]:
    """What to type to get each role's model."""
    return {role: f"ollama pull {settings.model}" for role, settings in roles.items()}


def _num_ctx(roles: Roles, model: str) -> int:
    """One window for all roles of a model: with two of them, every change of role would load it anew."""
    return max(settings.num_ctx for settings in roles.values() if same_model(settings.model, model))


async def _card(
    api: OllamaApi, role: Role, settings: RoleSettings, name: str, num_ctx: int, *, weights_bytes: int | None = None
) -> ModelCard:
    facts = await api.facts(name)
    window = min(num_ctx, facts.window_tokens or num_ctx)
    thinks = "thinking" in facts.capabilities
    return ModelCard(
        role=role,
        name=name,
        window_tokens=window,
        answer_limit_tokens=min(settings.answer_limit_tokens, window // LARGEST_ANSWER_SHARE),
        options={"num_ctx": window, "temperature": settings.temperature},
        tools="tools" in facts.capabilities,
        vision="vision" in facts.capabilities,
        thinking=thinks,
        think=settings.thinking if thinks else None,
        weights_bytes=weights_bytes,
        cached_values_per_token=facts.cached_values_per_token,
    )
