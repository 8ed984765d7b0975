"""The engines that may run a job's trunk: OpenVINO where it converts, for its pass as for its serving; else PyTorch."""

from typing import Final

import numpy as np
import torch

from models_store import leases, trunks
from models_store.backbones.family import Batch
from models_store.engines import conversion
from models_store.network import Network
from models_store.storage import needs
from worker.attempt import Attempt
from worker.training.caching.ways import Way, openvino_way, torch_way
from worker.training.data import ItemRows

_COMPARED: Final = 8
"""Items that a conversion is compared on; the certificate of each model has many more."""


def way(attempt: Attempt, network: Network, rows: ItemRows, device: torch.device) -> Way:
    """How features of a backbone that stays as it is are best computed.

    The trunk is stored for it, as it will be anyway when the job ends.
    """
    if device.type != "cpu":
        return torch_way(network, device)
    store_dir = attempt.settings.store_dir
    attempt.storage.hold(*needs.of_trunk(store_dir, trunks.trunk_sha256(network.backbone, network.architecture)))
    trunk = trunks.put(store_dir, network.backbone, network.architecture)
    if "openvino" in engines(attempt, trunk, network, rows):
        return openvino_way(store_dir, trunk)
    return torch_way(network, device)


def engines(attempt: Attempt, trunk: str, network: Network, rows: ItemRows) -> list[str]:
    """Engines that run this stored trunk on a CPU, the fastest first; converts it where that was not done yet.

    Args:
        network: stands on the trunk, on the CPU.
        rows: items of the kind that it will be asked.
    """
    training = network.training
    attempt.storage.hold(*needs.of_trunk(attempt.settings.store_dir, trunk))
    refused = conversion.ensure(attempt.settings.store_dir, trunk, network.backbone, network.architecture, _few(rows))
    network.train(training)
    if refused is None:
        return ["openvino", "torch"]
    held = attempt.claim
    attempt.persist(
        lambda: leases.log(attempt.database, held, f"PyTorch serves this backbone; OpenVINO does not: {refused}")
    )
    return ["torch"]


def _few(rows: ItemRows) -> Batch:
    """Items of all sizes."""
    chosen = np.linspace(0, len(rows) - 1, min(_COMPARED, len(rows))).round().astype(np.int64)
    batch = rows(rows.by_size()[chosen])
    batch.pop("label")
    return batch
