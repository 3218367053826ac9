"""The command line of the test bed: `python -m dev <command>`."""

import argparse
import importlib
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from dev import cluster, netpol, preflight, progress, relay, services, toolchain
from dev.layout import Layout
from dev.trouble import Trouble


def main() -> int:
    """Run one command; a failure is one sentence on stderr and exit code 1."""
    arguments = _parser().parse_args()
    command: Callable[[argparse.Namespace], None] = arguments.run
    try:
        command(arguments)
    except Trouble as trouble:
        print(f"\n{trouble}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"\nRun it as root: {error.filename} is not yours to touch.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. `make down` removes what was started.", file=sys.stderr)
        return 130
    return 0


def _up(_: argparse.Namespace) -> None:
    layout = Layout.current()
    if layout.external:
        progress.say(f"Using the cluster of {layout.kubeconfig}; none is built.")
    else:
        preflight.check(layout)
        toolchain.build(layout)
        cluster.up(layout)
        # Ports may have been chosen just now.
        layout = Layout.current()
    platform = _platform()
    if platform is not None:
        platform.up(layout)


def _down(arguments: argparse.Namespace) -> None:
    layout = Layout.current()
    platform = _platform()
    if platform is not None:
        platform.down(layout)
    if not layout.external:
        preflight.check_rights()
        cluster.down(layout, wipe=arguments.wipe)


def _status(_: argparse.Namespace) -> None:
    layout = Layout.current()
    lines = [f"cluster    {layout.kubeconfig} (not ours)"] if layout.external else cluster.status(layout)
    platform = _platform()
    lines += platform.status(layout) if platform is not None and hasattr(platform, "status") else []
    print("\n".join(lines))


def _env(_: argparse.Namespace) -> None:
    layout = Layout.current()
    path = f"{layout.root / '.venv' / 'bin'}:{layout.bin}"
    print(f"export KUBECONFIG={shlex.quote(str(layout.kubeconfig))}")
    print(f'export PATH={shlex.quote(path)}:"$PATH"')
    platform = _platform()
    if platform is not None:
        print(f"export MOORAGE_DATABASE_URL={shlex.quote(services.database_url(layout, on_host=True))}")


def _toolchain(_: argparse.Namespace) -> None:
    toolchain.build(Layout.current())


def _netpol(arguments: argparse.Namespace) -> None:
    netpol.serve(netpol.Server(arguments.server, 6443, arguments.pki, arguments.node))


def _relay(arguments: argparse.Namespace) -> None:
    relay.serve(arguments.netns, [relay.Forward.parse(text) for text in arguments.forwards])


def _platform() -> ModuleType | None:
    """What runs on the cluster; the cluster alone is useful too."""
    try:
        return importlib.import_module("dev.platform")
    except ModuleNotFoundError as error:
        if error.name == "dev.platform":
            return None
        raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    add("up", _up, "start the cluster and the platform on it; what runs already is left alone")
    down = add("down", _down, "stop everything and leave no process, mount, network or control group behind")
    down.add_argument("--wipe", action="store_true", help="delete the state as well: cluster data, volumes, images")
    add("status", _status, "say what runs, where, and since when")
    add("env", _env, "print shell exports for kubectl and moorage")
    add("toolchain", _toolchain, "build the cluster's programs into the cache and start nothing")
    engine = add("netpol", _netpol, "run the policy engine (started by `up` on the node)")
    engine.add_argument("--server", required=True, help="address of the API server")
    engine.add_argument("--pki", required=True, type=Path, help="folder of the certificates")
    engine.add_argument("--node", required=True, help="name of the node whose pods are filtered")
    forwarder = add("relay", _relay, "relay ports of the host into the node's network (started by `up`)")
    forwarder.add_argument("--netns", required=True, type=Path, help="file of the network namespace")
    forwarder.add_argument("forwards", nargs="+", help="host_port=target_host:target_port")
    return parser


if __name__ == "__main__":
    sys.exit(main())
