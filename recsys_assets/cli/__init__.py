"""The `recsys` command. Each module is one thing that a person asks for; the layers below do the work."""

from recsys_assets.cli.app import main

__all__ = ["main"]
