"""The public faces of each part of the service: thin, and the same whether one awaits them or not."""
