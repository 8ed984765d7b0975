"""Models that were trained here, as the start of the next ones."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from safetensors.torch import load_file

from models_store import registry, trunk_files
from models_store.backbones.family import (
    Backbone,
    Head,
    LocalWeights,
)
from models_store.backbones.mapping import fill
from models_store.backbones.owned import Owned
from models_store.preprocessing.loading import load_preprocessing


class EarlierModel(Owned):
    """``model/ID``: its trunk and preprocessing, and its head for the labels that a new data set shares with it.

    No options: tokens, pooling and pixels stay what the trunk was trained with. Random weights are those of its
    architecture, without a head.
    """

    kind = "model"
    id_pattern = re.compile(r"mdl_[0-9a-z]{26}")
    instead_of_mirroring = "A model is in the store already."

    def load(self, name: str, weights: str | None, mirror: LocalWeights, options: Mapping[str, Any]) -> Backbone:  # noqa: ARG002
        """See ``Family.load``.

        Raises:
            NotFoundError: ``model_not_found``, it was deleted.
            UnavailableError: ``trunk_missing`` or ``trunk_damaged``.
        """
        self.check(name, weights)
        folder = registry.directory(mirror.store_dir, name)
        try:
            card = json.loads((folder / "card.json").read_bytes())
            head = Head(card["labels"], **load_file(folder / "head.safetensors"))
            preprocessing = load_preprocessing(card["preprocessing"], folder)
        except FileNotFoundError as error:
            raise registry.unknown(name) from error
        tensors, architecture = trunk_files.locate(mirror.store_dir, card["trunk"])
        backbone = Backbone(architecture, self.build(architecture), preprocessing, None)
        if weights is None:
            return backbone
        fill(backbone.module, load_file(tensors))
        return replace(backbone, weights=name, head=head)
