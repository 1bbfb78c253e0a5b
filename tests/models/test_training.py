"""What a model is fitted on is sorted and has a digest: of its values, and of nothing else."""

from datetime import date, timedelta

import polars as pl
from hypothesis import assume, given
from hypothesis import strategies as st

from recsys_assets.models.family import HISTORY_SCHEMA
from recsys_assets.models.made_with import rows_digest
from recsys_assets.models.training import fitted_rows

TODAY = date(2026, 3, 1)
Row = tuple[str, str, date, float]
ids = st.text(st.sampled_from("abü\n"), max_size=3)
days = st.integers(0, 5).map(lambda age: TODAY - timedelta(days=age))
rows = st.tuples(ids, ids, days, st.floats(min_value=0.001, max_value=1e6))


def digest(*these: Row, window_days: int = 30) -> str:
    frame = pl.DataFrame(these, schema=HISTORY_SCHEMA, orient="row")
    return rows_digest(fitted_rows(frame, TODAY, window_days).rows)


@given(st.lists(rows, max_size=6).flatmap(lambda these: st.tuples(st.just(these), st.permutations(these))))
def test_the_order_in_which_rows_lie_does_not_matter(orders: tuple[list[Row], list[Row]]) -> None:
    assert digest(*orders[0]) == digest(*orders[1])


@given(st.lists(rows, max_size=4), st.lists(rows, max_size=4))
def test_other_rows_have_another_digest(first: list[Row], second: list[Row]) -> None:
    assume(sorted(first) != sorted(second))
    assert digest(*first) != digest(*second)


def test_ids_that_read_the_same_one_after_another_are_told_apart() -> None:
    assert digest(("ab", "c", TODAY, 1.0)) != digest(("a", "bc", TODAY, 1.0))
    assert digest(("ab", "x", TODAY, 1.0), ("c", "x", TODAY, 1.0)) != digest(
        ("a", "x", TODAY, 1.0), ("bc", "x", TODAY, 1.0)
    )


def test_only_the_days_of_the_window_count() -> None:
    old, new = ("u", "i", TODAY - timedelta(days=3), 1.0), ("u", "i", TODAY, 1.0)
    assert digest(old, new, window_days=3) == digest(new)
    assert digest(old, new, window_days=4) != digest(new)


def test_a_digest_is_the_same_with_every_release() -> None:
    """Recorded digests must be found again years later."""
    known = digest(("u2", "ü", TODAY, 0.1), ("u1", "i", TODAY - timedelta(days=2), 3.0))
    assert known == "f0921a77ba865524e9dad8ea70d65ae02f158ee68a517dcdf5e74918af922546"
