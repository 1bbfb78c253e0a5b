"""The whole loop of Online Retail on an S3 endpoint, as a ratio to the same loop on local disk, one after the other.

Landing, lake and models are in a bucket of a moto server, a process of its own on this machine. A plain Python server
answers far more slowly than S3 itself does, so what it was asked is counted in a run of its own, through a proxy that
disturbs nothing: of these requests each costs some 10 to 30 ms at Amazon, several at once.

    python benchmarks/s3_loop.py [FOLDER_OF_DAILY_CSVS]
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from online_retail import ROOT, data_folder, environment

sys.path.insert(0, str(ROOT / "tests" / "s3"))

from faulty_proxy import FaultyProxy, listening

RECSYS = Path(sys.executable).with_name("recsys")
KEYS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
KINDS = {
    "logs of tables": ("_delta_log",),
    "data files of tables": (".parquet",),
    "landing": ("/landing",),
    "models": ("/artifacts",),
}
"""What a request is about, by what stands in its path; the first that fits."""


def main() -> int:
    """Print the table; 1 where the data are missing."""
    data = data_folder()
    if data is None:
        return 1
    with tempfile.TemporaryDirectory(prefix="recsys-bench-") as folder, moto_server() as url:
        on_disk = seconds_of_run(environment(f"{folder}/disk", data))
        on_s3 = seconds_of_run(on_bucket(f"{folder}/s3", data, url, "measured"))
        with listening(url) as proxy:
            seconds_of_run(on_bucket(f"{folder}/counted", data, url, "counted") | {"AWS_ENDPOINT_URL": proxy.url})
            report(on_disk, on_s3, proxy)
    return 0


@contextmanager
def moto_server() -> Iterator[str]:
    """The address of an S3 service in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = probe.getsockname()[:2]
    command = [str(RECSYS.with_name("moto_server")), "-H", address[0], "-p", str(address[1])]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        while True:
            with socket.socket() as probe:
                if not probe.connect_ex(address):
                    break
            time.sleep(0.05)
        yield f"http://{address[0]}:{address[1]}"
        server.kill()


def on_bucket(home: str, data: Path, url: str, bucket: str) -> dict[str, str]:
    """The variables of an installation whose landing, lake and models are in a new bucket that holds the files."""
    import boto3

    client = boto3.client("s3", endpoint_url=url, aws_access_key_id="bench", aws_secret_access_key="bench")  # noqa: S106
    client.create_bucket(Bucket=bucket)
    for file in sorted(data.iterdir()):
        client.upload_file(str(file), bucket, f"landing/{file.name}")
    places = {f"RECSYS_{name.upper()}": f"s3://{bucket}/{name}" for name in ("landing", "lake", "artifacts")}
    return environment(home, data) | KEYS | {"AWS_ENDPOINT_URL": url} | places


def seconds_of_run(variables: dict[str, str]) -> float:
    """Wall seconds of `recsys run` from nothing to served."""
    began = time.perf_counter()
    subprocess.run([str(RECSYS), "run"], env=variables, check=True, capture_output=True)
    seconds = time.perf_counter() - began
    subprocess.run([str(RECSYS), "stop"], env=variables, check=False, capture_output=True)
    return seconds


def report(on_disk: float, on_s3: float, proxy: FaultyProxy) -> None:
    """Print the table."""
    kinds = Counter(
        next((kind for kind, marks in KINDS.items() if any(mark in told.asked.path for mark in marks)), "other")
        for told in proxy.log
    )
    print(f"Online Retail, the whole loop, {os.cpu_count()} cores")
    print(f"{'recsys run on local disk':52}{on_disk:8.1f} s")
    print(f"{'recsys run on S3 (moto server on this machine)':52}{on_s3:8.1f} s")
    print(f"{'  ratio':52}{on_s3 / on_disk:8.1f}     goal: at most 2")
    print(f"{'requests to S3':52}{len(proxy.log):8}")
    for kind, number in kinds.most_common():
        print(f"  {kind:50}{number:8}")


if __name__ == "__main__":
    sys.exit(main())
