"""The layout keeps two clones apart and refuses places where sockets or mounts would break."""

from pathlib import Path

import pytest

from dev import layout as layouts
from dev.layout import Layout
from dev.trouble import Trouble

ENVIRONMENT = {"HOME": "/home/someone"}


def test_clones_share_the_cache_and_nothing_else() -> None:
    one = Layout.of(Path("/src/one"), ENVIRONMENT)
    two = Layout.of(Path("/src/two"), ENVIRONMENT)

    assert one.cache == two.cache
    assert one.run != two.run
    assert one.name != two.name
    assert one.ports_first != two.ports_first


def test_the_same_clone_gets_the_same_layout_again() -> None:
    assert Layout.of(Path("/src/one"), ENVIRONMENT) == Layout.of(Path("/src/one"), ENVIRONMENT)


def test_a_space_in_the_project_folder_does_not_reach_the_state_folder() -> None:
    assert " " not in str(Layout.of(Path("/src/my clone"), ENVIRONMENT).run)


def test_an_own_state_folder_gives_an_own_network_too() -> None:
    plain = Layout.of(Path("/src/one"), ENVIRONMENT)
    moved = Layout.of(Path("/src/one"), {**ENVIRONMENT, "MOORAGE_DEV_DIR": "/srv/test-bed"})

    assert moved.run == Path("/srv/test-bed")
    assert moved.name != plain.name


@pytest.mark.parametrize("folder", ["/" + "x" * 40, "/srv/a b", "/srv/a,b", "/srv/a:b"])
def test_a_state_folder_that_sockets_or_mounts_cannot_bear_is_refused(folder: str) -> None:
    with pytest.raises(Trouble, match="MOORAGE_DEV_DIR"):
        Layout.of(Path("/src/one"), {**ENVIRONMENT, "MOORAGE_DEV_DIR": folder})


def test_longest_state_folder_still_fits_the_shims_sockets() -> None:
    socket = f"{'/' + 'x' * (layouts.RUN_LENGTH_MAX - 1)}/s/{'0' * 64}"

    assert len(socket) <= 107


def test_a_kubeconfig_in_the_environment_makes_the_cluster_external() -> None:
    layout = Layout.of(Path("/src/one"), {**ENVIRONMENT, "KUBECONFIG": "/home/someone/k3s.yaml"})

    assert layout.external
    assert layout.kubeconfig == layout.kubeconfig_inside == Path("/home/someone/k3s.yaml")


def test_our_own_kubeconfig_in_the_environment_leaves_the_cluster_ours() -> None:
    own = Layout.of(Path("/src/one"), ENVIRONMENT).kubeconfig

    assert not Layout.of(Path("/src/one"), {**ENVIRONMENT, "KUBECONFIG": str(own)}).external


def test_stored_ports_win_over_derived_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "RUN_BASE", tmp_path)
    monkeypatch.setattr(layouts, "RUN_LENGTH_MAX", 1000)
    derived = Layout.of(Path("/src/one"), ENVIRONMENT)
    derived.run.mkdir(parents=True)
    layouts.ports_file(derived.run).write_text('{"first": 31990}')

    assert Layout.of(Path("/src/one"), ENVIRONMENT).ports_first == 31990


def test_every_forward_has_a_host_port_of_its_own_in_the_block() -> None:
    layout = Layout.of(Path("/src/one"), ENVIRONMENT)

    host_ports = [forward[0] for forward in layout.forwards]
    assert host_ports == [layout.port(name) for name in ("api-server", "postgres", "s3", "api", "probe")]
    assert len(set(host_ports)) == len(host_ports)
    assert max(host_ports) < layout.ports_first + layouts.PORT_BLOCK_SIZE


def test_every_block_is_tried_once_and_lies_below_the_ephemeral_ports() -> None:
    blocks = layouts.port_blocks(27290)

    assert blocks[0] == 27290
    assert len(set(blocks)) == layouts.PORT_BLOCK_COUNT
    assert max(blocks) + layouts.PORT_BLOCK_SIZE <= 32768
