"""Which parameters train, and how fast. One file a strategy, one line in :data:`STRATEGIES`."""

from typing import Any, Final, Protocol

from models_store.network import Network
from models_store.spec import Training
from worker.training.strategies import freeze, full


class Strategy(Protocol):
    """A module with these two names."""

    CACHES_FEATURES: bool
    """Whether the backbone's output for an item never changes, so that it is computed once."""

    def parameter_groups(self, network: Network, training: Training) -> list[dict[str, Any]]:
        """Make the network ready (freeze what stays) and give the optimizer's groups, each with a ``name``."""
        ...


STRATEGIES: Final[dict[str, Strategy]] = {"freeze": freeze, "full": full}
