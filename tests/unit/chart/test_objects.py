"""What every rendering has in common: valid to Kubernetes, restricted, and without wildcards."""

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.chart.conform import Kubeconform

from umbel.spec.parse import parse

Objects = list[dict[str, Any]]
Render = Callable[..., Objects]
RunTemplate = Callable[..., subprocess.CompletedProcess[str]]
CHART = Path(__file__).parents[3] / "charts" / "umbel"

EVERYTHING = [
    "networkPolicy.create=true",
    "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=monitoring",
    "networkPolicy.egress[0].ports[0].port=6443",
    "networkPolicy.egress[0].ports[0].protocol=TCP",
    "serviceAccount.annotations.owner=shop",
    "deploymentAnnotations.owner=shop",
    "podAnnotations.owner=shop",
    "podLabels.owner=shop",
    "commonLabels.owner=shop",
    "imagePullSecrets[0].name=registry",
    "priorityClassName=system-cluster-critical",
    "nodeSelector.disk=ssd",
    "tolerations[0].key=dedicated",
    "tolerations[0].operator=Exists",
    "topologySpreadConstraints[0].maxSkew=1",
    "topologySpreadConstraints[0].topologyKey=zone",
    "topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway",
    "extraEnv[0].name=SSL_CERT_FILE",
    "extraEnv[0].value=/ca/ca.crt",
    "extraVolumes[0].name=ca",
    "extraVolumes[0].configMap.name=broker-ca",
    "extraVolumeMounts[0].name=ca",
    "extraVolumeMounts[0].mountPath=/ca",
    "rbac.secretNames={shop-broker}",
]
MODES = {
    "as it comes": [],
    "single namespaces": ["watchNamespaces={shop,billing}"],
    "nothing of the whole cluster": [
        "watchNamespaces={shop}",
        "crds.install=false",
        "rbac.aggregate=false",
    ],
    "everything": EVERYTHING,
    "everything in single namespaces": [*EVERYTHING, "watchNamespaces={shop}"],
    "next to nothing": [
        "rbac.create=false",
        "rbac.aggregate=false",
        "serviceAccount.create=false",
        "crds.install=false",
        "metrics.service.create=false",
        "replicaCount=1",
    ],
}
IN_EVERY_MODE = pytest.mark.parametrize("values", MODES.values(), ids=MODES.keys())


def of_kind(kind: str, objects: Objects) -> Objects:
    return [item for item in objects if item["kind"] == kind]


