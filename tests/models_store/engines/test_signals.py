"""A process that has used OpenVINO must still hear signals: SIGTERM is how a job is asked to stop."""

import subprocess
import sys
from pathlib import Path

from models_store import trunks
from models_store.engines import conversion
from tests.models_store.engines.test_conversion import TINY, Features, items

USED = """
import os, signal, sys
from pathlib import Path
from models_store.engines import ENGINES

heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append("TERM"))
engines = [ENGINES["openvino"](Path(sys.argv[1]), sys.argv[2], "f32") for _ in range(2)]
while engines:
    del engines[0]
    os.kill(os.getpid(), signal.SIGTERM)
print(*heard)
"""


def test_a_signal_is_heard_when_engines_were_dropped(tmp_path: Path) -> None:
    module = Features()
    trunk = trunks.put(tmp_path, module, TINY)
    assert conversion.ensure(tmp_path, trunk, module, TINY, items()) is None
    ended = subprocess.run(
        [sys.executable, "-c", USED, str(tmp_path), trunk], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "TERM TERM\n"), ended.stderr
