"""``python -m models_store.quarantine SOURCE DESTINATION``: read the tensors of a file, and write them as safetensors.

Prints the refusal as JSON, or nothing. What is imported here is there before the limits are set.
"""

import json
import sys
from pathlib import Path

import torch

from models_store.errors import InvalidError
from models_store.quarantine import content
from models_store.quarantine.confinement import confine
from models_store.quarantine.limits import cpu_seconds, excessive, file_size, memory


def main(source: Path, destination: Path) -> None:
    """Confine this process, then open the file."""
    size = source.stat().st_size
    torch.set_num_threads(1)
    confine(more_memory=memory(size), file_size=file_size(size), cpu_seconds=cpu_seconds(size))
    try:
        tensors, _ordered = content.read(source)
        if sum(tensor.nbytes for tensor in tensors.values()) > file_size(size):
            raise excessive()
        content.write(tensors, destination)
    except InvalidError as error:
        json.dump(error.as_json(), sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
