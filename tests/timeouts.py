"""A timeout that fails its own test only, wherever it strikes.

pytest-timeout raises `Failed` from a signal. In the setup, the body or the teardown of a test, pytest reports it.
Between them, in a hook that makes or passes on a report, it would end the process, and all tests with it.
"""

from collections.abc import Generator

import pytest
from _pytest.runner import call_and_report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Report a timeout that struck in a hook as a failure of the test, and tear the test down."""
    try:
        return (yield)
    except pytest.fail.Exception as late:
        # Made by hand: the hook that was too slow may be the one that makes reports.
        report = pytest.TestReport(
            item.nodeid, item.location, dict.fromkeys(item.keywords, 1), "failed", f"in a hook: {late}", "call"
        )
        item.ihook.pytest_runtest_logreport(report=report)
        if item in item.session._setupstate.stack:
            call_and_report(item, "teardown", nextitem=nextitem)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True
