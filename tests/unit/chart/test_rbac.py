"""Who may do what: the operator in the whole cluster or in single namespaces, and people."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from umbel.cluster.kubernetes import PATHS
from umbel.handlers.watch import CHILDREN
from umbel.settings import from_environment

Objects = list[dict[str, Any]]
Render = Callable[..., Objects]

NEEDED = {
    ("umbel.dev", "taskqueues"): {"list", "watch"},
    ("umbel.dev", "taskqueues/status"): {"patch"},
    ("apps", "deployments"): {"get", "list", "watch", "create", "patch", "delete"},
    ("apps", "deployments/scale"): {"patch"},
    ("policy", "poddisruptionbudgets"): {"get", "list", "watch", "create", "patch", "delete"},
    ("", "pods"): {"list", "watch", "patch"},
    ("", "secrets"): {"get"},
    ("", "events"): {"create"},
}
MODES = {
    "the whole cluster": [],
    "single namespaces": ["watchNamespaces={shop,billing}"],
    "its own namespace": ["watchNamespaces={umbel-system}"],
    "named Secrets": ["rbac.secretNames={shop-broker}"],
}
TWO = MODES["single namespaces"]
CLUSTER_SCOPED = ("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")


def of_kind(kind: str, objects: Objects) -> Objects:
    return [item for item in objects if item["kind"] == kind]


def called(kind: str, name: str, objects: Objects, namespace: str | None = None) -> dict[str, Any]:
    [found] = [
        item
        for item in of_kind(kind, objects)
        if item["metadata"]["name"] == name and item["metadata"].get("namespace") == namespace
    ]
    return found


def granted(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def grants(objects: Objects, account: str = "umbel") -> Iterator[tuple[str | None, dict[str, Any]]]:
    """What an account of the release's namespace may: (namespace or None for all, role)."""
    for binding in objects:
        if not binding["kind"].endswith("RoleBinding"):
            continue
        subject = {"kind": "ServiceAccount", "name": account, "namespace": "umbel-system"}
        assert binding["subjects"] == [subject]
        namespace, to = binding["metadata"].get("namespace"), binding["roleRef"]
        of = namespace if to["kind"] == "Role" else None
        yield namespace, called(to["kind"], to["name"], objects, of)


def environment(objects: Objects) -> dict[str, str]:
    [deployment] = of_kind("Deployment", objects)
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {v["name"]: v["value"] for v in container["env"] if "value" in v}


def test_in_the_whole_cluster_it_may_do_exactly_what_it_does(rendered: Objects) -> None:
    assert granted(called("ClusterRole", "umbel", rendered)) == NEEDED
    assert "UMBEL_WATCH_NAMESPACES" not in environment(rendered)


def test_what_the_code_asks_for_is_what_is_granted() -> None:
    asked = {re.split(r"/v\w+{ns}/", path)[-1] for path in PATHS.values()}
    watched = {(group, plural) for group, _, plural in CHILDREN.values()}

    assert asked == {resource for _, resource in NEEDED if "/" not in resource} | {"leases"}
    for child in watched:
        assert {"list", "watch"} <= NEEDED[child]


def test_with_namespaces_it_may_do_the_same_in_each_of_them_and_nothing_elsewhere(
    render: Render,
) -> None:
    objects = render(*TWO)
    found = [(where, role["metadata"]["name"]) for where, role in grants(objects)]

    assert sorted(found) == [
        ("billing", "umbel"),
        ("shop", "umbel"),
        ("umbel-system", "umbel-leader"),
    ]
    for namespace in ("shop", "billing"):
        assert granted(called("Role", "umbel", objects, namespace)) == NEEDED
    assert of_kind("ClusterRoleBinding", objects) == []


def test_the_operator_is_told_the_namespaces_in_which_it_has_rights(render: Render) -> None:
    settings = from_environment(environment(render(*TWO)))

    assert settings.watch_namespaces == ("shop", "billing")


def test_prometheus_looks_for_workers_where_the_operator_does(render: Render) -> None:
    def looked_for(*values: str) -> Any:
        [monitor] = of_kind("PodMonitor", render("metrics.podMonitor.enabled=true", *values))
        return monitor["spec"]["namespaceSelector"]

    assert looked_for() == {"any": True}
    assert looked_for(*TWO) == {"matchNames": ["shop", "billing"]}
    assert looked_for(*TWO, "metrics.podMonitor.namespaces={shop}") == {"matchNames": ["shop"]}


