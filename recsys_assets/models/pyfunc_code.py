"""What MLflow copies into a version and runs to load it. It says no more than this, so that old copies stay right."""

from pathlib import Path

from mlflow.models import set_model

from recsys_assets.models.pyfunc import ListsFromHistories

set_model(ListsFromHistories(Path(__file__).parent))
