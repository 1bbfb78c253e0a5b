"""Sales to learn from, as the tests of single families need them, and the family that the README shows."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array

import recsys_assets.models
from recsys_assets.models.family import HISTORY_SCHEMA, Interactions, Model, history_matrix

README = Path(__file__).parents[2] / "README.md"
TODAY = date(2026, 3, 1)
Bought = Callable[..., Interactions]
MatrixOf = Callable[[Model, Interactions], csr_array]


@pytest.fixture
def bought() -> Bought:
    """Makes interactions of rows of user, item, age in days; each weighs 1."""

    def build(*rows: tuple[str, str, int]) -> Interactions:
        dated = [(user, item, TODAY - timedelta(days=age), 1.0) for user, item, age in rows]
        return Interactions(pl.DataFrame(dated, schema=HISTORY_SCHEMA, orient="row"), TODAY)

    return build


@pytest.fixture
def random_sales() -> Interactions:
    """30 users and 20 items, popular ones first, on 40 days, with weights that are no whole numbers."""
    rng = np.random.default_rng(5)
    rows = {
        "user_id": [f"u{user:02}" for user in rng.integers(0, 30, 250)],
        "item_id": [f"i{item:02}" for item in rng.zipf(1.4, 250) % 20],
        "day": [TODAY - timedelta(days=int(age)) for age in rng.integers(0, 40, 250)],
        "weight": rng.random(250) + 0.2,
    }
    return Interactions(pl.DataFrame(rows, schema=HISTORY_SCHEMA), TODAY)


@pytest.fixture
def matrix_of() -> MatrixOf:
    """Makes the matrix that a model scores, a row for each user in order, as `rank` makes it."""

    def build(model: Model, histories: Interactions) -> csr_array:
        weights = model.parameters.history_weights(histories)
        return history_matrix(weights, weights["user_id"].unique().sort(), model.item_ids)

    return build


@pytest.fixture(scope="session")
def readme_family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], AbstractContextManager[None]]:
    """Makes a context in which the file of the README's new family lies beside the others, under the README's name."""
    section = README.read_text(encoding="utf-8").split("## Add a model family")[1].split("\n## ")[0]
    (path,) = re.findall(r"whole family, in\s+`recsys_assets/models/(\w+)\.py`", section)
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    folder = tmp_path_factory.mktemp("models")
    (folder / f"{path}.py").write_text(code, encoding="utf-8")

    @contextmanager
    def beside_the_others() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recsys_assets.models, "__path__", [*recsys_assets.models.__path__, str(folder)])
            yield
        sys.modules.pop(f"recsys_assets.models.{path}", None)

    return beside_the_others
