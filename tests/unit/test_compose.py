"""docker-compose.yml, Dockerfile and .env.example: checks that need no Docker engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from temporalio.api.taskqueue.v1 import PollerInfo

import holdfast
from deploy.healthcheck import last_poll
from holdfast.composition import worker
from holdfast.models import SCRIPTED_MODEL
from holdfast.search_attributes import SEARCH_ATTRIBUTES
from holdfast.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SCHEMA = json.loads((Path(__file__).parent / "compose.schema.json").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?+])([^{}]*))?\}")
PINNED = re.compile(r"^(?:[\w.-]+/)*[\w.-]+:v?\d+\.\d+(?:\.\d+)?(?:-[\w.]+)*$")
PASSWORDS = ("POSTGRES_PASSWORD", "SURREALDB_PASSWORD")


def filled_in(text: str, given: Mapping[str, str]) -> str:
    """The text with each `${NAME}`, `${NAME:-default}`, `${NAME:?…}` and `${NAME:+other}` resolved as Compose does."""

    def value(match: re.Match[str]) -> str:
        name, operator, word = match.groups()
        if operator == "+":
            return word if given.get(name) else ""
        return given.get(name) or (word if operator == "-" else "")

    return VARIABLE.sub(value, text)


def variables(text: str) -> set[str]:
    """Names of the variables that a text asks for."""
    return {match[1] for match in VARIABLE.finditer(text)}


def worker_environment(given: Mapping[str, str]) -> dict[str, str]:
    """What the worker's container is given when `.env` holds `given`."""
    service = SERVICES["worker"]
    environment = {}
    for file in service["env_file"]:
        path = ROOT / filled_in(file["path"], given)
        if path.exists() or file.get("required", True):
            environment.update(assignments(filled_in(path.read_text(), given)))
    for name, text in service["environment"].items():
        if text is not None:
            environment[name] = filled_in(text, given)
        elif name in given:
            environment[name] = given[name]
    return environment


def assignments(text: str) -> dict[str, str]:
    """The `NAME=value` lines of an env file."""
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def is_one_shot(service: Mapping[str, Any]) -> bool:
    """Whether a service is meant to end: it is started again only where it failed."""
    return str(service["restart"]).startswith("on-failure")


def seconds(duration: str) -> float:
    """Seconds of a Compose duration such as `1m30s`."""
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def instructions(keyword: str) -> Iterator[str]:
    """Arguments of the Dockerfile's instructions of one kind, continued lines joined."""
    for line in DOCKERFILE.replace("\\\n", " ").splitlines():
        if line.startswith(f"{keyword} "):
            yield line.removeprefix(keyword).strip()


def test_the_compose_file_is_well_formed() -> None:
    """The file follows the schema of Docker Compose."""
    jsonschema.Draft202012Validator(SCHEMA).validate(COMPOSE)


def test_images_are_pinned() -> None:
    """Every image has an exact version."""
    images = [service["image"] for service in SERVICES.values()]
    images += [image.split()[0] for image in instructions("FROM")]
    assert [image for image in images if not PINNED.match(image)] == []
    assert f"holdfast:{holdfast.__version__}" in images


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_tells_whether_it_is_well_or_ends(name: str) -> None:
    """Every service that others wait for has a health check or ends."""
    service = SERVICES[name]
    if is_one_shot(service):
        assert "healthcheck" not in service
    elif "build" in service and "entrypoint" not in service:
        assert list(instructions("HEALTHCHECK"))
    else:
        assert "healthcheck" in service


def test_services_wait_for_each_other_in_the_right_way() -> None:
    """Services wait for servers to be healthy and for one-shot services to complete."""
    for service in SERVICES.values():
        for target, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if is_one_shot(SERVICES[target]) else "service_healthy"
            assert how["condition"] == expected, target
    awaited = {target for service in SERVICES.values() for target in service.get("depends_on", {})}
    assert {name for name, service in SERVICES.items() if is_one_shot(service)} <= awaited


