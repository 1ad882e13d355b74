"""A local S3 server for tests and benchmarks."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer
from pyarrow import fs

BUCKET = "rows"

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIEXAMPLEKEY",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def s3_server() -> Iterator[str]:
    """Run a server with an empty bucket; yield its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def bucket_at(address: str) -> fs.FileSystem:
    """Create the bucket, and return a file system to write to it."""
    keys = {"access_key": SETTINGS["AWS_ACCESS_KEY_ID"], "secret_key": SETTINGS["AWS_SECRET_ACCESS_KEY"]}
    store = fs.S3FileSystem(endpoint_override=address, allow_bucket_creation=True, region="us-east-1", **keys)
    store.create_dir(BUCKET)
    return store


def put(store: fs.FileSystem, key: str, content: bytes) -> None:
    """Write a file of the bucket."""
    with store.open_output_stream(f"{BUCKET}/{key}", compression=None) as file:
        file.write(content)
