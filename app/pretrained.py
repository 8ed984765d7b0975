"""The one door to everything that needs torch. Importing it takes seconds, so it is imported where it is used.

A process that starts opens it in a thread (see :mod:`app.main`) and answers meanwhile. That all go through one module
lets Python's import lock make them wait for each other.
"""

from models_store import bundle, mirroring, trunks
from models_store.backbones import FAMILIES, SOURCES, catalogue, only_task, split_name
from models_store.backbones.checkpoint import examine
from models_store.backbones.family import Architecture
from models_store.engines import ENGINES, Engine, Precision
from models_store.engines.choosing import ServingPrecision, open_first
from models_store.exchange import download
from models_store.mirror import Mirror, MirrorEntry
from models_store.outliers import Outliers
from models_store.predictor import Judged, Judgement, Predictor, Result
from models_store.preprocessing.loading import load_preprocessing
from models_store.preprocessing.protocol import Prepared, Preprocessing
from models_store.quarantine.content import order

__all__ = [
    "ENGINES",
    "FAMILIES",
    "SOURCES",
    "Architecture",
    "Engine",
    "Judged",
    "Judgement",
    "Mirror",
    "MirrorEntry",
    "Outliers",
    "Precision",
    "Predictor",
    "Prepared",
    "Preprocessing",
    "Result",
    "ServingPrecision",
    "bundle",
    "catalogue",
    "download",
    "examine",
    "load_preprocessing",
    "mirroring",
    "only_task",
    "open_first",
    "order",
    "split_name",
    "trunks",
]
