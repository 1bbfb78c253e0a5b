"""The shop that a stack runs: the one that the environment names, or a simulated one whose days land when you say so.

The simulated one is a live store: its history ends the day before yesterday, and yesterday is the next day to land.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from recsys_assets.platform import BUNDLED_CONFIG, load_platform
from recsys_assets.simulation import StoreParameters, simulate

HISTORY_DAYS = 42
COMING_DAYS = 60
USERS, ITEMS = 600, 500
INTERVAL_SECONDS = 10
"""Sensors of the simulated shop look more often than they need: somebody watches."""


class ShopError(Exception):
    """There is no day to land."""


@dataclass(frozen=True)
class Shop:
    """Where a shop is configured, and where its files land.

    Attributes:
        config: Its `recsys.yaml`.
        landing: A folder, or `s3://bucket/prefix`.
        coming: The folder of the simulated days that have not landed; None for a real shop.
    """

    config: Path
    landing: str
    coming: Path | None

    @classmethod
    def of(cls, environment: Mapping[str, str], folder: Path) -> "Shop":
        """The shop that the environment names, or the simulated one of a stack."""
        config, landing = environment.get("RECSYS_CONFIG"), environment.get("RECSYS_LANDING")
        if not config and not landing:
            return cls(folder / "recsys.yaml", str(folder / "landing"), folder / "coming")
        if landing and not landing.startswith("s3://"):
            landing = str(Path(landing).absolute())
        return cls(Path(config or BUNDLED_CONFIG).absolute(), landing or str(folder / "landing"), None)

    def open(self) -> None:
        """Make the folder where files land; simulate the shop, and land its history, if that is to be and was not."""
        if not self.landing.startswith("s3://"):
            Path(self.landing).mkdir(parents=True, exist_ok=True)
        if self.coming is None or self.config.exists():
            return
        content = yaml.safe_load(BUNDLED_CONFIG.read_text(encoding="utf-8"))
        del content["last_day"]
        first = _yesterday(ZoneInfo(content["time_zone"])) - timedelta(days=HISTORY_DAYS)
        content |= {"first_day": first, "sensors": {"interval_seconds": INTERVAL_SECONDS}}
        shutil.rmtree(self.coming, ignore_errors=True)  # of a start that was killed
        parameters = StoreParameters(
            first_day=first,
            days=HISTORY_DAYS + COMING_DAYS,
            users=USERS,
            items=ITEMS,
            time_zone=content["time_zone"],
        )
        simulate(parameters, self.coming)
        for day in range(HISTORY_DAYS):
            self._land(first + timedelta(days=day))
        unfinished = self.config.with_name(f".{self.config.name}")
        unfinished.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        unfinished.replace(self.config)

    def land_next(self) -> date:
        """Land the next day of the simulated shop.

        Returns:
            Which one.

        Raises:
            ShopError: The shop is no simulated one, or its next day is not over yet.
        """
        if self.coming is None or not self.config.exists():
            raise ShopError("only the simulated shop lands days by command; land a day of yours by copying its files")
        days = sorted({_day_of(path) for path in self._waiting()})
        if not days:
            raise ShopError(f"every simulated day has landed; remove {self.config} and its stack for a new shop")
        if days[0] > _yesterday(load_platform(self.config).zone):
            raise ShopError(f"the next day of the simulated shop is {days[0]}, and it is not over yet")
        self._land(days[0])
        return days[0]

    def _waiting(self) -> list[Path]:
        return [path for path in (self.coming or Path()).rglob("*") if path.is_file()]

    def _land(self, day: date) -> None:
        """Move the files of a day; under their last names they are whole."""
        for source in [path for path in self._waiting() if _day_of(path) == day]:
            target = Path(self.landing) / source.relative_to(self.coming or Path())
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_name(f".{target.name}")
            shutil.copyfile(source, unfinished)
            unfinished.replace(target)
            source.unlink()


def _day_of(path: Path) -> date:
    return date.fromisoformat(path.name.partition(".")[0])


def _yesterday(zone: ZoneInfo) -> date:
    return datetime.now(tz=UTC).astimezone(zone).date() - timedelta(days=1)
