"""The compose file, the image and its entry point: by their own tool where it is there, else by what they say."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text()
DOCKERIGNORE = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text()
ENTRYPOINT = DEPLOY / "docker" / "entrypoint.sh"


@pytest.fixture(scope="module")
def composed():
    return yaml.safe_load(COMPOSE.read_text())


def has_compose():
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "files", [["compose.yaml"], ["compose.yaml", "compose.gpu.yaml"]], ids=["plain", "gpu"]
)
def test_docker_reads_it(files, tmp_path):
    if not has_compose():
        pytest.skip("docker compose is not here")
    named = [word for name in files for word in ("-f", str(DEPLOY / name))]
    command = ["docker", "compose", *named, "--profile", "slack", "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_there_are_a_service_an_executor_and_a_bot(composed):
    assert set(composed["services"]) == {"service", "executor", "bot"}
    for name, service in composed["services"].items():
        assert service["command"][:2] == ["bitwright", "serve" if name == "service" else name]


def test_nothing_is_opened_to_the_hosts_network(composed):
    """The service listens on loopback; the others share its network namespace."""
    for name, service in composed["services"].items():
        assert "ports" not in service
        if name != "service":
            assert service["network_mode"] == "service:service"
            assert service["depends_on"]["service"] == {"condition": "service_healthy", "restart": True}


def test_each_container_is_closed_watched_and_given_time(composed):
    for service in composed["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["stop_grace_period"]


def test_the_health_check_asks_the_port_that_is_served(composed):
    service = composed["services"]["service"]
    port = service["command"][service["command"].index("--port") + 1]
    assert f":{port}/health/ready" in service["healthcheck"]["test"][-1]
    executor = composed["services"]["executor"]["command"]
    assert executor[executor.index("--server") + 1].endswith(f":{port}")


def test_every_volume_and_secret_that_is_used_is_declared(composed):
    named, secrets = set(), set()
    for service in composed["services"].values():
        named |= {volume.partition(":")[0] for volume in service["volumes"] if re.match(r"[a-z]", volume)}
        secrets |= set(service.get("secrets", ()))
        assert "environment" not in service, "secrets come as files"
    assert named == set(composed["volumes"])
    assert secrets == set(composed["secrets"])
    for name, secret in composed["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}


def test_the_gpu_file_adds_to_services_that_there_are(composed):
    added = yaml.safe_load((DEPLOY / "compose.gpu.yaml").read_text())["services"]
    assert set(added) <= set(composed["services"])
    (device,) = added["executor"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


def test_the_image_is_pinned_and_runs_as_nobody_special():
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(bases) == {"python:${PYTHON}"}
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)
    assert users
    assert users[-1] != "root"
    assert "-c constraints.txt" in DOCKERFILE


def test_what_the_image_copies_exists_and_is_let_through():
    root = DEPLOY.parent
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
        if not word.startswith("--")
    ]
    assert {"planner", "executors", "bot", "data"} <= set(copied)
    for path in copied:
        assert (root / path).exists()
        assert f"!{path}" in DOCKERIGNORE.splitlines()


def test_a_secret_file_becomes_a_variable_of_the_command_alone(tmp_path):
    (tmp_path / "BITWRIGHT_SLACK_BOT_TOKEN").write_text("xoxb-with space\n")
    (tmp_path / "OTHER").write_text("not ours")
    show = 'echo "$BITWRIGHT_SLACK_BOT_TOKEN|${OTHER-none}"'
    done = subprocess.run(
        [str(ENTRYPOINT), "sh", "-c", show],
        env={**os.environ, "SECRETS_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "xoxb-with space|none\n"


def test_without_secrets_the_command_runs_as_it_is(tmp_path):
    done = subprocess.run(
        [str(ENTRYPOINT), "sh", "-c", "exit 3"],
        env={**os.environ, "SECRETS_FOLDER": str(tmp_path / "none")},
        check=False,
    )
    assert done.returncode == 3
