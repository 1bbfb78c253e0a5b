"""The bucket of a deployment: made once, and only where Delta's commits hold."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy.make_bucket import BucketError, check_commits, make_bucket

SCRIPT = Path(__file__).parents[2] / "deploy" / "make_bucket.py"


def test_a_bucket_is_made_once_and_its_probe_is_removed(s3_bucket: Any) -> None:
    client = s3_bucket.meta.client
    name = f"{s3_bucket.name}-new"
    assert make_bucket(client, name)
    assert not make_bucket(client, name)
    check_commits(client, name)
    assert client.list_objects_v2(Bucket=name)["KeyCount"] == 0


def test_a_service_that_forgets_conditions_is_refused(s3_bucket: Any) -> None:
    class Forgetful:
        """A service as older ones are: it takes the header, and does not look at it."""

        def put_object(self, *, IfNoneMatch: str, **wanted: Any) -> None:  # noqa: N803 - boto3's name
            assert IfNoneMatch == "*"
            s3_bucket.meta.client.put_object(**wanted)

        def delete_object(self, **wanted: Any) -> None:
            s3_bucket.meta.client.delete_object(**wanted)

    with pytest.raises(BucketError, match=r"16 of 16 writers won .* where exactly one does"):
        check_commits(Forgetful(), s3_bucket.name)


def test_what_is_wrong_with_the_service_is_one_message(s3_bucket: Any) -> None:
    done = subprocess.run([sys.executable, SCRIPT, "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    with pytest.raises(ClientError, match="NoSuchBucket"):
        check_commits(s3_bucket.meta.client, "nobody-made-this")
