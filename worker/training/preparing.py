"""Everything that a training starts from: the data, the pretrained backbone, a new head on it."""

from dataclasses import dataclass

import pytorch_lightning as pl

from models_store import checkpoints, datasets, spans
from models_store.backbones import FAMILIES, split_name
from models_store.backbones.family import Backbone
from models_store.database.tables import DatasetRow
from models_store.errors import InvalidError
from models_store.itemset import ItemSet
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.preprocessing.protocol import Preprocessing
from models_store.spec import JobSpec
from models_store.storage import needs
from models_store.trunks import backbone_sha256
from worker.attempt import Attempt
from worker.training import hardware, serving
from worker.training.caching import source
from worker.training.caching.ways import Way, torch_way
from worker.training.data import Data, ItemRows
from worker.training.features import PASS_BATCH, Extraction


@dataclass(frozen=True)
class Assembled:
    """``network`` stands on the backbone's module."""

    spec: JobSpec
    backbone: Backbone
    data: Data
    network: Network


@dataclass(frozen=True)
class Prepared(Assembled):
    """The backbone's weights, untrained as yet, ``backbone_sha256`` names."""

    backbone_sha256: str
    extraction: Extraction


@spans.parted("loading")
def prepare(attempt: Attempt, dataset: DatasetRow, halvings: int) -> Prepared:
    """All of it.

    Args:
        halvings: how often the batch was halved for memory.

    Raises:
        FinetunedError: the backbone cannot be had, or does not fit the data set.
    """
    base = assemble(attempt, dataset)
    spec, backbone, data, network = base.spec, base.backbone, base.data, base.network
    sha256 = backbone_sha256(network.backbone)
    extraction = _extraction(attempt, spec, data, network, backbone.preprocessing, sha256, halvings)
    return Prepared(spec, backbone, data, network, sha256, extraction)


def assemble(attempt: Attempt, dataset: DatasetRow) -> Assembled:
    """Seed every generator, load, and build: the same wherever it is done.

    Raises:
        FinetunedError: as for :func:`prepare`.
    """
    spec = asked(attempt)
    pl.seed_everything(spec.training.seed, verbose=False)
    backbone = _load_backbone(attempt, spec)
    data = _open(attempt, dataset, backbone)
    network = Network(backbone.module, backbone.architecture, len(data.labels))
    if backbone.head is not None:
        backbone.head.copy_into(network.head, data.labels)
    return Assembled(spec, backbone, data, network)


def asked(attempt: Attempt) -> JobSpec:
    """What the job is asked, with what an earlier attempt has settled, and on a device that this worker has."""
    spec = JobSpec.model_validate(attempt.row().config)
    return spec.model_copy(update={"training": hardware.resolve_accelerator(spec.training)})


def dataset_of(attempt: Attempt) -> DatasetRow:
    """The job's data set.

    Raises:
        InvalidError: ``dataset_failed``.
    """
    dataset_id = JobSpec.model_validate(attempt.row().config).dataset
    with attempt.database.read() as session:
        dataset = datasets.get(session, dataset_id, owner=None)
    if dataset.status != "ready":
        raise InvalidError("dataset_failed", f"The import of {dataset_id} failed. Upload the data set anew.")
    return dataset


def _load_backbone(attempt: Attempt, spec: JobSpec) -> Backbone:
    attempt.progress("loading", 0.0)
    family, name = split_name(spec.backbone)
    _hold_start(attempt, family, name)
    mirror = Mirror(attempt.settings.store_dir, attempt.storage)
    options = {**spec.preprocessing.model_dump(exclude_none=True), "submodule": spec.submodule}
    backbone = FAMILIES[family].load(name, spec.weights, mirror, options)
    attempt.check_stop()
    return backbone


def _hold_start(attempt: Attempt, family: str, name: str) -> None:
    """Have here what a shared store has of the backbone; the mirror sees to its own."""
    store_dir = attempt.settings.store_dir
    if family == "checkpoint":
        attempt.storage.hold(checkpoints.directory(store_dir, name))
    elif family == "model":
        needs.hold_model(attempt.storage, store_dir, name)


def _open(attempt: Attempt, dataset: DatasetRow, backbone: Backbone) -> Data:
    if dataset.task != backbone.architecture.task:
        raise InvalidError(
            "task_mismatch",
            f"Data set {dataset.id} is for {dataset.task}, the backbone for {backbone.architecture.task}. "
            "Choose a backbone of the data set's task.",
            param="backbone",
        )
    directory = datasets.directory(attempt.settings.store_dir, dataset.fingerprint or "")
    attempt.storage.hold(directory)
    itemset = ItemSet(directory)
    labels = [entry["label"] for entry in dataset.classes]

    def rows(split: str) -> ItemRows:
        return ItemRows(itemset, list(itemset.items(split)), labels, backbone.preprocessing)

    return Data(dataset, labels, rows("train"), rows("validation"))


def _extraction(
    attempt: Attempt,
    spec: JobSpec,
    data: Data,
    network: Network,
    preprocessing: Preprocessing,
    backbone: str,
    halvings: int,
) -> Extraction:
    features = source.kept(
        attempt,
        data.row.fingerprint or "",
        network,
        preprocessing,
        _way(attempt, spec, data, network),
        backbone=backbone,
        batch_size=max(1, PASS_BATCH >> halvings),
    )
    return Extraction(attempt, data, features, network.head.in_features, seed=spec.training.seed)


def _way(attempt: Attempt, spec: JobSpec, data: Data, network: Network) -> Way:
    """A job that trains the backbone in any case has no features to compute, and so nothing to prepare for."""
    device = hardware.device(spec.training)
    if spec.strategy in {"freeze", "auto"} and spec.training.augmentation == "none":
        return serving.way(attempt, network, data.train, device)
    return torch_way(network, device)
