"""Migrations of the ledger by Alembic: one module of `versions` per version from 5 on."""

import threading
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

FOLDER = Path(__file__).parent

_alembic = threading.Lock()  # its `op` and `context` are those of the process


def migrate(db: sa.Connection) -> None:
    """Migrate an existing ledger to the latest revision, in the transaction of the connection."""
    with _alembic:
        command.upgrade(config_for(db), "head")


def config_for(db: sa.Connection) -> Config:
    """Return the configuration of Alembic for a connection to a ledger."""
    config = Config(attributes={"connection": db})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config
