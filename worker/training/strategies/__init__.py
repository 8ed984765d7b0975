"""Which parameters train, and how fast. One file a strategy, one line in :data:`STRATEGIES`."""

from typing import Any, Final, Protocol

import pytorch_lightning as pl

from models_store.network import Network
from models_store.spec import Training
from worker.training.strategies import freeze, full, gradual, lora


class Strategy(Protocol):
    """A module with these names."""

    CACHES_FEATURES: bool
    """Whether the backbone's output for an item never changes, so that it is computed once."""

    def parameter_groups(self, network: Network, training: Training) -> list[dict[str, Any]]:
        """Make the network ready (freeze what stays) and give the optimizer's groups, each with a ``name``.

        Groups of one name have one rate. Every parameter that will train at any time is in a group from the start, so
        that an optimizer's state fits the groups whenever it was saved.
        """
        ...

    def callbacks(self, network: Network, training: Training) -> list[pl.Callback]:
        """What acts during the training; their ``state_dict`` is part of every checkpoint."""
        ...

    def finish(self, network: Network) -> None:
        """Leave a backbone in the network that has the library's own structure and names again."""
        ...


STRATEGIES: Final[dict[str, Strategy]] = {"freeze": freeze, "full": full, "gradual": gradual, "lora": lora}
