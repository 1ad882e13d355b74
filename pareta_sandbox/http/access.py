"""Access rules for hosts and origins: protection against DNS rebinding and cross-site requests."""

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers

from pareta_sandbox.http.errors import Refusal
from pareta_sandbox.http.exchange import HttpExchange

CONTROL = "/_sandbox"
DATA = "/v1/"
ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104  (compared with, not bound to)
BROWSER_HEADERS = (b"origin", b"sec-fetch-site")
OWN_PAGES = {"same-origin", "none"}
# Protection against clickjacking: no other page may show ours in a frame.
NO_FRAMES = {"x-frame-options": "DENY", "content-security-policy": "frame-ancestors 'none'"}


class AccessRules:
    """Allowed `Host` headers, and the origins that may use the control routes.

    A page of another site can send requests to this machine. Browsers send its origin (`Origin`,
    `Sec-Fetch-Site`). With DNS rebinding the origin looks local, so the `Host` header is checked too.
    """

    def __init__(self, bound_to: str, allowed: Collection[str]) -> None:
        self._names = {"localhost", *map(_name, allowed)} | ({_name(bound_to)} - ANY_ADDRESS)
        self._any_address = bound_to in ANY_ADDRESS

    def check(self, exchange: HttpExchange) -> None:
        """Refuse with 403 an unknown host, and a control request from a page of another origin.

        The `/v1` routes accept any host from programs, which may reach the sandbox by a local name.
        """
        hosts = Headers(scope=exchange.scope).getlist("host")
        if not exchange.path.startswith(DATA) or any(exchange.header(name) is not None for name in BROWSER_HEADERS):
            self._check_hosts(hosts)
        if exchange.path == CONTROL or exchange.path.startswith(f"{CONTROL}/"):
            _check_page(exchange, hosts)

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
        # DNS rebinding needs a name: a literal address is safe.
        return self._any_address or (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _check_page(exchange: HttpExchange, hosts: list[str]) -> None:
    headers = Headers(scope=exchange.scope)
    for site in headers.getlist("sec-fetch-site"):
        if site.strip().lower() not in OWN_PAGES:
            raise _foreign_page("of another site", exchange)
    for origin in headers.getlist("origin"):
        if origin.strip().lower().partition("://")[2] not in {host.strip().lower() for host in hosts}:
            raise _foreign_page(f"of {origin[:80]!r}", exchange)


def _foreign_page(page: str, exchange: HttpExchange) -> Refusal:
    return Refusal(403, f"a web page {page} may not use {CONTROL}; use the sandbox's own page, its commands or curl")


def _name(host: str) -> str:
    """Return a host's name or address in lower case, without a port and brackets."""
    text = host.strip().lower()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return text.removesuffix(".")
