"""``python -m hk_bridge``."""

from hk_bridge.cli import main

main()
