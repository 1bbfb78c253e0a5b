"""Reads the services of `compose.yaml` as they are run on this machine: other places, other ports, the rest the same.

Starting them is the business of `supervisor`; where programs of other images are found is that of `programs`.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[1]
LEFT_OUT = {"s3", "bucket", "recsys"}
"""Services that are not started: the bucket of the file is a folder here, or the shop's own; commands are not kept."""
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<sign>:?-)(?P<default>[^}]*))?\})")
EVERYWHERE, HERE = "0.0.0.0", "127.0.0.1"  # noqa: S104 - what is looked for, to be replaced


class ComposeError(Exception):
    """`compose.yaml` says something that cannot be done here."""


@dataclass(frozen=True)
class Service:
    """One service, ready to be started.

    Attributes:
        name: As in the file.
        command: Program and arguments.
        environment: Its own variables.
        check: The command that says with its exit code whether the service is healthy.
        needs: Services that must be healthy before.
        port: Where it listens; None where it does not.
        stop_signal: Ends it in order.
        stop_seconds: How long that may take.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    check: tuple[str, ...]
    needs: tuple[str, ...]
    port: int | None
    stop_signal: str
    stop_seconds: float


@dataclass(frozen=True)
class Places:
    """What stands on this machine for what stands in the containers.

    Attributes:
        ports: Service to its port.
        paths: Path in a container to the path here.
    """

    ports: Mapping[str, int]
    paths: Mapping[str, Path]


def listening_services(document: Mapping[str, Any]) -> dict[str, int]:
    """Services that listen, each with its port inside its container."""
    return {
        name: int(service["expose"][0])
        for name, service in document["services"].items()
        if name not in LEFT_OUT and service.get("expose")
    }


def read_document(variables: Mapping[str, str]) -> dict[str, Any]:
    """The file, with its variables filled in."""
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    filled: dict[str, Any] = _filled(document, variables)
    return filled


def read_services(document: Mapping[str, Any], places: Places) -> dict[str, Service]:
    """Every service that is started here.

    Args:
        document: Of `read_document`.
        places: What stands here for what stands in the containers.

    Raises:
        ComposeError: A service has no health check.
    """
    inside = listening_services(document)
    ours = {content["image"] for content in document["services"].values() if "build" in content}
    return {
        name: _service(
            name,
            content,
            entrypoint=_entrypoint() if content["image"] in ours else [],
            translate=translator(inside, places),
            port=places.ports.get(name),
        )
        for name, content in document["services"].items()
        if name not in LEFT_OUT
    }


def translator(inside: Mapping[str, int], places: Places) -> Callable[[str], str]:
    """Writes a text of the file as it is said on this machine.

    Args:
        inside: Service to its port inside its container.
        places: What stands here for it.
    """
    ports = {str(port): str(places.ports[name]) for name, port in inside.items()}
    numbers = re.compile(rf"(?<![\w.])({'|'.join(ports)})(?![\w.])")
    hosts = re.compile(rf"(?<![\w.-])({'|'.join(inside)})(?=:\d)")
    paths = re.compile("|".join(re.escape(path) for path in sorted(places.paths, key=len, reverse=True)) or "(?!)")

    def translate(text: str) -> str:
        text = hosts.sub(HERE, text).replace(EVERYWHERE, HERE)
        text = numbers.sub(lambda found: ports[found[0]], text)
        return paths.sub(lambda found: str(places.paths[found[0]]), text)

    return translate


def _service(
    name: str,
    content: Mapping[str, Any],
    *,
    entrypoint: Sequence[str],
    translate: Callable[[str], str],
    port: int | None,
) -> Service:
    if "healthcheck" not in content:
        raise ComposeError(f"service {name} of compose.yaml has no healthcheck; nobody could say when it is ready")
    arguments = [str(argument) for argument in content.get("command", ())]
    kind, *check = content["healthcheck"]["test"]
    return Service(
        name=name,
        command=(*entrypoint, *(translate(one) for one in arguments)),
        environment={
            key: HERE if key.endswith("_HOST") else translate(str(value))
            for key, value in content.get("environment", {}).items()
        },
        check=("sh", "-c", translate(check[0])) if kind == "CMD-SHELL" else tuple(translate(one) for one in check),
        needs=tuple(one for one in content.get("depends_on", {}) if one not in LEFT_OUT),
        port=port,
        stop_signal=content.get("stop_signal", "SIGTERM"),
        stop_seconds=_seconds(content.get("stop_grace_period", "10s")),
    )


def _entrypoint() -> list[str]:
    """Of our own image, as its Dockerfile says it; the programs of other images are found by `programs`."""
    said = re.search(r"^ENTRYPOINT (\[.*\])$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    if said is None:
        raise ComposeError("deploy/Dockerfile has no ENTRYPOINT")
    program, script = json.loads(said[1])
    return [program, str(DEPLOY / Path(script).name)]


def _seconds(text: str) -> float:
    number, unit = float(text[:-1]), text[-1]
    return number * {"s": 1, "m": 60}[unit]


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: _value(found, variables), value)
    if isinstance(value, dict):
        return {key: _filled(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, variables) for one in value]
    return value


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    """What stands for a variable, as Compose does it: `:-` also replaces what is empty, `-` only what is not set."""
    if found["dollar"]:
        return "$"
    given = variables.get(found["name"])
    is_missing = given is None or (found["sign"] == ":-" and not given)
    return (found["default"] or "") if is_missing else str(given)
