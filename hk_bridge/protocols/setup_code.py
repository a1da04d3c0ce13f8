"""The setup code that a person types, and the payload that a camera reads.

Source: docs/protocols/hap.md, "Setup code" and "Setup payload".
"""

from __future__ import annotations

import re
import secrets
import string

#: Codes that HomeKit refuses: one digit repeated, and the two that everybody tries.
TRIVIAL_CODES = frozenset(
    [f"{digit * 3}-{digit * 2}-{digit * 3}" for digit in string.digits]
    + ["123-45-678", "876-54-321"]
)

_ALPHABET = string.digits + string.ascii_uppercase
_CODE = re.compile(r"(\d{3})-?(\d{2})-?(\d{3})", re.ASCII)
_CATEGORY_SHIFT = 31
_FLAGS_SHIFT = 27
_FLAG_IP = 2


def parse_setup_code(text: str) -> str | None:
    """``03145154`` or ``031-45-154`` as ``031-45-154``; None where it is no code."""
    match = _CODE.fullmatch(text)
    return "-".join(match.groups()) if match else None


def new_setup_code() -> str:
    """A random code, never one of `TRIVIAL_CODES`."""
    while True:
        digits = f"{secrets.randbelow(10**8):08d}"
        code = f"{digits[:3]}-{digits[3:5]}-{digits[5:]}"
        if code not in TRIVIAL_CODES:
            return code


def new_setup_id() -> str:
    """Four characters 0–9, A–Z that tie a QR code to this bridge."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(4))


def setup_payload(code: str, setup_id: str, category: int) -> str:
    """``X-HM://`` + 9 base-36 digits + setup id, for accessories that pair over IP."""
    number = (
        category << _CATEGORY_SHIFT | _FLAG_IP << _FLAGS_SHIFT | int(code.replace("-", ""))
    )
    digits = ""
    for _ in range(9):
        number, digit = divmod(number, 36)
        digits = _ALPHABET[digit] + digits
    return f"X-HM://{digits}{setup_id}"
