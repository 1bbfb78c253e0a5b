"""Texts without secrets: what the environment holds, and passwords in addresses. Pure.

Only what leaves the platform in a report goes through here.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote

HIDDEN = "***"
SHORTEST = 6
"""A shorter value, such as `true`, is hardly a secret, and would take ordinary words out of the text."""
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_KEY", re.IGNORECASE)
PASSWORD_IN_URL = re.compile(r"(?P<before>[a-zA-Z][\w+.-]*://[^\s:/@]*):(?P<password>\S+)@(?=[\w.\[-])")
NAMED_SECRET = re.compile(
    r"(?P<name>\b[\w-]*(?:password|passwd|secret|token|signature|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&;,]+",
    re.IGNORECASE,
)
SLACK_TOKEN = re.compile(r"\bxox[a-z](?:\.xox[a-z])?-[\w-]+")


def secrets_in(environment: Mapping[str, str]) -> frozenset[str]:
    """The values that no text may hold: of variables that are named like secrets, and passwords in addresses."""
    named = {value for name, value in environment.items() if SECRET_NAME.search(name)}
    in_urls = {found["password"] for value in environment.values() for found in PASSWORD_IN_URL.finditer(value)}
    found = {form for value in named | in_urls for form in (value, value.strip(), unquote(value))}
    return frozenset(value for value in found if len(value) >= SHORTEST)


def without_secrets(text: str, secrets: frozenset[str]) -> str:
    """The text with every secret hidden.

    Args:
        text: Any text, such as the message of an error.
        secrets: As `secrets_in` returns them.
    """
    for secret in sorted(secrets, key=len, reverse=True):  # one may be a part of another
        text = text.replace(secret, HIDDEN)
    text = PASSWORD_IN_URL.sub(rf"\g<before>:{HIDDEN}@", text)
    text = NAMED_SECRET.sub(rf"\g<name>{HIDDEN}", text)
    return SLACK_TOKEN.sub(HIDDEN, text)
