"""The documented programs, run with each official SDK and with ours: `python -m tests.client.sdks`."""
