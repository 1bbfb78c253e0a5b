"""The `recsys` command. Each module is one thing that a person asks for; the work itself is done in the layers below."""

from recsys_assets.cli.app import main

__all__ = ["main"]
