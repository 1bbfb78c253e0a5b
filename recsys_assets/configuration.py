"""Reading configuration: YAML without surprises, checked by a pydantic model, with errors that a person can act on.

What may be configured is in `platform` and `mapping`.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

ModelT = TypeVar("ModelT", bound=BaseModel)


class ConfigurationError(Exception):
    """`recsys.yaml` cannot be used; the message names the file, the key, the value and what would be right."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Keys and values of a YAML file.

    Raises:
        ConfigurationError: It cannot be read, is no YAML, or holds no keys.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({error}); set RECSYS_CONFIG to a recsys.yaml") from error
    try:
        content = yaml.load(text, _StrictLoader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: must hold keys and values such as `first_day: 2026-01-01`")
    return content


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, instead of silently taking the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.YAMLError(f"the key {name!r} is given twice, again in line {key.start_mark.line + 1}")
            seen.add(name)
        return super().construct_mapping(node, deep)


def checked(model: type[ModelT], content: dict[str, Any], where: str) -> ModelT:
    """Validate `content`, with errors that a person can act on.

    Args:
        model: The pydantic model to build.
        content: What was read.
        where: The file (and key) that it came from, for the message.

    Raises:
        ConfigurationError: One line for each wrong key.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [f"{where}: {_explain(detail, model)}" for detail in error.errors()]
        raise ConfigurationError("\n".join(lines)) from error


def _explain(detail: ErrorDetails, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "the whole file"
    if detail["type"] == "extra_forbidden":
        return f"{key}: unknown key{near(str(detail['loc'][-1]), _all_keys(model))}"
    if detail["type"] == "missing":
        return f"{key}: is required and missing"
    message = " ".join(detail["msg"].removeprefix("Value error, ").split())  # one line, as all others
    value = "" if isinstance(detail["input"], dict) else f" (it is {detail['input']!r})"
    return f"{key}: {message}{value}"


def _all_keys(model: type[BaseModel]) -> set[str]:
    """Every key that can occur somewhere in the model, to suggest the one that was meant."""
    keys: set[str] = set()
    for name, field in model.model_json_schema().get("properties", {}).items():
        keys |= {name, *field.get("properties", {})}
    for definition in model.model_json_schema().get("$defs", {}).values():
        keys |= set(definition.get("properties", {}))
    return keys


def near(name: str, known: Iterable[str]) -> str:
    """What may have been meant, to put behind an error; empty where nothing is close."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""
