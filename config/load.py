"""The only reader of configuration files and of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, SecretStr, ValidationError

from config.errors import ConfigError
from config.schema import KEEP_ALIVE, ModelsFile
from config.settings import HTTP_URL, ServerFile, Settings

_Model = TypeVar("_Model", bound=BaseModel)

CONFIG_DIR_VARIABLE = "ROUTER_CONFIG_DIR"
API_KEY_VARIABLE = "API_KEY"
_USER_INFO = re.compile(r"(?<=://).*@", re.DOTALL)
QDRANT_KEY_VARIABLE = "QDRANT_API_KEY"
ENVIRONMENT_KEYS: Mapping[str, tuple[str, str]] = {
    "HOST": ("server", "host"),
    "PORT": ("server", "port"),
    "OLLAMA_BASE_URL": ("backend", "base_url"),
    "LOG_LEVEL": ("logging", "level"),
    "VECTOR_STORE_PATH": ("paths", "vector_store_path"),
    "MODEL_CACHE_DIR": ("paths", "model_cache_dir"),
}


# What a pattern of the schema asks for.
_IN_WORDS = {
    HTTP_URL: "must be an http or https URL, such as http://localhost:11434",
    KEEP_ALIVE: "must be -1, 0, or a number with s, m or h, such as 30m",
}


def load_settings(config_dir: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read `models.yaml`, `server_config.yaml`, `.env` and the environment; later ones win.

    Args:
        config_dir: where the two files are; default: `ROUTER_CONFIG_DIR`, else this package's own folder.
        environment: default: `.env` of the working directory, overlaid by the process's environment.

    Raises:
        ConfigError: a file is missing or a value is wrong; names file, key, value and bound.
    """
    if environment is None:
        # An empty variable is as good as none: `make run` exports HOST= and PORT=, which must not hide those of .env.
        environment = {**_read_dotenv(Path(".env")), **{key: text for key, text in os.environ.items() if text.strip()}}
    folder = config_dir or Path(environment.get(CONFIG_DIR_VARIABLE) or Path(__file__).parent)
    models = _validate(ModelsFile, _read_yaml(folder / "models.yaml"), {}, folder / "models.yaml")
    values = _read_yaml(folder / "server_config.yaml")
    sources = _overlay(values, environment)
    server = _validate(ServerFile, values, sources, folder / "server_config.yaml")
    return Settings(
        models=models,
        api_key=_secret(environment, API_KEY_VARIABLE),
        qdrant_api_key=_secret(environment, QDRANT_KEY_VARIABLE),
        **{name: getattr(server, name) for name in ServerFile.model_fields},
    )


def ollama_variables(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """What is set of Ollama's own variables, as this shell has them; Ollama, as a service, may have others."""
    known = os.environ if environment is None else environment
    return {key: value for key, value in known.items() if key.startswith("OLLAMA_") and value.strip()}


def _secret(environment: Mapping[str, str], variable: str) -> SecretStr | None:
    key = environment.get(variable, "").strip()
    return SecretStr(key) if key else None


def _read_dotenv(path: Path) -> dict[str, str]:
    try:
        return {key: value for key, value in dotenv_values(path, interpolate=False).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__}): make it a readable UTF-8 file.") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: put it back, or unset {CONFIG_DIR_VARIABLE}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__}): make it a readable UTF-8 file.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML; mend the indentation or quoting there.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: the top level must be a mapping of keys, not a {type(content).__name__}.")
    return content


def _overlay(values: dict[str, Any], environment: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Write the environment's values over the file's, in place; returns which variable set which key."""
    sources: dict[tuple[str, str], str] = {}
    for variable, (section, key) in ENVIRONMENT_KEYS.items():
        if text := environment.get(variable, "").strip():
            block = values.setdefault(section, {})
            if isinstance(block, dict):
                block[key] = text.lower() if variable == "LOG_LEVEL" else text
                sources[section, key] = variable
    return sources


def _validate(
    schema: type[_Model], values: dict[str, Any], sources: Mapping[tuple[str, str], str], path: Path
) -> _Model:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problems = [_describe(problem["loc"], problem, sources, path) for problem in error.errors()]
        raise ConfigError("\n".join(problems)) from None


def _describe(
    location: tuple[int | str, ...],
    problem: Mapping[str, Any],
    sources: Mapping[tuple[str, str], str],
    path: Path,
) -> str:
    key = ".".join(str(part) for part in location)
    bound = _IN_WORDS.get(problem.get("ctx", {}).get("pattern"), str(problem["msg"]).removeprefix("Value error, "))
    if problem["type"] == "extra_forbidden":
        return f"{path}: {key} is not a known key; remove it or mend its spelling."
    if problem["type"] == "missing":
        return f"{path}: {key} is missing; add it."
    variable = sources.get((str(location[0]), str(location[1]))) if len(location) > 1 else None
    origin = f"environment variable {variable} ({key})" if variable else f"{path}: {key}"
    value = problem["input"]
    shown = f" = {_USER_INFO.sub('…@', repr(value))}" if not isinstance(value, dict | list) else ""
    return f"{origin}{shown}: {bound[:1].lower()}{bound[1:]}."
