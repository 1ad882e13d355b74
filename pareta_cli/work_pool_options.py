"""Types of work pools, for the options of commands."""

from enum import StrEnum


class PoolType(StrEnum):
    """A type of work pool."""

    PROCESS = "process"
    DOCKER = "docker"
    KUBERNETES = "kubernetes"
