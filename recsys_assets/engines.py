"""What `recsys.yaml` may say about engines: one for all groups of assets that have one, or one for each of some groups.

What an engine is, is said in `resources.engine`.
"""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator

EngineName = Literal["polars", "spark"]
EngineGroup = Literal["sources", "features", "models", "recommendations"]


def _by_group(engine: object) -> object:
    """Group to its engine, also where one is given for all.

    Raises:
        ValueError: There is no such group, or no such engine.
    """
    groups, engines = get_args(EngineGroup), get_args(EngineName)
    named = engine if isinstance(engine, dict) else dict.fromkeys(groups, engine)
    if not (set(named) <= set(groups) and all(name in engines for name in named.values())):
        wrong = [f"{group}: {name}" for group, name in named.items() if group not in groups or name not in engines]
        found = "" if named is not engine else f"; {', '.join(wrong)} is neither"
        raise ValueError(
            f"write one of {', '.join(engines)}, or one of them for each of some groups of {', '.join(groups)}{found}"
        )
    return named


EngineOfGroups = Annotated[dict[EngineGroup, EngineName], BeforeValidator(_by_group)]
"""Group to its engine, as far as it is configured."""
