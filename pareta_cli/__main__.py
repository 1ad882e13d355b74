"""Start of the command line: `pareta-pipeline`, or `python -m pareta_cli`."""

from pareta_cli.bundle import use_bundled_packages
from pareta_cli.interruption import end_on_signals


def main() -> None:
    """Run the command line."""
    # First: a signal during the imports below must not print a traceback.
    end_on_signals()
    use_bundled_packages()
    # Only now: it imports the bundled packages.
    from pareta_cli.app import main as run

    run()


if __name__ == "__main__":
    main()