def pods(objects: Objects) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(labels, spec) of every pod."""
    for item in of_kind("Pod", objects):
        yield item["metadata"]["labels"], item["spec"]
    for item in of_kind("Deployment", objects):
        template = item["spec"]["template"]
        yield template["metadata"]["labels"], template["spec"]


@IN_EVERY_MODE
def test_kubernetes_takes_every_object(
    run_template: RunTemplate, conforms: Kubeconform, values: list[str]
) -> None:
    answer = run_template(*values)

    assert answer.returncode == 0, answer.stderr
    assert conforms(answer.stdout) == ""


def test_a_field_that_kubernetes_does_not_know_would_be_noticed(
    run_template: RunTemplate, conforms: Kubeconform
) -> None:
    manifests = run_template().stdout

    assert "nodeSelektor" in conforms(manifests.replace("affinity:", "nodeSelektor:"))
    assert "replicas" in conforms(manifests.replace("replicas: 2", "replicas: two"))


@IN_EVERY_MODE
def test_every_pod_is_restricted(render: Render, values: list[str]) -> None:
    found = list(pods(render(*values)))

    assert len(found) == 2
    for _, spec in found:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        assert [v for v in spec.get("volumes", ()) if "hostPath" in v] == []


@IN_EVERY_MODE
def test_no_two_objects_have_one_name(render: Render, values: list[str]) -> None:
    objects = render(*values)
    names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]

    assert len(set(names)) == len(names)


def test_the_pod_of_helm_test_asks_the_operator_through_its_service(render: Render) -> None:
    objects = render("metrics.service.port=9000")
    [pod], [service] = of_kind("Pod", objects), of_kind("Service", objects)
    [container], [operator] = pod["spec"]["containers"], of_kind("Deployment", objects)

    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert container["args"] == [
        "verify",
        "--within=60",
        f"--operator=http://{service['metadata']['name']}.umbel-system.svc:9000",
    ]
    image = operator["spec"]["template"]["spec"]["containers"][0]["image"]
    assert container["image"] == image
    assert pod["spec"]["restartPolicy"] == "Never"


def test_without_a_service_helm_test_asks_the_cluster_alone(render: Render) -> None:
    [pod] = of_kind("Pod", render("metrics.service.create=false"))

    assert pod["spec"]["containers"][0]["args"] == ["verify", "--within=60"]


@IN_EVERY_MODE
def test_nothing_takes_the_pod_of_helm_test_for_an_operator(
    render: Render, values: list[str]
) -> None:
    objects = render(*values)
    [(labels, _), *_] = pods(objects)
    selectors = [
        item["spec"]["selector"].get("matchLabels", item["spec"]["selector"])
        for item in objects
        if item["kind"] in ("Service", "Deployment", "PodDisruptionBudget")
    ]

    assert selectors
    assert [one for one in selectors if one.items() <= labels.items()] == []


def test_the_account_of_helm_test_has_no_rights(render: Render) -> None:
    objects = render()
    [pod] = of_kind("Pod", objects)

    bound = [s["name"] for o in objects for s in o.get("subjects", ())]
    assert pod["spec"]["serviceAccountName"] not in bound


# --- the network


def test_there_is_no_network_policy_unless_it_is_asked_for(rendered: Objects) -> None:
    assert of_kind("NetworkPolicy", rendered) == []


def test_a_network_policy_opens_the_port_of_metrics_to_all_and_closes_no_way_out(
    render: Render,
) -> None:
    objects = render("networkPolicy.create=true")
    [policy], [operator] = of_kind("NetworkPolicy", objects), of_kind("Deployment", objects)
    labels = operator["spec"]["template"]["metadata"]["labels"]

    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert policy["spec"]["ingress"] == [{"ports": [{"port": "metrics", "protocol": "TCP"}]}]
    assert "egress" not in policy["spec"]


def test_who_may_scrape_can_be_named_and_helm_test_still_may(render: Render) -> None:
    objects = render(*EVERYTHING)
    [policy], [(labels, _), *_] = of_kind("NetworkPolicy", objects), pods(objects)

    [rule] = policy["spec"]["ingress"]
    scraper, verify = rule["from"]
    assert scraper == {"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}
    assert verify["podSelector"]["matchLabels"].items() <= labels.items()


def test_where_the_operator_may_connect_to_can_be_named_and_names_can_be_asked_for(
    render: Render,
) -> None:
    [policy] = of_kind("NetworkPolicy", render(*EVERYTHING))

    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    ports = [rule["ports"] for rule in policy["spec"]["egress"]]
    assert ports == [
        [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
        [{"port": 6443, "protocol": "TCP"}],
    ]


# --- what users read


@pytest.fixture(scope="session")
def notes(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The notes that Helm shows; it does so with a cluster only, so they are put into an object."""
    chart = tmp_path_factory.mktemp("notes") / "umbel"
    (chart / "templates").mkdir(parents=True)
    for name in ("Chart.yaml", "values.yaml", "values.schema.json", "templates/_helpers.tpl"):
        (chart / name).write_text((CHART / name).read_text())
    (chart / "NOTES.txt").write_text((CHART / "templates/NOTES.txt").read_text())
    (chart / "templates/notes.yaml").write_text(
        'notes: {{ tpl (.Files.Get "NOTES.txt") . | quote }}'
    )
    plain = [helm, "template", "umbel", str(chart), "-n", "umbel-system"]
    plain += ["--kube-version", "1.34.0"]

    def shown(*values: str) -> str:
        sets = itertools.chain.from_iterable(("--set", value) for value in values)
        done = subprocess.run([*plain, *sets], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return str(yaml.safe_load(done.stdout)["notes"])

    return shown


def test_the_notes_tell_what_to_do_next_with_a_taskqueue_that_is_one(
    notes: Callable[..., str],
) -> None:
    told = notes()

    assert "looks after TaskQueues in all namespaces." in told
    assert "helm -n umbel-system test umbel" in told
    manifest = yaml.safe_load(told.split("<<END")[1].split("     END")[0])
    manifest["metadata"] |= {"uid": "1", "namespace": "default", "generation": 1}
    assert [pool.name for pool in parse(manifest).spec.pools] == ["long", "short"]
    assert "WARNING" not in told


def test_the_notes_say_where_taskqueues_are_looked_after_and_from_which_secrets(
    notes: Callable[..., str],
) -> None:
    told = notes("watchNamespaces={shop,billing}", "rbac.secretNames={broker}")

    assert "in shop, billing; elsewhere they are left alone." in told
    assert "kubectl -n shop apply" in told
    assert "create secret generic broker" in told
    assert "must be in them: broker" in told


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("replicaCount=0", "WARNING: replicaCount is 0"),
        ("replicaCount=1", "With one replica nobody takes over"),
        ("rbac.create=false", "bind the roles of docs/installation.md to the account umbel"),
    ],
)
def test_the_notes_warn_of_what_will_not_do(
    notes: Callable[..., str], value: str, words: str
) -> None:
    assert words in notes(value)
    assert words not in notes()


def test_the_notes_speak_of_the_crd_only_where_it_is_kept(notes: Callable[..., str]) -> None:
    words = "kubectl delete crd taskqueues.umbel.dev"

    assert words in notes()
    assert words not in notes("crds.keep=false")
    assert words not in notes("crds.install=false")


def test_the_chart_tells_artifact_hub_of_a_taskqueue_that_is_one() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    told = {k.removeprefix("artifacthub.io/"): v for k, v in chart["annotations"].items()}
    crd = yaml.safe_load((CHART / "files/umbel.dev_taskqueues.yaml").read_text())

    [of] = yaml.safe_load(told["crds"])
    versions = [version["name"] for version in crd["spec"]["versions"]]
    assert (of["name"], of["kind"]) == (crd["metadata"]["name"], crd["spec"]["names"]["kind"])
    assert of["version"] in versions
    [example] = yaml.safe_load(told["crdsExamples"])
    example["metadata"] |= {"uid": "1", "namespace": "default", "generation": 1}
    assert parse(example).spec.pools
    kinds = {change["kind"] for change in yaml.safe_load(told["changes"])}
    assert kinds <= {"added", "changed", "deprecated", "removed", "fixed", "security"}
