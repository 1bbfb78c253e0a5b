#!/usr/bin/env python3
"""Makes a bucket unless it is there, and makes sure that Delta can commit in it: `make_bucket.py NAME`.

A commit is a write that only the first of several may win (`If-None-Match: *`). A service that lets two win would lose
rows without a word, so it is refused here. Endpoint and keys are the usual AWS variables.
"""

import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.exceptions import ClientError

WRITERS = 16
NOT_FOUND = 404
HOME_REGION = "us-east-1"
"""S3 takes it for granted, and no other."""
LOST = ("PreconditionFailed", "ConditionalRequestConflict")


class BucketError(Exception):
    """The service cannot keep a lake; the message says why."""


def make_bucket(client: Any, name: str) -> bool:
    """Make a bucket; returns whether it was not there.

    Args:
        client: Of boto3, for S3.
        name: Of the bucket.

    Raises:
        ClientError: The service refuses.
    """
    try:
        client.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != NOT_FOUND:
            raise
    else:
        return False
    region = client.meta.region_name
    elsewhere = {} if region == HOME_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    client.create_bucket(Bucket=name, **elsewhere)
    return True


def check_commits(client: Any, name: str) -> None:
    """Let several write one object at once, and make sure that one of them wins.

    Args:
        client: Of boto3, for S3.
        name: Of the bucket.

    Raises:
        BucketError: None wins, or more than one.
        ClientError: The service refuses for another reason.
    """
    key = f".commit-probe-{uuid.uuid4().hex}"

    def wins(number: int) -> bool:
        try:
            client.put_object(Bucket=name, Key=key, Body=str(number).encode(), IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in LOST:
                raise
            return False
        return True

    try:
        with ThreadPoolExecutor(WRITERS) as writers:
            winners = sum(writers.map(wins, range(WRITERS)))
    finally:
        client.delete_object(Bucket=name, Key=key)
    if winners != 1:
        raise BucketError(
            f"bucket {name}: {winners} of {WRITERS} writers won that wrote one object at once with If-None-Match: *; "
            "Delta's tables need a service where exactly one does, such as Amazon S3"
        )


def main(name: str) -> None:
    """Do both, and say so."""
    client = boto3.client("s3")
    was_made = make_bucket(client, name)
    check_commits(client, name)
    sys.stdout.write(f"bucket {name} {'made' if was_made else 'was there'}; its conditional writes hold\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (BucketError, ClientError) as problem:
        sys.exit(f"error: {problem}")
