"""The exact values to paste into Cline."""

from __future__ import annotations

from collections.abc import Mapping

from backends.types import ModelCard
from config.schema import Role
from config.settings import Settings
from wire.models import reliable_window


def cline_settings(settings: Settings, base_url: str, models: Mapping[Role, ModelCard]) -> dict[str, str]:
    """By the names of Cline's fields; `base_url` is where the service listens, without a path."""
    window = reliable_window(models)
    return {
        "Base URL": f"{base_url}/v1",
        "API key": "the one in API_KEY" if settings.api_key else "anything, for example sk-local",
        "Model ID": settings.server.model_id,
        "Context window size": str(window) if window else "told here once a model is there",
    }
