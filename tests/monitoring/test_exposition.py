"""What a scrape reads is as Prometheus wants names, units and help to be."""

import subprocess
from pathlib import Path

from prometheus_client import generate_latest

from moorage.observability import Metrics


def test_prometheus_finds_nothing_to_lint(promtool: Path) -> None:
    metrics = Metrics()
    for name, metric in vars(metrics).items():
        if name != "registry" and metric._labelnames:
            metric.labels(*metric._labelnames)  # one series of each, or there would be nothing to look at
    text = generate_latest(metrics.registry)
    done = subprocess.run([str(promtool), "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert text.count(b"\n# TYPE moorage_") > 50
    assert b"_created" not in text
