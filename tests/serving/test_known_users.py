"""What real time needs to know of users: what was published comes back, exactly."""

from datetime import date, timedelta

import msgpack
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from recsys_assets.models.family import HISTORY_SCHEMA
from recsys_assets.serving.generations import UserList, publish
from recsys_assets.serving.known_users import KnownUser, known_user, packed, unpacked
from recsys_assets.serving.user_lists import portion_of
from resources.online_store import Client

DAY = date(2026, 1, 5)
IDS = st.lists(st.text(max_size=12), max_size=5)
ROWS = st.lists(
    st.tuples(st.text(max_size=12), st.integers(0, 20_000), st.floats(0, exclude_min=True, allow_infinity=False)),
    max_size=6,
)


def history_of(user_id: str, rows: list[tuple[str, int, float]]) -> pl.DataFrame:
    """Items, days before DAY, and weights."""
    told = [(user_id, item, DAY - timedelta(days=days), weight) for item, days, weight in rows]
    return pl.DataFrame(told, schema=HISTORY_SCHEMA, orient="row")


@st.composite
def users(draw: st.DrawFn) -> UserList:
    user_id = draw(st.text(max_size=12))
    return UserList(
        user_id,
        draw(IDS),
        draw(IDS),
        arm=draw(st.text("abc-_0", max_size=40)),
        history=history_of(user_id, draw(ROWS)),
        blocked_creators=draw(IDS),
        blocked_categories=draw(IDS),
        may_see_adult=draw(st.booleans()),
    )


def assert_same(known: KnownUser | None, user: UserList) -> None:
    assert known is not None
    assert (known.user_id, known.arm, known.may_see_adult) == (user.user_id, user.arm, user.may_see_adult)
    assert list(known.blocked_creators) == list(user.blocked_creators)
    assert list(known.blocked_categories) == list(user.blocked_categories)
    expected = history_of(user.user_id, []) if user.history is None else user.history
    assert_frame_equal(known.history, expected, check_exact=True)


@given(published=st.lists(users(), max_size=5))
def test_whatever_is_known_of_users_comes_back_exactly(published: list[UserList]) -> None:
    for user, raw in zip(published, packed(portion_of(published, DAY)), strict=True):
        assert_same(unpacked(user.user_id, DAY, raw), user)


def test_what_is_known_is_published_with_the_lists(store: Client) -> None:
    ann = UserList("ann", ["dune"], (), "blue", history_of("ann", [("emma", 0, 1.0), ("walden", 3, 0.1)]), ("king",))
    generation = publish(store, DAY, {}, [ann, UserList("bob", ["emma"])], [])
    assert_same(known_user(store, generation, "ann"), ann)
    assert_same(known_user(store, generation, "bob"), UserList("bob", ["emma"]))
    assert known_user(store, generation, "stranger") is None


def test_a_user_is_one_small_message_pack_array() -> None:
    rows = [(f"B{number:07}", number % 30, 1.0) for number in range(200)]
    (raw,) = packed(portion_of([UserList("ann", [], (), history=history_of("ann", rows))], DAY))
    assert msgpack.unpackb(raw)[:5] == ["default", False, [], [], [item for item, _, _ in rows]]
    assert len(raw) < 200 * (9 + 2 + 8) + 40
