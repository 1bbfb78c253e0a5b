"""The entrypoint: secrets come from files, and are nowhere else."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.with_secrets import SecretError, with_secrets

SCRIPT = Path(__file__).parents[2] / "deploy" / "with_secrets.py"


def test_a_variable_takes_the_content_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://:geheim@redis/0\n", encoding="utf-8")
    given = {"RECSYS_REDIS_URL_FILE": str(tmp_path / "url"), "RECSYS_HOME": "/home"}
    assert with_secrets(given) == {"RECSYS_REDIS_URL": "redis://:geheim@redis/0", "RECSYS_HOME": "/home"}


def test_empty_variables_and_empty_files_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n", encoding="utf-8")
    assert with_secrets({"SLACK_TOKEN_FILE": str(tmp_path / "token"), "AWS_ENDPOINT_URL": ""}) == {}


def test_files_that_others_read_by_themselves_stay_files(tmp_path: Path) -> None:
    given = {"RECSYS_API_KEYS_FILE": str(tmp_path / "api_keys")}  # its lines are one key each
    assert with_secrets(given) == given


def test_a_file_that_cannot_be_read_is_named_with_its_variable_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=r"DAGSTER_PG_PASSWORD_FILE: .*none cannot be read .*make_secrets\.py"):
        with_secrets({"DAGSTER_PG_PASSWORD_FILE": str(tmp_path / "none")})
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(SecretError, match="UnicodeDecodeError"):
        with_secrets({"SLACK_TOKEN_FILE": str(tmp_path / "bytes")})


def test_a_secret_that_is_given_twice_is_refused_without_being_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("geheim-1", encoding="utf-8")
    with pytest.raises(SecretError, match="both SLACK_TOKEN and SLACK_TOKEN_FILE are set") as refused:
        with_secrets({"SLACK_TOKEN": "geheim-2", "SLACK_TOKEN_FILE": str(tmp_path / "token")})
    assert "geheim" not in str(refused.value)


def test_the_command_gets_the_secret_in_its_environment_and_its_exit_code_is_returned(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("geheim", encoding="utf-8")
    says = [sys.executable, "-c", "import os, sys; sys.exit(7 if os.environ['SLACK_TOKEN'] == 'geheim' else 1)"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *says], env={"SLACK_TOKEN_FILE": str(tmp_path / "token")}, check=False
    )
    assert done.returncode == 7


@pytest.mark.parametrize(
    ("command", "said"), [([], "give the command to run"), (["no-such-program"], "no-such-program cannot be run")]
)
def test_what_cannot_be_started_is_one_message(command: list[str], said: str) -> None:
    done = subprocess.run([sys.executable, SCRIPT, *command], env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
