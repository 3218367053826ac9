"""`moorage preflight`: whether a cluster is ready for the platform, and once it runs there, keeps tenants apart."""

import os
import sys
from collections.abc import Awaitable, Callable

import click

from moorage.cli import terminal
from moorage.cli.preflight import cluster, host_names, nodes, probe, report, stores
from moorage.cli.preflight.cluster import Place
from moorage.cli.preflight.report import Finding, Outcome, warn
from moorage.kube import login
from moorage.kube.client import Client
from moorage.model.errors import MoorageError

FAILED_EXIT = 1
HOME = "moorage-system"

# Each asks for one thing; what it cannot read is a warning and stops none of the others.
Check = Callable[[Client, Place], Awaitable[list[Finding]]]
CHECKS: tuple[tuple[str, Check], ...] = (
    ("kinds", cluster.our_kinds),
    ("admission policies", cluster.policies),
    ("network policies", cluster.network),
    ("sandbox", cluster.sandbox),
    ("nodes", nodes.nodes),
    ("clocks", nodes.clocks),
    ("Secrets", cluster.secrets),
    ("storage", cluster.storage),
)


@click.command()
@click.option("--namespace", default=HOME, show_default=True, help="Where the platform is, or will be.")
@click.option("--probe", "with_probe", is_flag=True, help="Try the tenants' network policies with pods of its own.")
@click.option("--image", default="", help="Image with Python for the probe; default: the installed operator's.")
@terminal.as_json
def preflight(namespace: str, with_probe: bool, image: str, as_json: bool) -> None:
    """Check a cluster before the install, and after it.

    The cluster is the one of KUBECONFIG. Database and object store are checked when MOORAGE_DATABASE_URL and
    MOORAGE_STORE_… are set, the DNS provider with MOORAGE_DOMAIN_ZONE and MOORAGE_CLOUDFLARE_TOKEN_FILE. Changes
    nothing; `--probe` makes two namespaces for a moment and removes them. Exits with 1 when something fails.
    """

    async def call() -> list[Finding]:
        async with Client.connect(login.from_environment()) as client:
            findings = await looked_at(client, namespace)
            if with_probe:
                findings += await probe.run(client, namespace, image)
        return findings

    findings = terminal.run(call())
    if as_json:
        terminal.print_json([{"check": item.check, "outcome": item.outcome.value, "found": item.found,
                              "advice": item.advice} for item in findings])  # fmt: skip
    else:
        for line in report.table(findings):
            click.echo(line)
    if any(item.outcome is Outcome.FAIL for item in findings):
        sys.exit(FAILED_EXIT)


async def looked_at(client: Client, namespace: str) -> list[Finding]:
    """Every check; the API server must answer the first."""
    findings = await cluster.api_server(client)
    where = await cluster.place(client, namespace)
    for name, check in CHECKS:
        findings += await _read(name, check(client, where))
    for named in (stores.database, stores.root_key, stores.object_store, host_names.provider):
        findings += await named(os.environ)
    return findings


async def _read(name: str, findings: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        return await findings
    except MoorageError as error:
        return [warn(name, f"could not be read: {error}", "Look with an administrator's kubeconfig.")]
