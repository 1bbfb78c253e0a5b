"""A version as an MLflow model, so that `mlflow models serve` can serve any of them: histories in, lists out.

Only how MLflow is told; what is answered is in `lists`. MLflow copies `pyfunc_code` beside the artifacts of a version
and runs it when the model is loaded, so nothing is pickled. Its import takes seconds: import this module where it is
used, inside `quiet_mlflow`.
"""

from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array

from recsys_assets.models.artifact import MANIFEST, load
from recsys_assets.models.catalogue import find_family
from recsys_assets.models.lists import Asked, HistoryError, lists_from_histories
from recsys_assets.models.versions import CANDIDATE, RELEASE

CODE = Path(__file__).with_name("pyfunc_code.py")
SIGNATURE = ModelSignature(
    Schema(
        [
            ColSpec(DataType.string, "user_id"),
            ColSpec(DataType.string, "item_id"),
            ColSpec(DataType.string, "day", required=False),
            ColSpec(DataType.double, "weight", required=False),
        ]
    ),
    Schema(
        [
            ColSpec(DataType.string, "user_id"),
            ColSpec(Array(DataType.string), "item_ids"),
            ColSpec(Array(DataType.float), "scores"),
        ]
    ),
    ParamSchema([ParamSpec("n", DataType.long, Asked.n), ParamSpec("as_of", DataType.string, "")]),
)
EXAMPLE = {"user_id": ["U1", "U1"], "item_id": ["B1", "B2"], "day": ["2026-03-01", "2026-03-02"], "weight": [1.0, 0.5]}


class ListsFromHistories(mlflow.pyfunc.PythonModel):  # type: ignore[misc] # MLflow has no types
    """What MLflow loads and asks.

    Attributes:
        version: The folder of the version's artifacts.
    """

    def __init__(self, version: Path) -> None:
        self._folder = version

    def load_context(self, context: Any) -> None:
        """Load the release, or the candidate of a version that has none.

        Raises:
            ArtifactError: The artifact is damaged.
        """
        name = RELEASE if (self._folder / RELEASE / MANIFEST).exists() else CANDIDATE
        self._artifact = load(find_family(context.model_config["family"]), self._folder / name)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Histories in, lists out; see `lists_from_histories`.

        Args:
            context: Not used.
            model_input: user_id, item_id, and where they are known day (`YYYY-MM-DD`) and weight.
            params: n, the longest list; as_of, the day of which interactions fade.

        Raises:
            MlflowException: A history cannot be used.
        """
        del context
        try:
            lists = lists_from_histories(self._artifact, pl.from_pandas(model_input), _asked(params or {}))
        except HistoryError as error:  # of other errors, MLflow's server shows a stack trace
            raise MlflowException.invalid_parameter_value(str(error)) from error
        return pd.DataFrame(lists.to_dict(as_series=False))


def write_wrapper(family: str, folder: Path) -> None:
    """Write what makes a folder of artifacts an MLflow model.

    Args:
        family: Whose artifacts will lie beside it.
        folder: Where to; it does not exist or is empty.
    """
    mlflow.pyfunc.save_model(
        str(folder),
        python_model=str(CODE),
        model_config={"family": family},
        signature=SIGNATURE,
        input_example=pd.DataFrame(EXAMPLE),
        pip_requirements=[f"{name}=={version(name)}" for name in ("recsys-assets", "mlflow")],
    )


def _asked(params: dict[str, Any]) -> Asked:
    text = params.get("as_of", "")
    try:
        as_of = date.fromisoformat(text) if text else None
    except ValueError as error:
        raise HistoryError(f"as_of: {text!r} is no day; write it as YYYY-MM-DD, or leave it out") from error
    return Asked(int(params.get("n", Asked.n)), as_of)
