"""Records of the wire, as pydantic models. Parsing a sparse or richer record never raises."""
