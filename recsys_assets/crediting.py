"""The part of `recsys.yaml` that says how clicks and purchases are credited to what was shown.

Only declarations belong here: `monitoring` credits by them.
"""

from typing import Annotated

from pydantic import Field

from recsys_assets.mapping import Declared


class Monitoring(Declared):
    """How clicks and purchases are credited to what was shown."""

    attribution_hours: Annotated[int, Field(ge=1, le=720)] = Field(
        24, description="how long after it was shown an item earns clicks and purchases; until then, a day is not final"
    )
    clock_skew_seconds: Annotated[int, Field(ge=0, le=3_600)] = Field(
        0, description="how much earlier than its impression an event may be recorded, where clocks differ"
    )