def test_ports_are_open_on_this_machine_only() -> None:
    """Every port is published on the loopback interface only."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_volumes_and_configs_are_declared_and_used() -> None:
    """Every volume and config is declared and used."""
    mounts = [volume.rsplit(":", 1)[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert {mount for mount in mounts if "/" not in mount} == set(COMPOSE["volumes"])
    used = {config["source"] for service in SERVICES.values() for config in service.get("configs", [])}
    assert used == set(COMPOSE["configs"])


def test_temporal_reads_the_config_that_it_is_given() -> None:
    """Temporal's dynamic configuration is mounted where the server looks for it."""
    temporal = SERVICES["temporal"]
    [config] = temporal["configs"]
    assert config["target"] == temporal["environment"]["DYNAMIC_CONFIG_FILE_PATH"]
    assert yaml.safe_load(COMPOSE["configs"][config["source"]]["content"])


def test_the_setup_registers_exactly_our_search_attributes() -> None:
    """The setup registers exactly the search attributes that runs use."""
    words = SERVICES["temporal-setup"]["command"][0].replace("\\\n", " ").split()
    registered = words[words.index("search-attribute") :]
    names = [value for flag, value in pairwise(registered) if flag == "--name"]
    types = [value for flag, value in pairwise(registered) if flag == "--type"]
    assert dict(zip(names, types, strict=True)) == SEARCH_ATTRIBUTES
    assert "temporal-setup" in SERVICES["worker"]["depends_on"]


@dataclass(frozen=True)
class ModelCase:
    """Which model answers, by what `.env` holds."""

    given: Mapping[str, str]
    base_url: str | None
    model: str


MODEL_CASES = {
    "nothing": ModelCase({}, "http://model:8090/v1", SCRIPTED_MODEL),
    "key": ModelCase({"OPENAI_API_KEY": "k"}, None, "gpt-5-mini"),
    "key and model": ModelCase({"OPENAI_API_KEY": "k", "OPENAI_MODEL": "m"}, None, "m"),
    "server": ModelCase({"OPENAI_BASE_URL": "http://it/v1", "OPENAI_MODEL": "m"}, "http://it/v1", "m"),
    "openrouter": ModelCase({"OPENROUTER_API_KEY": "k"}, None, "openai/gpt-5-mini"),
}


