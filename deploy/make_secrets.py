#!/usr/bin/env python3
"""Makes what `docker compose up` needs before its first start: `python3 deploy/make_secrets.py`.

Random passwords and keys, and the files that are written from them (addresses, users), in `deploy/secrets`;
`deploy/.env` with what can be chosen; the folder where files land. What is there is kept: a password is replaced by
removing its file and what is written from it. Only the standard library belongs here: there may be nothing but Docker.
"""

import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

RANDOM = (
    "postgres_password",
    "dagster_pg_password",
    "mlflow_pg_password",
    "redis_password",
    "api_keys",
    "s3_secret_key",
)
CONTAINER_USER = 10001
REDIS_USER = "recsys"
REDIS_MAY = "~recs* ~owned:* ~known:* ~popular:* ~bought:* +@read +@write +@connection +@transaction +eval -@dangerous"
BLOOM_FILTERS = "+bf.exists +bf.insert +bf.mexists"
"""Named one by one, because not every server counts them among what reads and writes."""
IN_COMPOSE = {"postgres": "postgres:5432", "redis": "redis:6379"}
S3_ACTIONS = ["Admin", "Read", "List", "Tagging", "Write"]


def make_secrets(
    folder: Path, addresses: Mapping[str, str], *, has_bloom: bool = True, is_derived_again: bool = False
) -> None:
    """Write the secrets that are missing.

    Args:
        folder: Where to; nobody else may enter it. The files in it can be read by whoever they are mounted for.
        addresses: `postgres` and `redis`, each as `host:port`.
        has_bloom: Whether the server has `BF.*`; one that has not refuses users who may use it.
        is_derived_again: Whether files that are written from others are written although they are there.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in RANDOM:
        _write(folder / name, secrets.token_hex(24))
    _write(folder / "s3_access_key", secrets.token_hex(10).upper())
    _write(folder / "slack_token", "")
    for name, content in _derived(folder, addresses, has_bloom=has_bloom).items():
        if is_derived_again:
            (folder / name).unlink(missing_ok=True)
        _write(folder / name, content)


def _derived(folder: Path, addresses: Mapping[str, str], *, has_bloom: bool) -> dict[str, str]:
    password, mlflow_password = _read(folder, "redis_password"), _read(folder, "mlflow_pg_password")
    keys = {"accessKey": _read(folder, "s3_access_key"), "secretKey": _read(folder, "s3_secret_key")}
    may = f"{REDIS_MAY} {BLOOM_FILTERS}" if has_bloom else REDIS_MAY
    digest = hashlib.sha256(password.encode()).hexdigest()
    return {
        "redis_url": f"redis://{REDIS_USER}:{password}@{addresses['redis']}/0",
        # Whoever has no password may do nothing but ask whether the server is there.
        "redis_users": f"user default on nopass resetkeys resetchannels -@all +ping\n"
        f"user {REDIS_USER} on #{digest} resetchannels {may}\n",
        "mlflow_database_url": f"postgresql+psycopg2://mlflow:{mlflow_password}@{addresses['postgres']}/mlflow",
        "s3_identities": json.dumps({"identities": [{"name": "recsys", "credentials": [keys], "actions": S3_ACTIONS}]}),
    }


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8").strip()


def _write(file: Path, content: str) -> None:
    """Write a file whole unless it is there."""
    if file.exists():
        return
    unfinished = file.with_name(f".{file.name}")
    unfinished.write_text(content, encoding="utf-8")
    unfinished.chmod(0o444)
    unfinished.replace(file)


def make_landing(folder: Path) -> None:
    """Make the folder where files land; the containers' user reads it, and the API writes into it."""
    folder.mkdir(exist_ok=True)
    if os.getuid() == 0:
        os.chown(folder, CONTAINER_USER, CONTAINER_USER)
    else:
        folder.chmod(0o777)  # only root could give it to the containers' user


def main() -> None:
    """Make everything beside this file."""
    here = Path(__file__).resolve().parent
    make_secrets(here / "secrets", IN_COMPOSE)
    if not (here / "landing").exists():
        make_landing(here / "landing")
    if not (here / ".env").exists():
        shutil.copyfile(here / ".env.example", here / ".env")
    sys.stdout.write(
        f"Secrets are in {here / 'secrets'}, choices in {here / '.env'}, files land in {here / 'landing'}.\n"
        f"Start with: docker compose -f {here / 'compose.yaml'} up --build --detach --wait\n"
    )


if __name__ == "__main__":
    main()
