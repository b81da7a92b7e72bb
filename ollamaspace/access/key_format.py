"""What a key looks like: ``osk_``, 43 characters that are 256 random bits, 6 characters that check them.

Prefix and checksum are for those who look for keys where none should be, in repositories and logs: a match is a key,
without asking anybody. They take no part in deciding whether a key is let in.
"""

from __future__ import annotations

import re
import secrets
import string
import zlib

PREFIX = "osk_"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_BYTES = 32
_RANDOM_DIGITS = 43  # 62**43 > 2**256
_CHECK_DIGITS = 6  # 62**6 > 2**32
_SHOWN = 4
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM_DIGITS + _CHECK_DIGITS}}}")


def generate() -> str:
    number = int.from_bytes(secrets.token_bytes(_RANDOM_BYTES), "big")
    return _checked(PREFIX + _base62(number, _RANDOM_DIGITS))


def is_whole(text: str) -> bool:
    """Whether this is a key that lost no character on its way."""
    return _SHAPE.fullmatch(text) is not None and _checked(text[:-_CHECK_DIGITS]) == text


def ending(key: str) -> str:
    """Enough to tell one key from another on a list; these characters only check the others."""
    return key[-_SHOWN:]


def _checked(text: str) -> str:
    return text + _base62(zlib.crc32(text.encode("ascii")), _CHECK_DIGITS)


def _base62(number: int, digits: int) -> str:
    found = []
    for _ in range(digits):
        number, digit = divmod(number, len(_DIGITS))
        found.append(_DIGITS[digit])
    return "".join(reversed(found))
