"""The programs of the service's concurrency guide; each takes an endpoint id and needs PARETA_API_KEY."""
