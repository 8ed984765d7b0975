"""Texts as token ids, by the pretrained model's own tokenizer."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import tokenizers
import torch
from tokenizers import Encoding, Tokenizer

from models_store.errors import FinetunedError, InvalidError, UnavailableError
from models_store.preprocessing.protocol import Prepared

FOLDER = "tokenizer"
_DEFINITION = "tokenizer.json"
_PANIC = "PanicException"
"""How Rust's faults come to Python, past ``Exception``; a pattern that backtracks without end ends in one."""
FROM_ENCODING = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
"""Which field of the tokenizer's encoding is which input of the model."""


class TextPreprocessing:
    """UTF-8 bytes to ``input_ids``, ``attention_mask`` and, where the model takes it, ``token_type_ids``.

    The tokenizer is set up once and never changed after, so threads may share it without a lock. Batches are padded on
    the right, so that absolute positions do not depend on what else is in the batch.

    Args:
        files: the tokenizer's files by name, ``tokenizer.json`` among them; kept as they are for saving.
        max_length: tokens an item, special ones included; longer texts are cut, and their diagnostics say so.
        inputs: names of the tensors that the model takes.
        pad_id: id of the padding token (masked, so any id that the model knows will do).
        truncation_side: which end of a long text is cut.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        *,
        max_length: int,
        inputs: Sequence[str],
        pad_id: int,
        truncation_side: Literal["left", "right"] = "right",
    ) -> None:
        self.max_length = max_length
        self._files = dict(files)
        self._inputs = tuple(inputs)
        self._pad_id = pad_id
        self._truncation_side = truncation_side
        self._tokenizer = Tokenizer.from_str(self._files[_DEFINITION].decode())
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length, direction=truncation_side)

    @classmethod
    def from_card(cls, card: Mapping[str, Any], directory: Path) -> Self:
        """The preprocessing whose ``card()`` and ``save(directory)`` these are.

        Raises:
            UnavailableError: ``model_damaged``.
        """
        files = {name: (directory / FOLDER / name).read_bytes() for name in card["files"]}
        if any(hashlib.sha256(content).hexdigest() != card["files"][name] for name, content in files.items()):
            raise UnavailableError(
                "model_damaged", "The model's tokenizer is damaged on disk. Restore it from a backup."
            )
        return cls(
            files,
            max_length=card["max_length"],
            inputs=card["inputs"],
            pad_id=card["pad_id"],
            truncation_side=card["truncation_side"],
        )

    def card(self) -> dict[str, Any]:
        """Plain JSON; ``load_preprocessing`` reads it together with the saved files."""
        return {
            "kind": "text",
            "max_length": self.max_length,
            "inputs": list(self._inputs),
            "pad_id": self._pad_id,
            "truncation_side": self._truncation_side,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(self._files.items())},
        }

    def save(self, directory: Path) -> None:
        """Write the tokenizer's files into the subfolder ``tokenizer``."""
        folder = directory / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._files.items():
            (folder / name).write_bytes(content)

    def sha256(self) -> str:
        """Hash over the card, which holds the hashes of the files, and the version of the tokenizers' library."""
        decides = {"card": self.card(), "tokenizers": tokenizers.__version__}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def prepare(self, contents: Sequence[bytes]) -> list[Prepared | FinetunedError]:
        """Tokenise; tensors are int64 [tokens]; diagnostics are ``tokens`` (after the cut) and ``truncated``."""
        texts = [_decoded(content) for content in contents]
        good = [text for text in texts if isinstance(text, str)]
        encodings = iter(self._encoded(good))
        return [self._prepared(next(encodings)) if isinstance(text, str) else text for text in texts]

    def collate(self, items: Sequence[Prepared]) -> dict[str, torch.Tensor]:
        """Int64 [N, longest of the batch] for each input."""
        fill = {"input_ids": self._pad_id}
        return {
            name: torch.nn.utils.rnn.pad_sequence(
                [item.tensors[name] for item in items], batch_first=True, padding_value=fill.get(name, 0)
            )
            for name in self._inputs
        }

    def _encoded(self, texts: Sequence[str]) -> list[Encoding | FinetunedError]:
        try:
            return list(self._tokenizer.encode_batch_fast(texts))
        except BaseException as error:
            if not (isinstance(error, Exception) or type(error).__name__ == _PANIC):
                raise
            if len(texts) == 1:
                return [_beyond_the_tokenizer()]
            return [encoding for text in texts for encoding in self._encoded([text])]

    def _prepared(self, encoding: Encoding | FinetunedError) -> Prepared | FinetunedError:
        if isinstance(encoding, FinetunedError):
            return encoding
        if not encoding.ids:
            return _empty()
        tensors = {name: torch.tensor(getattr(encoding, FROM_ENCODING[name])) for name in self._inputs}
        return Prepared(tensors, {"tokens": len(encoding.ids), "truncated": bool(encoding.overflowing)})


def _decoded(content: bytes) -> str | FinetunedError:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return InvalidError("not_utf8", "The text is not valid UTF-8. Send it in that encoding.")
    return text if text.strip() else _empty()


def _beyond_the_tokenizer() -> InvalidError:
    return InvalidError("untokenizable_text", "The model's tokenizer cannot read this text. Change or shorten it.")


def _empty() -> InvalidError:
    return InvalidError("empty_text", "The text holds nothing to read. Send at least one word.")
