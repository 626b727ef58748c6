from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ConfigurationError
from antiphon.tools.network_guard import NetworkGuard, is_public, system_resolve

V4_RESERVED = """0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.7 192.88.99.1 192.168.1.1 198.18.0.1
198.51.100.1 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255""".split()
V4_PUBLIC = "1.1.1.1 8.8.8.8 93.184.216.34 172.15.255.255 172.32.0.1 100.63.255.255 223.255.255.254".split()


def in_ipv6(address: str) -> list[IPv6Address]:
    """The same address mapped, through 6to4 and through NAT64."""
    number = int(IPv4Address(address))
    return [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x2002 << 112) | (number << 80) | 1),
        IPv6Address((0x64FF9B << 96) | number),
    ]


@pytest.mark.parametrize("address", V4_RESERVED)
def test_reserved_ipv4_is_refused_also_inside_ipv6(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not any(map(is_public, in_ipv6(address)))


@pytest.mark.parametrize("address", V4_PUBLIC)
def test_public_ipv4_may_be_reached_also_inside_ipv6(address: str) -> None:
    assert is_public(ip_address(address))
    assert all(map(is_public, in_ipv6(address)))


@pytest.mark.parametrize(
    "address",
    """:: ::1 ::7f00:1 ::ffff:0:7f00:1 64:ff9b:1::1 100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1
    3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 4000::1""".split(),
)
def test_reserved_ipv6_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "2001:4860:4860::8888"])
def test_public_ipv6_may_be_reached(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses(v=4))
def test_ipv4_agrees_with_the_standard_library_and_is_the_same_inside_ipv6(address: IPv4Address) -> None:
    public = is_public(address)
    if public:
        assert address.is_global
        assert not any((address.is_private, address.is_multicast, address.is_reserved, address.is_link_local))
    elif address.is_global and not address.is_multicast:
        known = ("192.0.0.", "192.88.99.", "168.63.129.16")
        assert str(address).startswith(known)
    assert {is_public(other) for other in in_ipv6(str(address))} == {public}


@given(st.ip_addresses(v=6))
def test_public_ipv6_is_global_unicast_for_the_standard_library_too(address: IPv6Address) -> None:
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        assert is_public(address) == is_public(inner)
    elif is_public(address) and not str(address).startswith("64:ff9b::"):
        assert address.is_global
        assert address in IPv6Network("2000::/3")
        assert not any((address.is_multicast, address.is_link_local, address.is_site_local, address.is_reserved))


@pytest.mark.parametrize(
    "entry", ["", "  ", "http://crm.local", "crm.local/path", "user@crm.local", "a b", "crm:99999"]
)
def test_an_entry_that_is_no_host_is_told_at_once(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="is no host"):
        NetworkGuard(allow_hosts=[entry])


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "127.1", "017700000001"])
async def test_odd_forms_of_ipv4_are_judged_by_what_they_resolve_to(host: str) -> None:
    assert await system_resolve(host, 80) == ["127.0.0.1"]
