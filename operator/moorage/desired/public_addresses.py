"""What of the Internet agents may reach: every public address but those with which one comes back inside."""

import ipaddress
from collections.abc import Iterable

from moorage.desired.metadata import Manifest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

EVERYTHING_V4 = ipaddress.IPv4Network("0.0.0.0/0")
# Only what has been given out as global unicast. Loopback, link-local, unique local and multicast addresses lie
# outside, and so does whatever carries an IPv4 address (::ffff:0:0/96, 64:ff9b::/96 and their like) but those below.
GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")

NOT_PUBLIC_V4 = (
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",  # private
    "100.64.0.0/10",  # behind a carrier's translation; one cloud's metadata service
    "127.0.0.0/8",  # loopback
    "168.63.129.16/32",  # one cloud's metadata service, at a public address
    "169.254.0.0/16",  # link-local; every other cloud's metadata service
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # protocol assignments; one cloud's metadata service
    "192.0.2.0/24",  # documentation
    "192.88.99.0/24",  # relays into 6to4
    "192.168.0.0/16",  # private
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, broadcast
)
NOT_PUBLIC_V6 = (
    "2001::/23",  # protocol assignments: Teredo carries IPv4 addresses
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4 carries IPv4 addresses
    "3fff::/20",  # documentation
)


def blocks(denied: Iterable[str]) -> list[Manifest]:
    """The peers that stand for it, without the installation's own ranges; a family that is denied whole has none."""
    own = [ipaddress.ip_network(cidr) for cidr in denied]
    v4 = [
        *map(ipaddress.IPv4Network, NOT_PUBLIC_V4),
        *(hole for hole in own if isinstance(hole, ipaddress.IPv4Network)),
    ]
    v6 = [
        *map(ipaddress.IPv6Network, NOT_PUBLIC_V6),
        *(hole for hole in own if isinstance(hole, ipaddress.IPv6Network)),
    ]
    holes_v4, holes_v6 = ipaddress.collapse_addresses(v4), ipaddress.collapse_addresses(v6)
    return [*_without(EVERYTHING_V4, holes_v4), *_without(GLOBAL_V6, holes_v6)]


def _without(whole: Network, holes: Iterable[Network]) -> Iterable[Manifest]:
    # Two ranges either lie apart or one holds the other; the API refuses an exception that is not inside its block.
    inside = [hole for hole in holes if hole.overlaps(whole)]
    if all(hole.prefixlen > whole.prefixlen for hole in inside):
        yield {"ipBlock": {"cidr": str(whole), "except": [str(hole) for hole in inside]}}
