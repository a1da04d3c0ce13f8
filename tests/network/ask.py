"""Run on another host: asks a bridge for /accessories over one connection.

For each line on stdin one request goes out, and the status of its response is printed.
Usage: ask.py ADDRESS PORT
"""

from __future__ import annotations

import http.client
import sys

_REQUEST = "/accessories"


def say(line: str) -> None:
    """Have whoever reads stdout know at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Ask as often as stdin says."""
    connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=5)
    for _ in sys.stdin:
        try:
            if connection.sock is None:
                connection.connect()
                # One that closes must be seen, and not connected anew.
                connection.auto_open = 0
            connection.request("GET", _REQUEST)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            say(f"none: {type(error).__name__} {error}")
            return
        say(str(response.status))


if __name__ == "__main__":
    main()
