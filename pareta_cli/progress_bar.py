"""Progress of the runs of a command, and the link to the flow run."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

from rich.console import Console

from flows.outcomes import on_run
from pareta_batch import Controlled, progress_bar, watch_session
from tasks import watcher

messages = Console(stderr=True, highlight=False, emoji=False)


@contextmanager
def show_progress(console: Console) -> Iterator[None]:
    """Show each batch of the runs in the body, and the link to the flow run if there is one."""
    with progress_bar(console) as watch:
        progress = watcher.set(watch)
        link = on_run.set(lambda url: console.print(f"run: {url}", markup=False, soft_wrap=True))
        try:
            yield
        finally:
            on_run.reset(link)
            watcher.reset(progress)


def watched(session: Controlled) -> AbstractAsyncContextManager[None]:
    """Show the progress of a session outside a flow while the body runs."""
    return watch_session(session, messages)
