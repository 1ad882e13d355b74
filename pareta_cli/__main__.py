"""Start of the command line: `pareta-pipeline`, or `python -m pareta_cli`."""

from pareta_cli.bundle import use_bundled_packages


def main() -> None:
    """Run the command line."""
    use_bundled_packages()
    # Only now: it imports the bundled packages.
    from pareta_cli.app import main as run

    run()


if __name__ == "__main__":
    main()
