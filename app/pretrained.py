"""The one door to everything that needs torch. Importing it takes seconds, so it is imported where it is used.

A process that starts opens it in a thread (see :mod:`app.main`) and answers meanwhile. That all go through one module
lets Python's import lock make them wait for each other.
"""

from models_store import bundle, trunks
from models_store.backbones import FAMILIES, SOURCES, catalogue, only_task, split_name
from models_store.backbones.checkpoint import examine
from models_store.backbones.family import Architecture
from models_store.engines import ENGINES
from models_store.exchange import download
from models_store.mirror import Mirror, MirrorEntry
from models_store.predictor import Predictor
from models_store.quarantine.content import order

__all__ = [
    "ENGINES",
    "FAMILIES",
    "SOURCES",
    "Architecture",
    "Mirror",
    "MirrorEntry",
    "Predictor",
    "bundle",
    "catalogue",
    "download",
    "examine",
    "only_task",
    "order",
    "split_name",
    "trunks",
]
