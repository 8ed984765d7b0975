"""Lightning's DDP between processes that are there already and have met."""

from collections.abc import Iterable

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from worker.training.devices import group


class ChildrenStrategy(DDPStrategy):
    """DDP in which parameters may begin and cease to train, and each process draws its own random numbers.

    Unused parameters are looked for: backbones have some that no loss depends on (a BERT's pooler), and a layer that is
    frozen is one as long as it is. Buffers are not sent around: statistics of a whole batch are the same everywhere,
    and a process that has nothing to validate would be waited for.

    Args:
        parameters: everything that trains at any time.
        seed: the first process's; the others' dropout must not leave out what the first's does.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], seed: int) -> None:
        where = LightningEnvironment()
        super().__init__(cluster_environment=where, find_unused_parameters=True, broadcast_buffers=False)
        self._trained, self._seed = list(parameters), seed

    def setup_distributed(self) -> None:
        """Lightning seeds all processes alike here."""
        super().setup_distributed()
        torch.manual_seed(self._seed + group.place()[0])

    def configure_ddp(self) -> None:
        """DDP averages gradients of what has any when it is made: so what thaws later has them for that moment."""
        frozen = [parameter for parameter in self._trained if not parameter.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_()
        super().configure_ddp()
        for parameter in frozen:
            parameter.requires_grad_(False)
