"""What the chart installs, as `helm template` renders it."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Objects = list[dict[str, Any]]
Render = Callable[..., Objects]
RunTemplate = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[3]
CRD = ROOT / "crds" / "umbel.dev_taskqueues.yaml"
COPY = ROOT / "charts" / "umbel" / "files" / "umbel.dev_taskqueues.yaml"


def the(kind: str, objects: Objects) -> dict[str, Any]:
    [found] = [item for item in objects if item["kind"] == kind]
    return found


def pod(objects: Objects) -> dict[str, Any]:
    return the("Deployment", objects)["spec"]["template"]["spec"]


def operator(objects: Objects) -> dict[str, Any]:
    [container] = pod(objects)["containers"]
    return container


def environment(objects: Objects) -> dict[str, str]:
    return {v["name"]: v["value"] for v in operator(objects)["env"] if "value" in v}


def test_the_copy_of_the_crd_is_fresh() -> None:
    assert COPY.read_bytes() == CRD.read_bytes(), f"run: cp {CRD} {COPY}"


def test_installs_the_crd_as_it_is_and_keeps_it(rendered: Objects) -> None:
    crd = the("CustomResourceDefinition", rendered)

    assert crd["spec"] == yaml.safe_load(CRD.read_text())["spec"]
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_leaves_the_crd_to_others_when_told_so(render: Render) -> None:
    assert "CustomResourceDefinition" not in [o["kind"] for o in render("crds.install=false")]


def test_gives_the_crd_up_when_told_so(render: Render) -> None:
    assert (
        "annotations" not in the("CustomResourceDefinition", render("crds.keep=false"))["metadata"]
    )


def test_installs_nothing_else_than_it_says(rendered: Objects) -> None:
    assert sorted(item["kind"] for item in rendered) == [
        "ClusterRole",
        "ClusterRole",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "Deployment",
        "Pod",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
    ]


def test_runs_restricted(rendered: Objects) -> None:
    assert pod(rendered)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert operator(rendered)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(rendered)["volumes"] == [{"name": "tmp", "emptyDir": {}}]


def test_one_operator_leads_and_one_stands_by(rendered: Objects) -> None:
    deployment = the("Deployment", rendered)["spec"]

    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert operator(rendered)["args"] == ["run"]
    assert "podAntiAffinity" in pod(rendered)["affinity"]
    names = [v for v in operator(rendered)["env"] if v["name"] == "UMBEL_POD_NAME"]
    assert [v["valueFrom"] for v in names] == [{"fieldRef": {"fieldPath": "metadata.name"}}]


def test_a_node_can_be_drained_of_operators_one_by_one(rendered: Objects) -> None:
    budget = the("PodDisruptionBudget", rendered)["spec"]

    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == the("Deployment", rendered)["spec"]["selector"]


@pytest.mark.parametrize("value", ["replicaCount=1", "podDisruptionBudget.create=false"])
def test_there_may_be_no_disruption_budget(render: Render, value: str) -> None:
    assert "PodDisruptionBudget" not in [item["kind"] for item in render(value)]


def test_an_affinity_of_the_user_takes_the_place_of_ours(render: Render) -> None:
    assert list(pod(render("affinity.nodeAffinity.x=y"))["affinity"]) == ["nodeAffinity"]


def test_asks_the_operator_how_it_is(rendered: Objects) -> None:
    container = operator(rendered)

    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert container["ports"] == [{"name": "metrics", "containerPort": 8080, "protocol": "TCP"}]


def test_a_volume_of_the_user_is_mounted_beside_ours(render: Render) -> None:
    objects = render(
        "extraVolumes[0].name=ca",
        "extraVolumes[0].configMap.name=broker-ca",
        "extraVolumeMounts[0].name=ca",
        "extraVolumeMounts[0].mountPath=/ca",
        "deploymentAnnotations.team=shop",
    )

    assert pod(objects)["volumes"][1] == {"name": "ca", "configMap": {"name": "broker-ca"}}
    assert operator(objects)["volumeMounts"][1] == {"name": "ca", "mountPath": "/ca"}
    assert the("Deployment", objects)["metadata"]["annotations"] == {"team": "shop"}


def test_the_service_leads_to_the_operator(rendered: Objects) -> None:
    service = the("Service", rendered)["spec"]
    labels = the("Deployment", rendered)["spec"]["template"]["metadata"]["labels"]

    assert service["selector"].items() <= labels.items()
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(8080, "metrics")]


def test_hands_its_settings_to_the_operator(render: Render) -> None:
    objects = render(
        "operator.tickSeconds=0.5",
        "logging.level=DEBUG",
        "logging.format=json",
        "runtime.image.repository=localhost/umbel-worker",
        "runtime.image.tag=dev",
        "runtime.image.pullPolicy=Never",
        "extraEnv[0].name=HTTPS_PROXY",
        "extraEnv[0].value=http://proxy",
    )

    assert environment(objects) == {
        "UMBEL_LEASE_NAMESPACE": "umbel-system",
        "UMBEL_LEASE_NAME": "umbel",
        "UMBEL_LEASE_DEPLOYMENT": "umbel",
        "UMBEL_RUNTIME_IMAGE": "localhost/umbel-worker:dev",
        "UMBEL_RUNTIME_IMAGE_PULL_POLICY": "Never",
        "UMBEL_TICK_SECONDS": "0.5",
        "UMBEL_LOG_LEVEL": "DEBUG",
        "UMBEL_LOG_FORMAT": "json",
        "HTTPS_PROXY": "http://proxy",
    }


DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ([], "umbel/operator:0.1.0"),
        (["image.tag=dev"], "umbel/operator:dev"),
        (["image.registry=registry.example"], "registry.example/umbel/operator:0.1.0"),
        (["image.tag=dev", f"image.digest={DIGEST}"], f"umbel/operator@{DIGEST}"),
    ],
    ids=["the version", "a tag", "a registry", "a digest wins over a tag"],
)
def test_names_the_image(render: Render, values: list[str], want: str) -> None:
    assert operator(render(*values))["image"] == want


def test_labels_everything(render: Render) -> None:
    for item in render("commonLabels.team=shop"):
        labels = item["metadata"]["labels"]
        assert labels["team"] == "shop", item["kind"]
        assert labels["app.kubernetes.io/part-of"] == "umbel", item["kind"]


def test_a_label_of_the_user_never_changes_the_selector(render: Render) -> None:
    plain, labelled = render(), render("commonLabels.team=shop", "podLabels.tier=a")

    assert (
        the("Deployment", plain)["spec"]["selector"]
        == the("Deployment", labelled)["spec"]["selector"]
    )


def test_uses_an_account_that_exists_when_told_so(render: Render) -> None:
    objects = render("serviceAccount.create=false", "serviceAccount.name=mine")

    assert "ServiceAccount" not in [item["kind"] for item in objects]
    assert pod(objects)["serviceAccountName"] == "mine"
    for binding in (item for item in objects if item["kind"].endswith("RoleBinding")):
        assert binding["subjects"][0]["name"] == "mine"


@pytest.mark.parametrize(
    "value",
    [
        "replicas=3",
        "image.repo=x",
        "image.tag=7",
        "image.pullPolicy=Sometimes",
        "image.digest=sha256:short",
        "logging.level=LOUD",
        "logging.format=xml",
        "operator.tickSeconds=0",
        "operator.tickSeconds=0.1",
        "operator.ticks=2",
        "crds.install=yes",
        "metrics.service.port=0",
        "serviceAccount.annotations.a=1",
        "watchNamespaces={team-*}",
        "watchNamespaces={shop,shop}",
        "rbac.secretNames={*}",
        "rbac.aggregate=maybe",
        "extraEnv[0].nam=A",
        "extraVolumeMounts[0].name=ca",
    ],
)
def test_refuses_a_value_that_it_does_not_know(run_template: RunTemplate, value: str) -> None:
    answer = run_template(value)

    assert answer.returncode != 0
    assert "values don't meet the specifications of the schema" in answer.stderr


def test_helm_finds_nothing_to_complain_about(helm: str) -> None:
    answer = subprocess.run(
        [helm, "lint", "--strict", str(ROOT / "charts" / "umbel"), "--kube-version", "1.34.0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert answer.returncode == 0, answer.stdout
