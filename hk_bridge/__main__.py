"""``python -m hk_bridge``, and what the command ``hk-bridge`` starts."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still being loaded is no traceback."""
    try:
        from hk_bridge.cli import main as run  # noqa: PLC0415 # what takes time to load

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
