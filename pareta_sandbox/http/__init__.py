"""The HTTP side of the sandbox: connections, requests and their bodies, pages. No rules of the service."""
