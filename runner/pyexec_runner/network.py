"""The network as a run sees it: none, or a proxy on a loopback of its own.

What a script tries without the network fails at once and says which setting
would allow it.  That is for its reader: what keeps a run from the network is
its namespace and the filter, and nothing here.

A run that may reach out gets a network namespace of its own, fresh for each
run, with nothing in it but a loopback and a listening socket.  The socket is
the server's: the proxy accepts from it, and no route leads anywhere.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import re
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

from . import syscalls as sc

ADDRESS, PORT = "127.0.0.1", 3128
_URL = f"http://{ADDRESS}:{PORT}"
_BACKLOG = 64
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_INET = (-1, socket.AF_INET, socket.AF_INET6)  # -1: what socket() takes for its default
_REFUSED = re.compile(r"Tunnel connection failed: \d+ (.+)")

_OFF = "scripts have no network on this server; its operator can allow hosts with --egress, as in --egress={host}"
_NONE = "this run may reach no network: its request, or the settings of its caller, allow no host"
_PROXY = "this run reaches the network by its HTTP proxy alone (the variables HTTP_PROXY and HTTPS_PROXY), which looks up names, too"

_why = _OFF  # for this process; a child's is set before its run


def _error(host: object) -> ConnectionError:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    text = _why.format(host=name[:100] or "api.example.com")
    err = ConnectionError(f"{name[:100]} cannot be reached: {text}" if name else text)
    err.errno = errno.EPERM  # without strerror, so that the text stays as it is
    return err


# --- in the zygote ------------------------------------------------------------

_getaddrinfo = socket.getaddrinfo
_GETHOSTBYNAME = {name: getattr(socket, name) for name in ("gethostbyname", "gethostbyname_ex")}
_socket_init = socket.socket.__init__


def _explained_getaddrinfo(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
    try:
        return _getaddrinfo(host, port, family, type, proto, flags)
    except socket.gaierror:
        raise _error(host) from None


def _explained_lookup(lookup: Callable[[str], Any]) -> Callable[[str], Any]:
    def explained(hostname: str) -> Any:
        try:
            return lookup(hostname)
        except socket.gaierror:
            raise _error(hostname) from None

    return explained


def _explained_init(self: Any, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> None:
    try:
        _socket_init(self, family, type, proto, fileno)
    except PermissionError:
        if family in _INET:
            raise _error("") from None
        raise


def explain(config: dict[str, Any]) -> None:
    """Makes what fails without a network say why.  Called in each zygote, after its imports."""
    global _why
    _why = _NONE if config["egress_offered"] else _OFF
    socket.getaddrinfo = _explained_getaddrinfo
    for name, lookup in _GETHOSTBYNAME.items():
        setattr(socket, name, _explained_lookup(lookup))
    socket.socket.__init__ = _explained_init  # type: ignore[method-assign]
    adapters = sys.modules.get("requests.adapters")
    if adapters is not None and not hasattr(adapters.HTTPAdapter.send, "__wrapped__"):
        adapters.HTTPAdapter.send = _explained_send(adapters.HTTPAdapter, adapters.HTTPAdapter.send)


def _explained_send(adapter: Any, send: Callable[..., Any]) -> Callable[..., Any]:
    """requests' one way to the network; without this its errors bury the reason, after retries."""
    exceptions = sys.modules["requests.exceptions"]

    def explained(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        if _why is not _PROXY and type(self) is adapter:
            host = (request.url or "").partition("://")[2].partition("/")[0].rpartition("@")[2]
            raise exceptions.ConnectionError(str(_error(host)), request=request)
        try:
            return send(self, request, *args, **kwargs)
        except exceptions.ProxyError as failed:
            said = _proxy_said(failed)
            if said is None:
                raise
            raise exceptions.ProxyError(said, request=request) from None

    explained.__wrapped__ = send  # type: ignore[attr-defined]
    return explained


def _proxy_said(failed: BaseException) -> str | None:
    """The proxy's sentence, from the bottom of what requests and urllib3 have wrapped around it."""
    wrapped = [failed]
    for err in wrapped:
        said = _REFUSED.match(str(err))
        if said is not None or len(wrapped) > 20:
            return said and said[1]
        inner = (*err.args, getattr(err, "reason", None), getattr(err, "original_error", None))
        wrapped += [e for e in inner if isinstance(e, BaseException)]
    return None


# --- in a child that may reach out ----------------------------------------------


def enter(hand: int) -> None:
    """A network namespace of its own; its listening socket goes to the server by hand."""
    sc.unshare(sc.CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        request = bytearray(struct.pack("16sH22x", b"lo", 0))
        fcntl.ioctl(listener, _SIOCGIFFLAGS, request)
        name, flags = struct.unpack("16sH22x", request)
        fcntl.ioctl(listener, _SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | _IFF_UP))
        listener.bind((ADDRESS, PORT))
        listener.listen(_BACKLOG)
        with socket.socket(fileno=os.dup(hand)) as server:
            server.sendmsg([b"{}"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener.fileno()]))])


def use_proxy(bundle: str) -> None:
    """Tells every HTTP library of the proxy and of the certificates."""
    global _why
    _why = _PROXY
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        os.environ[name] = _URL
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ""
    if bundle:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            os.environ[name] = bundle
    # From 3.12 on asyncio writes by sendmsg, which the filter refuses.
    selector_events = sys.modules.get("asyncio.selector_events")
    if selector_events is not None:
        setattr(selector_events, "_HAS_SENDMSG", False)
