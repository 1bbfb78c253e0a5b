"""`recsys code-server`: what a killed one was running is not waited for, and the next one serves."""

import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import dagster as dg

from recsys_assets.cli.installation import Installation
from recsys_assets.platform import Platform
from resources.settings import Settings

DAGSTER = Path(sys.executable).with_name("dagster")
RECSYS = Path(sys.executable).with_name("recsys")


def test_runs_of_a_code_server_that_was_killed_have_failed_by_the_time_the_next_one_serves(
    tmp_path: Path, tiny_platform: Platform
) -> None:
    installation = Installation(Settings(home=tmp_path, lake="", landing=""), tiny_platform)
    statuses = {
        status: str(uuid.uuid4())
        for status in (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS)
    }
    for status, run_id in statuses.items():
        installation.instance.add_run(dg.DagsterRun(job_name="train", run_id=run_id, status=status))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = ["--host", "127.0.0.1", "--port", str(probe.getsockname()[1])]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RECSYS_")}
    environment |= {"RECSYS_HOME": str(tmp_path)}
    server = subprocess.Popen([RECSYS, "code-server", *address], env=environment)
    try:
        while subprocess.run(
            [DAGSTER, "api", "grpc-health-check", *address], capture_output=True, check=False
        ).returncode:
            assert server.poll() is None
            time.sleep(0.2)
    finally:
        server.terminate()
        server.wait()
    found = {run.run_id: run.status for run in installation.instance.get_runs()}
    installation.instance.dispose()
    assert [found[run_id] for run_id in statuses.values()] == [
        dg.DagsterRunStatus.FAILURE,
        dg.DagsterRunStatus.FAILURE,
        dg.DagsterRunStatus.SUCCESS,
    ]
