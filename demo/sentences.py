"""Sentences of Django's translation catalogues, labelled with their language."""

import csv
import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import django
from django.conf.locale import LANG_INFO

LANGUAGES: Final = ("da", "sv", "de", "es", "pt", "tr", "ru", "uk")
"""Pairs that are hard to tell apart, and pairs that are not."""
_NOT_PROSE: Final = re.compile(r"%\(\w+\)\w|%\w|\{\w*\}|<[^>]+>")
_SHORTEST: Final = 20
_MO_HEADER: Final = struct.Struct("<5I")
_MO_ENTRY: Final = struct.Struct("<2I")


def write_csv(path: Path, per_language: int) -> None:
    """Write up to ``per_language`` sentences of each language; what two of them share is left out."""
    found = {code: list(dict.fromkeys(_sentences(code))) for code in LANGUAGES}
    languages_of = Counter(text for texts in found.values() for text in texts)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for code, texts in found.items():
            own = [text for text in texts if languages_of[text] == 1]
            writer.writerows((text, LANG_INFO[code]["name"]) for text in own[:per_language])


def _sentences(code: str) -> Iterator[str]:
    root = Path(django.__file__).parent
    for catalogue in sorted(root.glob(f"**/locale/{code}/LC_MESSAGES/django.mo")):
        for message in _messages(catalogue.read_bytes()):
            text = " ".join(_NOT_PROSE.sub(" ", message).split())
            if len(text) >= _SHORTEST:
                yield text


def _messages(catalogue: bytes) -> Iterator[str]:
    """The translations of a gettext ``.mo`` file; the first is a header, and of plural forms the first is taken.

    The format: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html
    """
    _magic, _revision, count, _originals, translations = _MO_HEADER.unpack_from(catalogue)
    for number in range(1, count):
        length, start = _MO_ENTRY.unpack_from(catalogue, translations + _MO_ENTRY.size * number)
        yield catalogue[start : start + length].split(b"\0")[0].decode("utf-8")
