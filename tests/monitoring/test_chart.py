"""The chart hands rules, dashboards and scraping on as they are, and only to a cluster that wants them."""

import json
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from dev.layout import Layout
from tests.monitoring import shipped
from tests.tidy.tree import ROOT

CHART = ROOT / "charts" / "moorage"
NEEDED = {"store": {"endpoint": "https://s3.example", "accessKey": "a"}}
KINDS = {"PrometheusRule", "PodMonitor"}


def rendered(**monitoring: Any) -> list[dict[str, Any]]:
    """What Helm makes of these values."""
    layout = Layout.current()
    helm = shutil.which("helm", path=str(layout.bin))
    if helm is None:
        reason = "there is no Helm; `make up` builds one"
        pytest.skip(reason) if layout.external else pytest.fail(reason)
    values = yaml.safe_dump(NEEDED | {"monitoring": monitoring})
    argv = [helm, "template", "moorage", str(CHART), "--namespace=moorage-system", "--values=-"]
    done = subprocess.run(argv, input=values, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def of(items: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in items if item["kind"] == kind}


def test_nothing_is_asked_of_a_cluster_without_prometheus() -> None:
    items = rendered()
    assert {item["kind"] for item in items} & KINDS == set()
    assert [name for name in of(items, "ConfigMap") if "dashboard" in name] == []


def test_the_rules_arrive_as_they_are_with_pages_where_they_are_kept() -> None:
    on = {"enabled": True, "labels": {"release": "prometheus"}, "runbooks": "https://wiki.example/alerts/"}
    (rule,) = of(rendered(rules=on), "PrometheusRule").values()
    text = shipped.RULES.read_text(encoding="utf-8")
    moved = text.replace("https://moorage.dev/runbooks/", "https://wiki.example/alerts/")
    assert moved != text
    assert rule["spec"] == yaml.safe_load(moved)
    assert rule["metadata"]["labels"]["release"] == "prometheus"


def test_the_dashboards_arrive_as_they_are_under_the_label_of_the_sidecar() -> None:
    maps = of(rendered(dashboards={"enabled": True, "namespace": "grafana"}), "ConfigMap")
    found = {name: item for name, item in maps.items() if name.endswith("-dashboard")}
    assert {name for item in found.values() for name in item["data"]} == set(shipped.dashboards())
    for item in found.values():
        assert item["metadata"]["namespace"] == "grafana"
        assert item["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((name, text),) = item["data"].items()
        assert json.loads(text) == shipped.dashboards()[name]


def test_operator_and_api_are_scraped_where_they_serve_metrics() -> None:
    items = rendered(podMonitor={"enabled": True, "interval": "15s"})
    monitors = of(items, "PodMonitor")
    assert set(monitors) == {"moorage-operator", "moorage-api"}
    for name, monitor in monitors.items():
        template = of(items, "Deployment")[name]["spec"]["template"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        ports = [port["name"] for container in template["spec"]["containers"] for port in container["ports"]]
        assert endpoint["port"] in ports
        assert (endpoint["path"], endpoint["interval"]) == ("/metrics", "15s")


def test_the_operator_may_write_events() -> None:
    rules = [rule for role in of(rendered(), "ClusterRole").values() for rule in role["rules"]]
    granted = [rule for rule in rules if rule["apiGroups"] == ["events.k8s.io"]]
    assert {verb for rule in granted for verb in rule["verbs"]} == {"get", "create", "patch"}