@pytest.mark.parametrize("case", MODEL_CASES.values(), ids=MODEL_CASES)
def test_the_worker_gets_settings_that_it_accepts(case: ModelCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable of the worker is a setting; no key goes to the scripted model."""
    environment = worker_environment({**case.given, "SURREALDB_PASSWORD": "secret"})
    known = {name.upper() for name in Settings.model_fields}
    assert set(environment) | set(SERVICES["worker"]["environment"]) <= known
    for name in known:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings(_env_file=None)
    assert (settings.openai_base_url, settings.default_model) == (case.base_url, case.model)
    assert settings.temporal_address == "temporal:7233"
    assert settings.store_url == "ws://surrealdb:8000"
    assert settings.surrealdb_username == filled_in(SERVICES["surrealdb"]["environment"]["SURREAL_USER"], {})
    assert settings.surrealdb_password
    assert settings.log_format == "json"


def test_the_scripted_model_listens_where_the_worker_asks() -> None:
    """Without a configured model the worker uses the scripted one."""
    assert SERVICES["model"]["command"] == ["--host", "0.0.0.0", "--port", "8090"]
    assert SERVICES["model"]["entrypoint"][:2] == ["python", "-m"]
    module = ROOT / (SERVICES["model"]["entrypoint"][2].replace(".", "/") + ".py")
    assert module.exists()
    assert worker_environment({})["OPENAI_BASE_URL"].startswith("http://model:8090/")


def test_the_worker_may_end_in_order() -> None:
    """Docker's grace period is longer than the worker's shutdown."""
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > worker.GRACE.total_seconds()
    [entrypoint] = instructions("ENTRYPOINT")
    assert json.loads(entrypoint) == ["python", "worker.py"]


def test_the_env_example_names_every_variable() -> None:
    """`.env.example` lists exactly the variables that are read."""
    offered = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    passed_on = {name for name, text in SERVICES["worker"]["environment"].items() if text is None}
    read = COMPOSE_FILE.read_text() + (ROOT / "deploy" / "model.env").read_text()
    assert offered == variables(read) | passed_on
    required = {name for name in offered if f"${{{name}:?" in COMPOSE_FILE.read_text()}
    assert required == set(PASSWORDS)


def test_the_image_gets_all_that_it_copies() -> None:
    """Every file that the image copies exists and is not ignored."""
    patterns = (ROOT / ".dockerignore").read_text().split("\n")
    let_in = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    assert "*" in patterns
    copied = [word.rstrip("/") for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]
    assert {"activities", "holdfast", "workflows", "worker.py", "starter.py", "bootstrap.py"} <= set(copied)
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert [path for path in copied if not any(fnmatch(path, pattern) for pattern in let_in)] == []


def test_the_image_is_locked_down() -> None:
    """The image installs by hash, runs as a plain user and does not bootstrap."""
    assert any("--require-hashes" in line and "image.lock" in line for line in instructions("RUN"))
    assert list(instructions("USER")) == ["holdfast"]
    assert "HOLDFAST_NO_BOOTSTRAP=1" in " ".join(instructions("ENV"))
    assert "HOLDFAST_HOME=/var/lib/holdfast" in " ".join(instructions("ENV"))
    assert "holdfast:/var/lib/holdfast" in SERVICES["worker"]["volumes"]


def test_the_health_check_knows_the_worker_by_its_identity() -> None:
    """The health check looks for the worker's own identity."""
    now = datetime.now(UTC).replace(microsecond=0)
    ours = PollerInfo(identity=worker.identity())
    ours.last_access_time.FromDatetime(now - timedelta(seconds=30))
    other = PollerInfo(identity="holdfast-worker-1@elsewhere")
    other.last_access_time.FromDatetime(now)
    host = worker.identity().partition("@")[2]
    assert last_poll([other, ours], host) == now - timedelta(seconds=30)
    assert last_poll([other], host) is None


def docker_compose(*arguments: str, given: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs `docker compose` on our file with nothing of this machine's environment but PATH and Docker's own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_CONFIG") if name in os.environ}
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    command = ["docker", "compose", "--env-file", str(folder / ".env"), "--file", str(COMPOSE_FILE), *arguments]
    return subprocess.run(command, env=kept, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def compose_plugin() -> None:
    """Skips where Docker Compose is not installed; a Docker engine is not needed."""
    if not shutil.which("docker"):
        pytest.skip("docker is not installed")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, timeout=60).returncode:
        pytest.skip("docker has no compose plugin")


@pytest.mark.usefixtures("compose_plugin")
@pytest.mark.parametrize("case", MODEL_CASES.values(), ids=MODEL_CASES)
def test_docker_compose_understands_it_as_we_do(case: ModelCase, tmp_path: Path) -> None:
    """Docker Compose resolves the file to what these tests read."""
    given = {**case.given, **dict.fromkeys(PASSWORDS, "secret")}
    result = docker_compose("config", "--format", "json", given=given, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    services = json.loads(result.stdout)["services"]
    assert set(services) == set(SERVICES)
    environment = {name: value for name, value in services["worker"]["environment"].items() if value is not None}
    assert environment == worker_environment(given)


@pytest.mark.usefixtures("compose_plugin")
@pytest.mark.parametrize("missing", PASSWORDS)
def test_docker_compose_asks_for_passwords(missing: str, tmp_path: Path) -> None:
    """Without a password the stack does not start, and the message names what is missing."""
    given = {name: "secret" for name in PASSWORDS if name != missing}
    result = docker_compose("config", given=given, folder=tmp_path)
    assert result.returncode != 0
    assert missing in result.stderr
