"""IP addresses that HTTP tools may connect to.

Python's own `is_global` does not suffice: it accepts multicast, IPv4 addresses inside of IPv6 ones, and networks that
were reserved after its release. So an IPv4 address is refused if it is in a reserved network, and an IPv6 address
is accepted only in the network of global unicast. Networks are those of the IANA Special-Purpose Address Registries.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(IPv6Network(name) if ":" in name else IPv4Network(name) for name in text.split())


_METADATA = _networks(
    "169.254.169.254/32 169.254.170.2/32 100.100.100.200/32 192.0.0.192/32 168.63.129.16/32 "
    "fd00:ec2::/32 fd20:ce::254/128"
)
"""Services of clouds that hand out credentials, also where their address looks public."""
_LINK_LOCAL = _networks("169.254.0.0/16 fe80::/10")
_LOOPBACK = _networks("127.0.0.0/8 ::1/128")
_PRIVATE = _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7")
_MULTICAST = _networks("224.0.0.0/4 ff00::/8")
_RESERVED = _networks(
    "0.0.0.0/8 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 "
    "2001::/23 2001:db8::/32 2002::/16 3fff::/20"
)
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_WITH_IPV4_AT_THE_END = _networks("::ffff:0:0/96 64:ff9b::/96")
"""IPv4-mapped addresses, and those of NAT64: connections to them go to the IPv4 address in their last four bytes."""


def refusal(text: str, *, private: bool) -> str | None:
    """Returns what is wrong with an address, as in "is at a private address"; `None` if it may be connected to.

    Args:
        text: the address, in any form that Python's `ip_address` accepts.
        private: accept private addresses and those of this machine. Nothing else that is refused becomes accepted.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return "an address that is not valid"
    if getattr(address, "scope_id", None):
        return "a link-local address"
    return _refusal(_effective(address), private=private)


def _refusal(address: Address, *, private: bool) -> str | None:
    never = {
        "the address of a metadata service": _METADATA,
        "a link-local address": _LINK_LOCAL,
        "a multicast address": _MULTICAST,
        "a reserved address": _RESERVED,
    }
    if reason := _first(never, address):
        return reason
    if reason := _first({"an address of the worker's own machine": _LOOPBACK, "a private address": _PRIVATE}, address):
        return None if private else reason
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return "a reserved address"
    return None


def _effective(address: Address) -> Address:
    """Returns the IPv4 address that a connection to an IPv6 address leads to; any other address as it is."""
    if isinstance(address, IPv6Address) and _is_in(address, _WITH_IPV4_AT_THE_END):
        return IPv4Address(address.packed[-4:])
    return address


def _first(networks: dict[str, tuple[Network, ...]], address: Address) -> str | None:
    return next((name for name, members in networks.items() if _is_in(address, members)), None)


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
