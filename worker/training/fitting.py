"""The training itself: loaders, module, callbacks and Trainer of a settled job."""

from dataclasses import dataclass
from typing import Final

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor

from models_store import spans
from models_store.database.tables import Json
from models_store.network import Network
from models_store.preprocessing.protocol import Preprocessing
from models_store.spec import JobSpec, Training
from worker.attempt import Attempt
from worker.training import hardware, layout
from worker.training.augmentation import AugmentedRows
from worker.training.callbacks import Reporter, polite
from worker.training.checkpointing import AtomicCheckpointIO, Checkpoints, newest_intact
from worker.training.data import Batches, Data, FeatureRows, ItemRows, Loader, Runs
from worker.training.devices import ddp, group, ranks
from worker.training.devices.tuning import SharedFinetuner
from worker.training.features import Extraction
from worker.training.head_tuning import ROWS_A_RUN, HeadFinetuner, batches_a_run
from worker.training.module import Finetuner, HeadOnFeatures
from worker.training.planning import EVIDENCE_END, FEATURES_END, caches_features
from worker.training.sampling import balanced, shuffled
from worker.training.strategies import Strategy
from worker.training.strategies.layers import Group
from worker.training.tensorboard import EventFiles

UNRESOLVED: Final = 32
LOGITS_AT_ONCE: Final = 10_000_000


@dataclass(frozen=True)
class Material:
    """What a training works on: raw items through the whole network, or cached features through the head alone."""

    train: ItemRows | FeatureRows | AugmentedRows
    validation: ItemRows | FeatureRows
    model: torch.nn.Module
    features: dict[str, FeatureRows]

    @property
    def cached(self) -> bool:
        """Whether these are features."""
        return bool(self.features)


@spans.parted("fitting")
def fit(
    attempt: Attempt,
    spec: JobSpec,
    data: Data,
    network: Network,
    strategy: Strategy,
    material: Material,
    halvings: int,
) -> Json:
    """Train, leave the best weights in the network, and give the best epoch's metrics.

    On several devices other processes train; when they have, the training is as one that an earlier attempt finished.
    """
    resumed = newest_intact(attempt)
    if spec.training.devices > 1 and not (resumed and resumed["finished"]):
        resumed = ranks.train(attempt, spec.training.devices, resumed, halvings)
    module, checkpoints = train(attempt, spec, data, network, strategy, material, halvings, resumed=resumed)
    checkpoints.load_best(module)
    return checkpoints.best or {}


def train(
    attempt: Attempt,
    spec: JobSpec,
    data: Data,
    network: Network,
    strategy: Strategy,
    material: Material,
    halvings: int,
    *,
    resumed: Json | None,
) -> tuple[Finetuner, Checkpoints]:
    """This process's part in the training, from a checkpoint on, if it has not ended with that."""
    training = spec.training
    loader, validation = _loaders(training, data, material, halvings)
    module = _module(training, data, strategy.parameter_groups(network, training), material)
    monitor = training.early_stopping.monitor if training.early_stopping else "val_loss"
    checkpoints = Checkpoints(attempt, loader, monitor, resumed, halvings)
    reporter = Reporter(attempt, loader, checkpoints, FEATURES_END if material.cached else EVIDENCE_END)
    if resumed is None or not resumed["finished"]:
        acting = [*strategy.callbacks(network, training), *_early_stopping(training)]
        telling = [EventFiles(attempt, reporter)] if group.place()[0] == 0 else []
        callbacks = [reporter, *acting, *telling, checkpoints]
        trainer = _trainer(attempt, training, callbacks, module, 2**halvings)
        hardware.let_torch_ask_cuda()
        threads = hardware.threads_for(_products(training, network, material))
        suits = not material.cached and layout.suits(network, training, data.train)
        with threads, layout.channels_last(network, wanted=suits), polite():
            trainer.fit(module, loader, validation, ckpt_path=resumed["path"] if resumed else None, weights_only=True)
    return module, checkpoints


