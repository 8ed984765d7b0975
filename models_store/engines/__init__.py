"""What runs a trunk. A new engine is a file here and a line in ``ENGINES``; the contract tests run over the dict."""

from models_store.engines import eager, openvino
from models_store.engines.engine import Engine, EngineUnavailableError, Opener, Precision

ENGINES: dict[str, Opener] = {"torch": eager.open_trunk, "openvino": openvino.open_trunk}
"""``torch`` is PyTorch as it is: it runs every trunk, in float32, and the others are compared to it."""

__all__ = ["ENGINES", "Engine", "EngineUnavailableError", "Opener", "Precision"]
