#!/usr/bin/env python3
"""Runs a command with its secrets read from files: the entrypoint of every container, and of `make stack`.

For each variable below, `NAME_FILE` names a file whose content becomes `NAME`. Variables that are empty are dropped,
because Compose cannot leave one out. Only the standard library belongs here; what the variables mean stays out.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

NAMES = (
    "RECSYS_REDIS_URL",
    "DAGSTER_PG_PASSWORD",
    "MLFLOW_BACKEND_STORE_URI",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "SLACK_TOKEN",
)


class SecretError(Exception):
    """A secret cannot be read; the message names the variable and the file, never the content."""


def with_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that a command gets.

    Args:
        environment: Variables, some of them `NAME_FILE`.

    Returns:
        The same without empty ones, and with `NAME` instead of `NAME_FILE`; an empty file leaves `NAME` unset.

    Raises:
        SecretError: A file cannot be read, or both `NAME` and `NAME_FILE` are given.
    """
    found = {name: value for name, value in environment.items() if value}
    for name in NAMES:
        file = found.pop(f"{name}_FILE", None)
        if file is None:
            continue
        if name in found:
            raise SecretError(f"both {name} and {name}_FILE are set; unset one of them")
        try:
            value = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise SecretError(
                f"{name}_FILE: {file} cannot be read ({why}); make it with deploy/make_secrets.py, and let this "
                f"process's user (uid {os.getuid()}) read it"
            ) from error
        if value:
            found[name] = value
    return found


def main() -> None:
    """Become the command."""
    command = sys.argv[1:]
    if not command:
        sys.exit("with_secrets.py: give the command to run, such as `recsys doctor`")
    try:
        environment = with_secrets(os.environ)
    except SecretError as error:
        sys.exit(f"error: {error}")
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - the command that the caller asked for
    except OSError as error:
        sys.exit(f"error: {command[0]} cannot be run ({error.strerror})")


if __name__ == "__main__":
    main()
