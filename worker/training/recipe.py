"""A fine-tuning from its row to its model; read :func:`run` from top to bottom."""

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor

from models_store import datasets, leases
from models_store.backbones import FAMILIES, split_name
from models_store.backbones.family import Backbone
from models_store.database.tables import DatasetRow, Json
from models_store.errors import InvalidError
from models_store.itemset import ItemSet
from models_store.mirror import Mirror
from models_store.network import Network
from models_store.spec import JobSpec, Training
from models_store.trunks import backbone_sha256
from worker.attempt import Attempt
from worker.training import features, hardware
from worker.training.callbacks import Reporter
from worker.training.checkpointing import AtomicCheckpointIO, Checkpoints, newest_intact
from worker.training.data import Data, FeatureRows, ItemRows, Loader
from worker.training.decision import decide
from worker.training.export import Outcome, export
from worker.training.module import Finetuner, HeadOnFeatures
from worker.training.strategies import STRATEGIES, Strategy

FEATURES_END = 0.6
"""A frozen job spends most of its time on the one pass of the backbone."""


def run(attempt: Attempt) -> None:
    """Fine-tune, export, publish.

    Raises:
        FinetunedError: the job cannot be done; the reason is for its owner.
    """
    spec = JobSpec.model_validate(attempt.row().config)
    dataset = _dataset(attempt, spec)
    decision = decide(spec, attempt.settings, dataset.splits["train"], len(dataset.classes))
    spec = _resolve(attempt, spec, decision)
    halvings = _halvings(attempt)
    trained = False
    while not trained:
        try:
            _train(attempt, spec, dataset, decision, halvings)
            trained = True
        except torch.OutOfMemoryError as error:
            halvings += 1
            _halve(attempt, spec, halvings, error)


def _train(attempt: Attempt, spec: JobSpec, dataset: DatasetRow, decision: Json, halvings: int) -> None:
    pl.seed_everything(spec.training.seed, verbose=False)
    backbone = _load_backbone(attempt, spec)
    data = _open(attempt, dataset, backbone)
    network = Network(backbone.module, backbone.architecture, len(data.labels))
    before = backbone_sha256(network.backbone)
    strategy = STRATEGIES[decision["strategy"]]
    best, features = _fit(attempt, spec, data, network, strategy, halvings)
    strategy.finish(network)
    outcome = Outcome(best, decision["strategy"], before, features)
    export(attempt, spec, data, backbone, network, outcome)


def _halvings(attempt: Attempt) -> int:
    """How often earlier attempts had to halve the batch."""
    return int((attempt.row().checkpoint or {}).get("halvings", 0))


def _halve(attempt: Attempt, spec: JobSpec, halvings: int, error: torch.OutOfMemoryError) -> None:
    """Start again with half the batch on the device and twice the accumulation: the same training in less memory.

    Raises:
        InvalidError: ``out_of_memory``, one example at a time is still too much.
    """
    if 2**halvings >= 2 * _examples_a_step(spec.training):
        message = "The device has too little memory even for one example at a time. Choose a smaller backbone."
        raise InvalidError("out_of_memory", message, param="backbone") from error
    attempt.point_to({"kept": [], "halvings": halvings})
    parts = 2**halvings
    leases.log(
        attempt.database,
        attempt.claim,
        f"the device ran out of memory: training again in steps of 1/{parts} batch, accumulating {parts} of them",
    )


def _dataset(attempt: Attempt, spec: JobSpec) -> DatasetRow:
    with attempt.database.read() as session:
        dataset = datasets.get(session, spec.dataset, owner=None)
    if dataset.status != "ready":
        raise InvalidError("dataset_failed", f"The import of {spec.dataset} failed. Upload the data set anew.")
    return dataset


def _resolve(attempt: Attempt, spec: JobSpec, decision: Json) -> JobSpec:
    """Fill in what only the worker knows, and show it in the job."""
    resolved = spec.model_copy(update={"training": hardware.resolve(spec.training, decision["strategy"])})
    leases.write(attempt.database, attempt.claim, config=resolved.model_dump(mode="json"), decision=decision)
    return resolved


def _load_backbone(attempt: Attempt, spec: JobSpec) -> Backbone:
    attempt.progress("loading", 0.0)
    family, name = split_name(spec.backbone)
    options = spec.preprocessing.model_dump(exclude_none=True)
    backbone = FAMILIES[family].load(name, spec.weights, Mirror(attempt.settings.store_dir), options)
    attempt.check_stop()
    return backbone


