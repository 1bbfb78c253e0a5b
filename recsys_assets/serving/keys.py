"""The names of all keys in the online store.

Ids of users are any text, so they stand last: what is before them has a fixed number of colons, and no two names can
be the same. What the values are stays with the modules that write them.
"""

CURRENT = "recs-current"
"""The name of the generation in use. In a cluster, the braces put the other keys about generations beside it."""
PREVIOUS = f"recs-previous:{{{CURRENT}}}"
"""The generation in use before it, kept for instant return."""
GENERATIONS = f"recs-generations:{{{CURRENT}}}"
"""A set: generations that are in use, kept, or being written."""
REMOVED = f"recs-removed:{{{CURRENT}}}"
"""A set: generations whose keys are removed, until none has been found any more."""
SEQUENCE = "recs-sequence"
"""Counts publications."""
OVERLAYS_TOLD = f"recs-overlays-told:{{{CURRENT}}}"
"""Is there as long as the store has lost nothing of what users did lately; see `recsys_assets.api.overlays`."""


def list_key(generation: str, user_id: str) -> str:
    """Of a user's list: a MessagePack array of item ids, best first."""
    return f"recs:{generation}:{user_id}"


def filter_key(generation: str, user_id: str) -> str:
    """Of what a user must not see: as `filters` keeps it."""
    return f"owned:{generation}:{user_id}"


def known_key(generation: str, user_id: str) -> str:
    """Of what real time needs to know of a user: as `known_users` packs it."""
    return f"known:{generation}:{user_id}"


def popular_key(generation: str) -> str:
    """Of the list for unknown users: a MessagePack array of item ids, best first."""
    return f"popular:{generation}"


def meta_key(generation: str) -> str:
    """Of what a generation is made of: a hash."""
    return f"recs-meta:{generation}"


def overlay_key(user_id: str) -> str:
    """Of what a user did lately, in whatever generation: as `overlay` keeps it."""
    return f"bought:{user_id}"


def user_prefixes(generation: str) -> tuple[bytes, ...]:
    """What the keys of users in a generation begin with."""
    return tuple(key(generation, "").encode() for key in (list_key, filter_key, known_key))


def user_pattern(generation: str) -> str:
    """A pattern that fits all keys of users in a generation, and few others."""
    return f"*:{generation}:*"
