"""Turns an upload into an item set: every item is checked, and all that is wrong is told at once.

Functions of files alone: no database, no queue, no torch.
"""

from worker.importing.importer import ImportOptions, ImportResult, import_upload
from worker.importing.limits import ImportLimits
from worker.importing.problems import ImportFailedError

__all__ = ["ImportFailedError", "ImportLimits", "ImportOptions", "ImportResult", "import_upload"]
