"""Who may ask a sandbox: no host name that an attacker's DNS can point here, no web page of another origin."""

import ipaddress
from collections.abc import Collection, Iterator

from pareta_sandbox.http.errors import Refusal
from pareta_sandbox.http.exchange import HttpExchange

CONTROL = "/_sandbox"
DATA = "/v1/"
ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104  (compared with, not bound to)
OF_BROWSERS = (b"origin", b"sec-fetch-site")
OWN_PAGES = {"same-origin", "none"}
# No other page may show ours in a frame, under a pointer that means to click something else.
NO_FRAMES = {"x-frame-options": "DENY", "content-security-policy": "frame-ancestors 'none'"}


class Visitors:
    """The hosts by which a sandbox is addressed, and the pages that may use its control routes.

    A page of another site can send requests to this machine. Browsers say whose page it is (`Origin`,
    `Sec-Fetch-Site`), unless its host name was changed to point here (DNS rebinding): then `Host` tells.
    """

    def __init__(self, bound_to: str, allowed: Collection[str]) -> None:
        self._names = {"localhost", *map(_name, allowed)} | ({_name(bound_to)} - ANY_ADDRESS)
        self._any_address = bound_to in ANY_ADDRESS

    def check(self, call: HttpExchange) -> None:
        """Refuse with 403 a host that is not ours, and a control request of another origin's page.

        The service's own routes take any host from programs: they may reach it by a name that only they know.
        """
        hosts = list(_headers(call, b"host"))
        if not call.path.startswith(DATA) or any(call.header(name) is not None for name in OF_BROWSERS):
            self._check_hosts(hosts)
        if call.path == CONTROL or call.path.startswith(f"{CONTROL}/"):
            _check_page(call, hosts)

    def _check_hosts(self, hosts: list[str]) -> None:
        for host in hosts:
            if not self._is_ours(host):
                name = _name(host)[:80]
                raise Refusal(403, f"host {name!r} is not the sandbox's; start it with --allow-host {name} to allow it")

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # A name can be made to point here, an address cannot.
        return self._any_address or (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _check_page(call: HttpExchange, hosts: list[str]) -> None:
    for site in _headers(call, b"sec-fetch-site"):
        if site.strip().lower() not in OWN_PAGES:
            raise _another("of another site", call)
    for origin in _headers(call, b"origin"):
        if origin.strip().lower().partition("://")[2] not in {host.strip().lower() for host in hosts}:
            raise _another(f"of {origin[:80]!r}", call)


def _another(whose: str, call: HttpExchange) -> Refusal:
    return Refusal(403, f"a web page {whose} may not use {CONTROL}; use the sandbox's own page, its commands or curl")


def _headers(call: HttpExchange, name: bytes) -> Iterator[str]:
    for key, value in call.scope["headers"]:
        if key == name:
            yield value.decode("latin-1")


def _name(host: str) -> str:
    """Return a host's name or address in lower case, without a port and brackets."""
    text = host.strip().lower()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return text.removesuffix(".")
