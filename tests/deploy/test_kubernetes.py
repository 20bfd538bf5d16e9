"""The StatefulSet: what kubectl renders where it is there, and what has to be in it anywhere."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"


@pytest.fixture(scope="module")
def pod():
    """The pod's specification."""
    stateful_set = yaml.safe_load((FOLDER / "bitwright.yaml").read_text())
    assert (stateful_set["apiVersion"], stateful_set["kind"]) == ("apps/v1", "StatefulSet")
    assert stateful_set["spec"]["replicas"] == 1, "one process owns the database file"
    labels = stateful_set["spec"]["template"]["metadata"]["labels"]
    assert stateful_set["spec"]["selector"]["matchLabels"].items() <= labels.items()
    claimed = {claim["metadata"]["name"] for claim in stateful_set["spec"]["volumeClaimTemplates"]}
    return {**stateful_set["spec"]["template"]["spec"], "claimed": claimed}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here")
def test_kubectl_renders_it():
    done = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["metadata"]["namespace"] == "bitwright"


def test_each_container_runs_its_command_closed(pod):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert [container["args"][1] for container in pod["containers"]] == ["serve", "executor", "bot"]
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "env" not in container, "secrets come as files"


def test_every_volume_that_is_mounted_is_there(pod):
    there = {volume["name"] for volume in pod["volumes"]} | pod["claimed"]
    for container in pod["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= there


def test_the_probes_ask_the_port_that_is_served(pod):
    service = pod["containers"][0]
    port = service["args"][service["args"].index("--port") + 1]
    for probe, path in (("readinessProbe", "ready"), ("livenessProbe", "live")):
        assert f":{port}/health/{path}" in service[probe]["exec"]["command"][-1]
