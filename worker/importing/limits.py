"""How much an upload may hold. Every limit counts what is really there, never what a file declares."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """Bounds of an import; the defaults suit a machine with some gigabytes of memory."""

    files: int = 1_000_000
    """Entries of an archive (folders too), or rows of a table."""
    total_bytes: int = 50 * 10**9
    """Unpacked bytes of all items."""
    item_bytes: int = 50 * 10**6
    """Unpacked bytes of one image file."""
    ratio: int = 200
    """Unpacked bytes for a packed one; of an archive's member, and of the whole archive."""
    ratio_free_bytes: int = 10 * 2**20
    """What unpacks to no more than this may have any ratio: a blank picture is no bomb."""
    pixels: int = 50_000_000
    """Width times height of an image."""
    text_characters: int = 100_000
    line_bytes: int = 4 * 2**20
    """One line of a CSV or JSON Lines file."""
    json_depth: int = 100
    """How deep one line's arrays and objects may be nested."""
    label_characters: int = 200
    classes: int = 10_000
    problems: int = 100_000
    """Bad items that are listed; with more of them the import fails."""
