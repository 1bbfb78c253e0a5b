"""The names of keys: whatever users are called, no two keys are the same."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from recsys_assets.serving import keys
from recsys_assets.serving.generation import day_of, name_of, sequence_of

DAYS = st.dates(date(1970, 1, 1), date(2999, 12, 31))
NAMES = st.builds(name_of, DAYS, st.integers(1, 10**12))
TRICKY = st.sampled_from(["", ":", "20260105-1", "20260105-1:ann", "recs:20260105-1:ann", "{recs-current}", "*", "[a]"])
USERS = st.text(max_size=20) | TRICKY
CONTROL = {keys.CURRENT, keys.PREVIOUS, keys.GENERATIONS, keys.REMOVED, keys.SEQUENCE, keys.OVERLAYS_TOLD}
OF_USERS = (keys.list_key, keys.filter_key, keys.known_key)
Thing = tuple[str, str, str]


def key_of(thing: Thing) -> str:
    kind, generation, user = thing
    if kind == "bought":
        return keys.overlay_key(user)
    if kind in ("popular", "meta"):
        return {"popular": keys.popular_key, "meta": keys.meta_key}[kind](generation)
    return OF_USERS[int(kind)](generation, user)


def things() -> st.SearchStrategy[Thing]:
    return st.one_of(
        st.tuples(st.sampled_from(["0", "1", "2"]), NAMES, USERS),
        st.tuples(st.just("bought"), st.just(""), USERS),
        st.tuples(st.sampled_from(["popular", "meta"]), NAMES, st.just("")),
    )


@given(one=things(), other=things())
def test_different_things_have_different_keys_and_none_is_a_control_key(one: Thing, other: Thing) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)
    assert key_of(one) not in CONTROL


@given(thing=things(), generation=NAMES)
def test_only_the_keys_of_users_in_a_generation_begin_as_these_do(thing: Thing, generation: str) -> None:
    is_removed = key_of(thing).encode().startswith(keys.user_prefixes(generation))
    assert is_removed == (thing[0] in "012" and thing[1] == generation)


@given(day=DAYS, sequence=st.integers(1, 10**12))
def test_a_name_says_the_day_and_the_sequence(day: date, sequence: int) -> None:
    name = name_of(day, sequence)
    assert (day_of(name), sequence_of(name)) == (day, sequence)


def test_in_a_cluster_the_control_keys_lie_beside_each_other() -> None:
    from redis.crc import key_slot

    assert len({key_slot(key.encode()) for key in CONTROL - {keys.SEQUENCE}}) == 1
    assert len({key_slot(keys.list_key("20260105-1", f"user{number}").encode()) for number in range(100)}) > 90
