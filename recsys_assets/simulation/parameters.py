"""What can be chosen about a simulated store, with units and limits.

Only what a caller may want to vary belongs here. How readers behave in detail (how often a view
becomes a purchase, how fast attention fades) is said in constants beside the code that uses them.
"""

from datetime import date, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class StoreParameters:
    """The size, the length and the habits of a simulated store.

    Two stores whose parameters differ in `days` alone have the same files on the days that both have.

    Attributes:
        first_day: The day on which the landing begins; the shop itself is older.
        days: Days to simulate.
        users: Accounts that exist on the first day, bots and test accounts among them.
        items: Books in the catalogue on the first day.
        new_items_per_day: Books announced or released on each later day.
        new_users_per_day: Accounts opened on each later day.
        seed: The same seed gives the same bytes.
        time_zone: IANA name of the zone whose local time the files are written in.
        views_per_user_day: Mean views of a reader on a day, in events; a few readers have many times more.
        refund_share: Share of the purchases that are given back, up to 14 days later.
        rating_share: Share of the purchases that are rated on a later day.
        blocks_per_thousand_users: Mean new blocks on a day for each 1,000 accounts.
        adult_share: Share of the works that only verified adults may see.
        verified_share: Share of the accounts that are verified adults when they are opened.
        test_account_share: Share of the accounts with which the shop's staff click around.
        bots: Accounts, opened before the first day, that crawl the shop on some days.
        dirty_row_share: Rows added to the event files that must be refused, as a share of the good rows.
    """

    first_day: date
    days: AtLeastOne = 70
    users: AtLeastOne = 2_000
    items: AtLeastOne = 1_500
    new_items_per_day: Count = 6
    new_users_per_day: Count = 6
    seed: Count = 0
    time_zone: str = "Asia/Seoul"
    views_per_user_day: Rate = 1.0
    refund_share: Share = 0.04
    rating_share: Share = 0.15
    blocks_per_thousand_users: Rate = 1.5
    adult_share: Share = 0.06
    verified_share: Share = 0.4
    test_account_share: Share = 0.004
    bots: Count = 3
    dirty_row_share: Share = 0.002

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the shop."""
        return ZoneInfo(self.time_zone)

    def day(self, today: int) -> date:
        """The date of a day counted from the first one."""
        return self.first_day + timedelta(days=today)

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"{name!r} is no time zone; write it like Europe/London")
        return name

    @model_validator(mode="after")
    def _leaves_room_for_readers(self) -> Self:
        if self.bots >= self.users:
            raise ValueError(f"bots ({self.bots}) are accounts too: give more users ({self.users}) than bots")
        if self.refund_share + self.rating_share > 1:
            raise ValueError("refund_share and rating_share together must not be above 1: nobody rates a returned book")
        return self
