"""Exclusion filters of both kinds on real servers: nothing that is hidden is ever shown."""

import string
from collections.abc import Callable

import polars as pl
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_assets.serving import bulk
from recsys_assets.serving.filters import FILTERS, BloomFilter, ExactFilter, ExclusionFilter, filter_for
from resources.online_store import Client, OnlineStore

IDS = st.lists(st.text(string.printable + "\u00e9\U0001f4d6", max_size=30), min_size=1, max_size=60, unique=True)


@pytest.fixture
def kind(store: Client) -> ExclusionFilter:
    """The kind that the server has."""
    return filter_for(store)


def make(store: Client, kind: ExclusionFilter, key: str, ids: list[str]) -> None:
    store.unlink(key)
    bulk.make_filters(store, kind, [key.encode()], pl.Series([ids], dtype=pl.List(pl.String)))


def test_a_server_with_bloom_filters_uses_them_and_another_has_sets(
    bloom_url: str, cluster_url: str, valkey: redis.Redis
) -> None:
    assert isinstance(filter_for(OnlineStore(url=bloom_url).connect()), BloomFilter)
    assert isinstance(filter_for(OnlineStore(url=cluster_url).connect()), ExactFilter)
    assert isinstance(filter_for(valkey), ExactFilter)
    assert {name: one.kind for name, one in FILTERS.items()} == {"bloom": "bloom", "exact": "exact"}


def test_a_server_that_is_gone_is_not_mistaken_for_one_without_bloom_filters(start_valkey: Callable[..., int]) -> None:
    client = OnlineStore(url=f"redis://127.0.0.1:{start_valkey()}").connect()
    client.shutdown(nosave=True)
    with pytest.raises(redis.ConnectionError):
        filter_for(client)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=IDS, others=IDS)
def test_whatever_is_hidden_is_never_shown(
    store: Client, kind: ExclusionFilter, ids: list[str], others: list[str]
) -> None:
    make(store, kind, "owned:1:ann", ids)
    answers = dict(zip(others + ids, kind.hidden(store, "owned:1:ann", others + ids), strict=True))
    assert all(answers[item] for item in ids)
    if isinstance(kind, ExactFilter):
        assert {item for item, is_hidden in answers.items() if is_hidden} == set(ids)


def test_few_items_are_hidden_by_mistake(store: Client, kind: ExclusionFilter) -> None:
    make(store, kind, "owned:1:ann", [f"owned{number}" for number in range(2_000)])
    hidden = sum(kind.hidden(store, "owned:1:ann", [f"good{number}" for number in range(10_000)]))
    assert hidden == 0 if isinstance(kind, ExactFilter) else 0 < hidden < 200


def test_a_filter_that_does_not_exist_hides_nothing_and_no_items_are_no_question(
    store: Client, kind: ExclusionFilter
) -> None:
    assert kind.hidden(store, "owned:1:stranger", ["dune", "emma"]) == [False, False]
    assert kind.hidden(store, "owned:1:stranger", []) == []


def test_a_queued_filter_is_the_same_as_one_made_in_bulk(store: Client, kind: ExclusionFilter) -> None:
    pipeline = store.pipeline(transaction=False)
    kind.add(pipeline, "owned:1:ann", ["dune", "emma"])
    pipeline.execute()
    assert kind.hidden(store, "owned:1:ann", ["dune", "walden", "emma"]) == [True, False, True]


def test_a_bloom_filter_takes_much_less_memory_than_a_set(bloom_url: str) -> None:
    client = OnlineStore(url=bloom_url).connect()
    ids = [f"B{number:07}" for number in range(1_000)]
    for name, one in FILTERS.items():
        make(client, one, f"owned:1:{name}", ids)
    bloom, exact = (client.memory_usage(f"owned:1:{name}") for name in ("bloom", "exact"))
    assert bloom < 1.6 * 1_000 * 9.6 / 8 + 200
    assert bloom * 3 < exact
