"""Names in zip archives that don't say how they are written: UTF-8, CP949 (Korean of Windows) or CP437 (of DOS)."""

import zipfile
from collections.abc import Iterable

_SAYS_UTF8 = 0x800


def decoded_names(entries: Iterable[zipfile.ZipInfo]) -> list[str]:
    """The names of an archive's entries.

    A name that is marked as UTF-8, or reads as such, is that. What the others are is settled for the whole archive, for
    one program wrote them all: CP949 if every name reads as Korean, else CP437, which the format prescribes.
    """
    names = [_utf8(entry) for entry in entries]
    unmarked = [name for name in names if isinstance(name, bytes)]
    encoding = "cp949" if is_korean(b"/".join(unmarked)) else "cp437"
    return [name.decode(encoding) if isinstance(name, bytes) else name for name in names]


def is_korean(content: bytes) -> bool:
    """Whether bytes that are not UTF-8 read as Korean in CP949.

    Many other bytes happen to be pairs of CP949 as well, but then rarely of the 2,350 syllables of KS X 1001, of which
    Korean is written nearly alone.
    """
    try:
        foreign = [character for character in content.decode("cp949") if not character.isascii()]
    except UnicodeDecodeError:
        return False
    common = sum("가" <= character <= "힣" and _is_common(character) for character in foreign)
    return 2 * common > len(foreign)


def _utf8(entry: zipfile.ZipInfo) -> str | bytes:
    """The name, or its bytes if it is no UTF-8."""
    # Not ``filename``: there zipfile has cut the name at a NUL.
    name = entry.orig_filename
    if entry.flag_bits & _SAYS_UTF8 or name.isascii():
        return name
    raw = name.encode("cp437")  # as zipfile has decoded it, which loses nothing
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def _is_common(syllable: str) -> bool:
    return len(syllable.encode("euc_kr")) == 2  # this codec spells the others out, letter by letter
