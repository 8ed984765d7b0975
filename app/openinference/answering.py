"""From an inference request to its answer, by the same way as ``POST /predict``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy
from fastapi import Response
from pydantic_core import to_json
from sqlalchemy.orm import Session

from app.deps import Services
from app.openinference import requests
from app.openinference.requests import BINARY_TYPE, HEAD_LENGTH, Asked, Sent, Wanted
from app.openinference.schemas import InferResponse
from app.openinference.tensors import Tensor
from app.predictions import judging
from app.predictions.predicting import Leaving
from app.predictions.stepping import LONG, Steps
from models_store import aliases
from models_store.aliases import Meant
from models_store.database.engine import Database
from models_store.errors import InvalidError
from models_store.keys import Caller

if TYPE_CHECKING:  # torch takes seconds to import; see app.pretrained
    from app.pretrained import Judgement

_SMALL: Final = 2**16
"""Bytes of a body that is read in a few milliseconds, whatever is in it."""


@dataclass(frozen=True)
class Address:
    """A model, as an address names it, and who asks for it."""

    name: str
    version: int | None
    caller: Caller

    def find(self, session: Session) -> Meant:
        """The model.

        Raises:
            NotFoundError, ConflictError: as :func:`models_store.aliases.versioned`.
        """
        return aliases.versioned(session, self.name, self.version, caller=self.caller)


def answer(services: Services, address: Address, sent: Sent, leaving: Leaving) -> Steps[Response]:
    """Answer the request of this body.

    The protocol has no error for an item alone: a bad item fails the request.

    Raises:
        FinetunedError, RequestValidationError, HTTPException: as reading and judging raise, or an item is bad.
        CancelledError: the client has left.
    """
    if len(sent.body) > _SMALL:
        yield LONG
    asked = requests.read(sent, services.settings.max_prediction_inputs)

    def find(database: Database) -> Meant:
        with database.read() as session:
            meant = address.find(session)
        _check_input(meant, asked)
        return meant

    found = yield from judging.judge(services, find, asked.given, leaving)
    outputs = _outputs(found.predictor.labels, judging.all_judged(found, asked.input))
    return _encoded(address, asked, found.meant, [(outputs[wanted.name], wanted) for wanted in asked.outputs])


def _check_input(meant: Meant, asked: Asked) -> None:
    """Before the model is loaded."""
    if (asked.input == "text") != meant.reads_text:
        reads = "texts: give the input `text`" if meant.reads_text else "images: give the input `image` or `pixels`"
        raise InvalidError("task_mismatch", f"The model reads {reads}.", param="inputs")


def _outputs(labels: Sequence[str], judgements: "Sequence[Judgement]") -> Mapping[str, Tensor]:
    """All that the model can give; ``probabilities`` and ``logits`` [items, classes] in the order of its labels."""
    probabilities = numpy.array([one.judged.probabilities for one in judgements])
    tensors = (
        Tensor("label", [labels[best] for best in probabilities.argmax(axis=1)]),
        Tensor("score", probabilities.max(axis=1).astype(numpy.float32)),
        Tensor("probabilities", probabilities.astype(numpy.float32)),
        Tensor("logits", numpy.array([one.judged.logits.tolist() for one in judgements], numpy.float32)),
    )
    return {tensor.name: tensor for tensor in tensors}


def _encoded(address: Address, asked: Asked, meant: Meant, outputs: Sequence[tuple[Tensor, Wanted]]) -> Response:
    behind = {tensor.name: tensor.as_bytes() for tensor, wanted in outputs if wanted.binary}
    content = InferResponse.of(
        model_name=address.name,
        model_version=str(meant.version),
        id=asked.id,
        parameters={"model": meant.id},
        outputs=[
            {
                "name": tensor.name,
                "shape": tensor.shape,
                "datatype": tensor.datatype,
                "parameters": {"binary_data_size": len(behind[tensor.name])} if wanted.binary else None,
                "data": None if wanted.binary else tensor.as_json(),
            }
            for tensor, wanted in outputs
        ],
    )
    head = to_json(content, exclude_none=True)
    if not behind:
        return Response(head, media_type="application/json")
    body = b"".join([head, *(behind[tensor.name] for tensor, wanted in outputs if wanted.binary)])
    return Response(body, media_type=BINARY_TYPE, headers={HEAD_LENGTH: str(len(head))})
