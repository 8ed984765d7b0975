"""``strategy: auto``: small sets train the head only, large ones everything."""

from models_store.database.tables import Json
from models_store.spec import JobSpec
from worker.settings import WorkerSettings


def decide(spec: JobSpec, settings: WorkerSettings, examples: int, classes: int) -> Json:
    """Choose the strategy and say why.

    Returns:
        ``strategy``, ``reason``, ``evidence``: what a job shows as its ``decision``.
    """
    evidence = {"training_examples": examples, "classes": classes}
    if spec.strategy != "auto":
        return {"strategy": spec.strategy, "reason": "chosen in the request", "evidence": evidence}
    seen = f"{examples:,} training examples in {classes} classes"
    if examples < settings.freeze_below:
        reason = f"{seen}: fewer than {settings.freeze_below:,} cannot move a pretrained backbone without overfitting"
        return {"strategy": "freeze", "reason": reason, "evidence": evidence}
    if examples >= settings.full_from:
        reason = f"{seen}: from {settings.full_from:,} on, training everything with differential rates pays"
        return {"strategy": "full", "reason": reason, "evidence": evidence}
    reason = f"{seen}: between {settings.freeze_below:,} and {settings.full_from:,} the cheaper strategy comes first"
    return {"strategy": "freeze", "reason": reason, "evidence": evidence}