def test_with_namespaces_the_only_cluster_roles_are_for_people(render: Render) -> None:
    names = [role["metadata"]["name"] for role in of_kind("ClusterRole", render(*TWO))]

    assert names == ["umbel-view", "umbel-edit"]


def test_it_can_be_installed_without_any_object_of_the_whole_cluster(render: Render) -> None:
    objects = render(*TWO, "crds.install=false", "rbac.aggregate=false")

    assert [item["kind"] for item in objects if item["kind"] in CLUSTER_SCOPED] == []
    assert all(item["metadata"]["namespace"] for item in objects)


def test_the_releases_own_namespace_may_be_one_of_them(render: Render) -> None:
    objects = render("watchNamespaces={umbel-system}")

    found = {role["metadata"]["name"]: granted(role) for _, role in grants(objects)}
    assert found["umbel"] == NEEDED
    assert list(found["umbel-leader"]) == [
        ("coordination.k8s.io", "leases"),
        ("apps", "deployments"),
    ]


@pytest.mark.parametrize("values", MODES.values(), ids=MODES.keys())
def test_the_leader_may_write_its_own_lease_in_its_own_namespace_and_no_other(
    render: Render, values: list[str]
) -> None:
    objects = render(*values)
    settings = environment(objects)
    namespace, name = settings["UMBEL_LEASE_NAMESPACE"], settings["UMBEL_LEASE_NAME"]

    role = called("Role", "umbel-leader", objects, namespace)

    assert [(rule.get("resourceNames"), rule["verbs"]) for rule in role["rules"]] == [
        ([name], ["get", "update"]),
        (None, ["create"]),
        ([settings["UMBEL_LEASE_DEPLOYMENT"]], ["get"]),
    ]
    assert called("Deployment", settings["UMBEL_LEASE_DEPLOYMENT"], objects, namespace)
    holders = [
        where
        for where, role in grants(objects)
        if ("coordination.k8s.io", "leases") in granted(role)
    ]
    assert holders == [namespace]


@pytest.mark.parametrize("values", [[], TWO], ids=["the whole cluster", "single namespaces"])
def test_it_may_read_no_other_secrets_than_the_named_ones(
    render: Render, values: list[str]
) -> None:
    objects = render(*values, "rbac.secretNames={shop-broker,shop-limits}")

    rules = [rule for _, role in grants(objects) for rule in role["rules"]]
    secrets = [rule for rule in rules if "secrets" in rule["resources"]]
    assert len(secrets) == max(1, 2 * len(values))
    for rule in secrets:
        assert (rule["resourceNames"], rule["verbs"]) == (["shop-broker", "shop-limits"], ["get"])


@pytest.mark.parametrize("values", MODES.values(), ids=MODES.keys())
def test_nothing_is_granted_by_a_wildcard(render: Render, values: list[str]) -> None:
    roles = [item for item in render(*values) if item["kind"] in ("Role", "ClusterRole")]

    assert roles
    for role in roles:
        for rule in role["rules"]:
            assert [word for words in rule.values() for word in words if "*" in word] == []


@pytest.mark.parametrize("values", MODES.values(), ids=MODES.keys())
def test_there_are_no_roles_of_the_operator_when_told_so(render: Render, values: list[str]) -> None:
    objects = render(*values, "rbac.create=false")

    assert list(grants(objects)) == []
    assert of_kind("Role", objects) == []


def test_whoever_may_view_or_edit_a_namespace_may_do_so_with_its_taskqueues(
    rendered: Objects,
) -> None:
    view, edit = (called("ClusterRole", f"umbel-{what}", rendered) for what in ("view", "edit"))

    assert granted(view) == {
        ("umbel.dev", "taskqueues"): {"get", "list", "watch"},
        ("umbel.dev", "taskqueues/status"): {"get", "list", "watch"},
    }
    assert granted(edit) == {
        ("umbel.dev", "taskqueues"): {"create", "update", "patch", "delete", "deletecollection"}
    }
    assert aggregated_to(view) == {"view", "edit", "admin"}
    assert aggregated_to(edit) == {"edit", "admin"}
    assert aggregated_to(called("ClusterRole", "umbel", rendered)) == set()


def aggregated_to(role: dict[str, Any]) -> set[str]:
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    labels = role["metadata"]["labels"]
    return {key.removeprefix(prefix) for key in labels if key.startswith(prefix)}


def test_nobody_else_gets_rights_when_told_so(render: Render) -> None:
    names = [r["metadata"]["name"] for r in of_kind("ClusterRole", render("rbac.aggregate=false"))]

    assert names == ["umbel"]
