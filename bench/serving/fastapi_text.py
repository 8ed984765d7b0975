"""A text encoder behind plain FastAPI, as the customer's manual would serve it: eager torch, one text a request.

    ENCODER=FOLDER python -m uvicorn --app-dir bench/serving fastapi_text:app --port 8105 --log-level warning

Body: {"inputs": "some text"} -> {"p": [...]}. The twin of the peer for images, ``fastapi_image.py``.
"""

import os
from typing import Any

import torch
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModel, AutoTokenizer

untyped: Any = AutoModel
torch.manual_seed(0)
tokenizer = AutoTokenizer.from_pretrained(os.environ["ENCODER"])
encoder: Any = untyped.from_pretrained(os.environ["ENCODER"]).eval()
head = torch.nn.Linear(encoder.config.hidden_size, int(os.environ.get("CLASSES", "2"))).eval()
app = FastAPI()


class Request(BaseModel):
    """One text."""

    inputs: str


@app.post("/predict")
def predict(request: Request) -> dict[str, list[float]]:
    """The classes' probabilities."""
    encoded = tokenizer(request.inputs, truncation=True, max_length=512, return_tensors="pt")
    with torch.no_grad():
        logits = head(encoder(**encoded).last_hidden_state[:, 0])
    probabilities: list[float] = logits.softmax(-1)[0].tolist()
    return {"p": probabilities}