def _open(attempt: Attempt, dataset: DatasetRow, backbone: Backbone) -> Data:
    if dataset.task != backbone.architecture.task:
        raise InvalidError(
            "task_mismatch",
            f"Data set {dataset.id} is for {dataset.task}, the backbone for {backbone.architecture.task}. "
            "Choose a backbone of the data set's task.",
            param="backbone",
        )
    itemset = ItemSet(datasets.directory(attempt.settings.store_dir, dataset.fingerprint or ""))
    labels = [entry["label"] for entry in dataset.classes]

    def rows(split: str) -> ItemRows:
        return ItemRows(itemset, list(itemset.items(split)), labels, backbone.preprocessing)

    return Data(dataset, labels, rows("train"), rows("validation"))


def _fit(
    attempt: Attempt, spec: JobSpec, data: Data, network: Network, strategy: Strategy, halvings: int
) -> tuple[Json, dict[str, FeatureRows]]:
    """Train, leave the best weights in the network, and give the best epoch's metrics and the features by split."""
    training = spec.training
    groups = strategy.parameter_groups(network, training)
    train: ItemRows | FeatureRows = data.train
    validation: ItemRows | FeatureRows = data.validation
    model: torch.nn.Module = network
    features: dict[str, FeatureRows] = {}
    if strategy.CACHES_FEATURES:
        features = _cache(attempt, data, network, training.accelerator)
        train, validation = features["train"], features["validation"]
        model = HeadOnFeatures(network.head)
    threads = 0 if strategy.CACHES_FEATURES else hardware.preparing_threads()
    step = -(-_examples_a_step(training) // 2**halvings)
    loader = Loader(len(train), train, step, seed=training.seed, threads=threads)
    weights = _class_weights(data.train.labels, len(data.labels)) if training.class_weights == "balanced" else None
    module = Finetuner(model, groups, training, len(data.labels), weights)
    monitor = training.early_stopping.monitor if training.early_stopping else "val_loss"
    resumed = newest_intact(attempt)
    checkpoints = Checkpoints(attempt, loader, monitor, resumed, halvings)
    reporter = Reporter(attempt, loader, checkpoints, FEATURES_END if strategy.CACHES_FEATURES else 0.0)
    if resumed is None or not resumed["finished"]:
        callbacks = [reporter, *strategy.callbacks(network, training), *_early_stopping(spec), checkpoints]
        trainer = _trainer(attempt, spec, callbacks, 2**halvings)
        shown = Loader(len(validation), validation, step, threads=threads)
        trainer.fit(module, loader, shown, ckpt_path=resumed["path"] if resumed else None, weights_only=True)
    checkpoints.load_best(module)
    return checkpoints.best or {}, features


def _examples_a_step(training: Training) -> int:
    return 32 if training.batch_size == "auto" else training.batch_size


def _cache(attempt: Attempt, data: Data, network: Network, accelerator: str) -> dict[str, FeatureRows]:
    device = torch.device("cuda" if accelerator == "gpu" else "cpu")
    network.to(device)
    total = len(data.train) + len(data.validation)
    done = {"train": 0, "validation": 0}

    def compute(split: str, rows: ItemRows) -> FeatureRows:
        def on_batch(count: int) -> None:
            done[split] = count
            attempt.check_stop()
            attempt.progress("features", FEATURES_END * sum(done.values()) / total)

        return features.compute(network, rows, str(attempt.directory / f"features-{split}"), device, on_batch)

    cached = {"train": compute("train", data.train), "validation": compute("validation", data.validation)}
    network.to("cpu")
    return cached


def _class_weights(labels: Tensor, classes: int) -> Tensor:
    """Inverse frequency, mean 1 over the examples: n / (classes × count)."""
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return (len(labels) / (classes * counts)).float()


def _early_stopping(spec: JobSpec) -> list[pl.Callback]:
    stopping = spec.training.early_stopping
    if stopping is None:
        return []
    mode = "max" if stopping.monitor == "val_accuracy" else "min"
    return [EarlyStopping(stopping.monitor, patience=stopping.patience, mode=mode)]


def _trainer(attempt: Attempt, spec: JobSpec, callbacks: list[pl.Callback], accumulate: int) -> pl.Trainer:
    training = spec.training
    return pl.Trainer(
        max_epochs=training.max_epochs,
        accelerator=training.accelerator,
        devices=training.devices,
        precision=hardware.lightning_precision(training),
        accumulate_grad_batches=accumulate,
        gradient_clip_val=training.gradient_clip_val,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=attempt.directory,
    )
