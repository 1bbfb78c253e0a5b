"""`recsys run` tells what happened, as the sensor does beside a daemon; it never fails because of that."""

from rich.console import Console
from rich.markup import escape

from recsys_assets.cli.installation import Installation
from sensors.happenings import World
from sensors.telling import guardrail_checks, tell_news


class Reporter:
    """Tells of one installation."""

    def __init__(self, installation: Installation, console: Console) -> None:
        self._installation, self._console = installation, console
        self._guards = guardrail_checks(installation.definitions().resolve_asset_graph())

    def tell(self) -> None:
        """Tell what is new. What cannot be told stays in the outbox, or is found again next time."""
        installation = self._installation
        try:
            world = World(
                installation.platform,
                installation.instance,
                installation.lake,
                installation.model_registry,
                self._guards,
            )
            tell_news(world, installation.notifier, self._say)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run that it is about has not failed
            self._say(f"reports are told later: {error}")

    def _say(self, line: str) -> None:
        self._console.print(f"  {escape(line)}", soft_wrap=True)
