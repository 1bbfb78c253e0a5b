"""Starting Spark; how it is configured is shown where a small driver is (tests/features)."""

import os
import subprocess
import sys
from pathlib import Path

START = """
import warnings
warnings.simplefilter("ignore")
from resources.engine import SparkEngine
from resources.settings import SettingsError
try:
    SparkEngine().session
except SettingsError as error:
    print(error)
"""


def test_without_java_the_message_says_what_is_missing(tmp_path: Path) -> None:
    environment = {**os.environ, "JAVA_HOME": str(tmp_path / "nowhere")}
    environment.pop("PYSPARK_SUBMIT_ARGS", None)
    done = subprocess.run([sys.executable, "-c", START], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Spark does not start: it needs Java 17")


def test_an_engine_starts_no_java_until_it_is_used() -> None:
    script = "from resources.engine import SparkEngine; import sys; SparkEngine(); print('pyspark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
