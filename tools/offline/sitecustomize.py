"""Close the network for every Python that starts with this folder on PYTHONPATH.

Connections to this machine itself (loopback) go through, for a notebook talks to its kernel that way. Any
other address, and any look-up of another name, raises `NetworkRefused`. Kernels inherit the variable and so
the guard. It covers Python's own sockets; code that opens sockets in C or Rust is not seen.
"""

import ipaddress
import socket

CLOSED_FAMILIES = {socket.AF_INET, socket.AF_INET6}


class NetworkRefused(OSError):
    """Something asked for an address outside this machine."""


def is_local(host):
    """Whether `host`, a name or an address, is this machine."""
    if isinstance(host, bytes):
        host = host.decode()
    if host is None or host in ("", "localhost", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def demand_local(host):
    if not is_local(host):
        raise NetworkRefused(f"the network is closed for this run, and {host!r} was asked for")


def guard_look_up(function):
    """`getaddrinfo` and its kin: the first argument is a host."""

    def guarded(host, *args, **kwargs):
        demand_local(host)
        return function(host, *args, **kwargs)

    return guarded


def guard_send(method):
    """`connect`, `connect_ex` and `sendto`: the last argument is an address."""

    def guarded(self, *args):
        if self.family in CLOSED_FAMILIES:
            demand_local(args[-1][0])
        return method(self, *args)

    return guarded


for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    setattr(socket, name, guard_look_up(getattr(socket, name)))
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, guard_send(getattr(socket.socket, name)))
