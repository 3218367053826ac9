"""Choose the block of ports on the host's loopback, and remember the choice."""

import dataclasses
import json
import socket

from dev import layout as layouts
from dev import processes
from dev.layout import Layout
from dev.trouble import Trouble


def choose(layout: Layout) -> Layout:
    """The layout with a block of ports that is ours or free; the choice is stored for every later command."""
    if processes.alive(layout, "relay"):
        return layout
    chosen = dataclasses.replace(layout, ports_first=free_block(layout.ports_first))
    layouts.ports_file(layout.run).write_text(json.dumps({"first": chosen.ports_first}))
    return chosen


def free_block(preferred: int) -> int:
    """First port of a block in which nobody listens, the preferred one if possible."""
    for first in layouts.port_blocks(preferred):
        if all(_free(first + offset) for offset in range(len(layouts.TARGETS))):
            return first
    last = layouts.PORT_BLOCK_FIRST + layouts.PORT_BLOCK_COUNT * layouts.PORT_BLOCK_SIZE
    raise Trouble(f"Free five ports in a row on 127.0.0.1 between {layouts.PORT_BLOCK_FIRST} and {last}.")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As the relay binds: a port that is only waiting out an old connection is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
