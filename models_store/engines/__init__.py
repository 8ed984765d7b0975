"""What runs a bundle. A new engine is a file here and a line in ``ENGINES``; the contract tests run over the dict."""

from collections.abc import Callable

from models_store.bundle import Bundle
from models_store.engines.eager import TorchEngine
from models_store.engines.engine import Engine

ENGINES: dict[str, Callable[[Bundle], Engine]] = {"torch": TorchEngine}
