"""Programs of the concurrency guide of the service; each takes an endpoint id and needs PARETA_API_KEY."""
