"""Which folder of an archive is a split, which a class: ``CLASS/x.jpg`` or ``train/CLASS/x.jpg``."""

from collections.abc import Iterable
from dataclasses import dataclass

from models_store.errors import InvalidError
from worker.importing.paths import has_image_suffix
from worker.importing.problems import BadItemError
from worker.importing.splits import SPLIT_NAMES

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the folders of one archive are to be read."""

    wrapper: str | None
    """The folder around all others, which means nothing."""
    with_splits: bool

    def name(self, parts: Parts) -> str:
        """The item's name: its path without the wrapping folder."""
        return "/".join(self._inner(parts) or parts)

    def place(self, parts: Parts) -> tuple[str | None, str] | None:
        """The split (None where the upload does not say) and the label of a file.

        None for what is no image and lies outside of every class folder: READMEs, licences, lists.

        Raises:
            BadItemError: ``no_class``, ``unknown_split``, ``too_deep``.
        """
        inner = self._inner(parts)
        class_at = 1 if self.with_splits else 0
        unknown = self.with_splits and inner[:1] and inner[0].lower() not in SPLIT_NAMES
        if (unknown or len(inner) < class_at + 2) and not has_image_suffix(parts):
            return None
        if len(inner) < class_at + 2:
            raise BadItemError("no_class", "The image lies in no class folder. Move it into one.")
        if unknown:
            raise BadItemError("unknown_split", "Only train/, val/ and test/ are read. Move or remove this folder.")
        if len(inner) > class_at + 2:
            raise BadItemError("too_deep", "Folders inside a class folder are not read. Move the file up.")
        split = SPLIT_NAMES[inner[0].lower()] if self.with_splits else None
        return split, inner[class_at]

    def _inner(self, parts: Parts) -> Parts:
        """The path inside the wrapping folder; empty for what lies outside of it."""
        if self.wrapper is None:
            return parts
        return parts[1:] if parts[0] == self.wrapper else ()


def recognise(paths: Iterable[Parts]) -> Layout:
    """Tell the layout by where the images lie (where nothing is named like one, by all files).

    Raises:
        InvalidError: ``no_images``, ``unknown_layout``.
    """
    files = list(paths)
    in_folders = [parts for parts in files if has_image_suffix(parts) and len(parts) > 1]
    in_folders = in_folders or [parts for parts in files if len(parts) > 1]
    if not in_folders:
        raise InvalidError(
            "no_images",
            "The archive has no folder with images. Put the images of each class into a folder of its name; "
            "texts go into a .csv or .jsonl file.",
        )
    wrapper = _wrapper(in_folders)
    inner = [parts[1:] for parts in in_folders] if wrapper else in_folders
    if wrapper and _wrapper(inner):
        raise _unknown("the folders are nested too deep: one folder around them is tolerated")
    return Layout(wrapper, _has_splits(inner))


def _wrapper(paths: list[Parts]) -> str | None:
    tops = {parts[0] for parts in paths}
    if len(tops) > 1 or all(len(parts) == 2 for parts in paths):
        return None
    top = tops.pop()
    return None if top.lower() in SPLIT_NAMES else top


def _has_splits(paths: list[Parts]) -> bool:
    """Whether the top folders are splits. ``train`` may be a class as well (of vehicles): then it holds the images."""
    tops = {parts[0].lower() for parts in paths}
    if any(parts[0].lower() == "train" and len(parts) > 2 for parts in paths):
        return True
    if tops <= SPLIT_NAMES.keys():
        raise _unknown("there is no folder train/ with a folder for each class")
    return False


def _unknown(reason: str) -> InvalidError:
    return InvalidError(
        "unknown_layout",
        f"The layout is not known: {reason}. Use CLASS/x.jpg, or train/CLASS/x.jpg and val/CLASS/x.jpg.",
    )