def material(
    training: Training,
    data: Data,
    network: Network,
    strategy: Strategy,
    preprocessing: Preprocessing,
    extraction: Extraction,
) -> Material:
    """What this job trains on; computes features where the strategy caches them."""
    if caches_features(strategy, training):
        features = extraction.all(FEATURES_END)
        return Material(features["train"], features["validation"], HeadOnFeatures(network.head), features)
    return raw(training, data, network, preprocessing)


def raw(training: Training, data: Data, network: Network, preprocessing: Preprocessing) -> Material:
    """What a job trains on that caches nothing."""
    train: ItemRows | AugmentedRows = data.train
    if training.augmentation != "none":
        train = AugmentedRows(data.train, preprocessing, training.augmentation, training.seed)
    return Material(train, data.validation, network, {})


def examples_a_step(training: Training) -> int:
    """The global batch size; before ``auto`` is settled, its usual value."""
    return UNRESOLVED if training.batch_size == "auto" else training.batch_size


def _loaders(training: Training, data: Data, material: Material, halvings: int) -> tuple[Batches, Loader]:
    """A head's training is too small to be halved for memory."""
    threads = 0 if material.cached else hardware.preparing_threads()
    size, batch_size = len(material.train), examples_a_step(training)
    order = balanced(data.train.labels) if training.sampling == "balanced" else shuffled(size)
    step = batch_size if material.cached else -(-batch_size // 2**halvings)
    pin = hardware.device(training).type == "cuda"
    train = Loader(size, material.train, step, seed=training.seed, threads=threads, order=order, pin=pin)
    held_out = len(material.validation)
    if material.cached:
        return Runs(train, batches_a_run(step)), Loader(held_out, material.validation, _at_once(data), pin=pin)
    return train, Loader(held_out, material.validation, step, threads=threads, pin=pin)


def _at_once(data: Data) -> int:
    """Rows of a head's validation that go together: no more logits than some tens of megabytes."""
    return max(1, min(ROWS_A_RUN, LOGITS_AT_ONCE // len(data.labels)))


def _module(training: Training, data: Data, groups: list[Group], material: Material) -> Finetuner:
    classes = len(data.labels)
    weights = _class_weights(data.train.labels, classes) if training.class_weights == "balanced" else None
    if not material.cached:
        tuner = SharedFinetuner if group.place()[1] > 1 else Finetuner
        return tuner(material.model, groups, training, classes, weights)
    steps = -(-len(material.train) // examples_a_step(training))
    return HeadFinetuner(material.model, groups, training, classes, weights, steps)


def _products(training: Training, network: Network, material: Material) -> int | None:
    """Multiplications of a step of a head; None where there is more to a step than that."""
    if not material.cached:
        return None
    return examples_a_step(training) * network.head.in_features * network.head.out_features


def _class_weights(labels: Tensor, classes: int) -> Tensor:
    """Inverse frequency, mean 1 over the examples: n / (classes × count)."""
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return (len(labels) / (classes * counts)).float()


def _early_stopping(training: Training) -> list[pl.Callback]:
    stopping = training.early_stopping
    if stopping is None:
        return []
    mode = "max" if stopping.monitor == "val_accuracy" else "min"
    return [EarlyStopping(stopping.monitor, patience=stopping.patience, mode=mode)]


def _trainer(
    attempt: Attempt, training: Training, callbacks: list[pl.Callback], module: Finetuner, accumulate: int
) -> pl.Trainer:
    """A Trainer for the module; one that steps by itself also clips and accumulates by itself."""
    automatic = module.automatic_optimization
    several = group.place()[1] > 1
    return pl.Trainer(
        strategy=ddp.ChildrenStrategy(module.trained(), training.seed) if several else "auto",
        max_epochs=training.max_epochs,
        accelerator=training.accelerator,
        devices=training.devices,
        precision=hardware.lightning_precision(training),
        accumulate_grad_batches=accumulate if automatic else 1,
        gradient_clip_val=training.gradient_clip_val if automatic else None,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=attempt.directory,
    )
