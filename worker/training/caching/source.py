"""Where the features of a frozen backbone come from: the cache, and one pass for what it lacks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from models_store import counters, leases
from models_store.backbones import FAMILIES
from models_store.feature_cache.code import code_sha256
from models_store.feature_cache.shelf import Keeper, Key, Shelf
from models_store.network import Network
from models_store.preprocessing.protocol import Preprocessing
from models_store.trunks import trunk_of
from worker.attempt import Attempt
from worker.training.caching.filling import Filling, Part
from worker.training.caching.ways import Way

PASS_BATCH: Final = 32
OnBatch = Callable[[int, int], None]
"""Is told how many of how many items are computed, after each batch; may raise to stop."""


@dataclass(frozen=True)
class FeatureSource:
    """Gives rows their features.

    Args:
        way: how what is missing is computed; started only if something is.
        shelf: what is kept; None: these features are of no use to anybody else.
        batch_size: items a pass through the backbone.
    """

    attempt: Attempt
    way: Way
    shelf: Shelf | None = None
    batch_size: int = PASS_BATCH

    @property
    def name(self) -> str:
        """Features of one name are as good as each other."""
        return self.shelf.key.name if self.shelf else self.way.computed_by

    def fill(self, parts: Sequence[Part], what: str, on_batch: OnBatch) -> None:
        """Fill the values of all parts, and say in the job's history how.

        Args:
            what: what the rows are, for the history.
        """
        if not any(len(part.order) for part in parts):
            return
        filling = Filling(parts)
        recalled = filling.recall(self.shelf, self.attempt.check_stop) if self.shelf else 0
        computed = filling.missing
        if computed:
            self._compute(filling, on_batch)
        filling.copy()
        if self.shelf:
            self._log(self.shelf, what, recalled, computed)

    def _compute(self, filling: Filling, on_batch: OnBatch) -> None:
        done, total = 0, filling.missing

        def one_more(count: int) -> None:
            nonlocal done
            done += count
            on_batch(done, total)

        with self.way.start() as forward, Keeper(self.shelf) as keeper:
            filling.compute(forward, keeper, self.batch_size, one_more)

    def _log(self, shelf: Shelf, what: str, recalled: int, computed: int) -> None:
        message = f"features of {what}: {recalled} from the cache, {computed} computed"
        if not computed:
            message += "; the backbone was not run"
        if not shelf.on:
            message = f"features of {what}: {computed} computed; the cache is switched off"
        held = self.attempt.claim
        counts = {"cached": recalled, "computed": computed}

        def told() -> None:
            with self.attempt.database.write() as session:
                leases.add_log(session, held, message, **counts)
                for where, number in (("cache", recalled), ("computed", computed)):
                    counters.add(session, counters.FEATURES, where, number)

        self.attempt.persist(told)


def kept(
    attempt: Attempt,
    fingerprint: str,
    network: Network,
    preprocessing: Preprocessing,
    way: Way,
    *,
    backbone: str,
    batch_size: int = PASS_BATCH,
) -> FeatureSource:
    """The source of a backbone that others may use as well.

    Args:
        fingerprint: of the job's data set.
        backbone: ``backbone_sha256`` of the network's backbone, as it is now and as long as this source is used.
    """
    architecture = network.architecture
    key = Key(
        trunk=trunk_of(backbone, architecture),
        preprocessing=preprocessing.sha256(),
        code=code_sha256(
            [*network.backbone.modules(), FAMILIES[architecture.family], preprocessing], repr(network.backbone)
        ),
        computed_by=way.computed_by,
    )
    settings = attempt.settings
    shelf = Shelf(settings.store_dir, key, network.head.in_features, fingerprint, settings.feature_cache_bytes)
    return FeatureSource(attempt, way, shelf, batch_size)
