"""What is logged, and that logging harms nobody."""

import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import pytest

SCRIPT = """
import logging
import warnings
import structlog
from models_store import logs

logs.configure()
structlog.get_logger().info("named", name='a\\n{"level": "error", "event": "forged"}\\x1b[2J')
logging.getLogger("other").warning("from %s", "elsewhere\\r\\nx")
warnings.warn("of the\\nlibrary")
print("done")
"""


def run(stderr: Path) -> str:
    with stderr.open("w") as target:
        done = subprocess.run([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=target, check=True)
    return done.stdout.decode()


def test_a_record_is_one_line_whatever_clients_write(tmp_path: Path) -> None:
    run(tmp_path / "log")
    raw = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in raw.splitlines()]
    assert [line["event"] for line in lines] == ["named", "from elsewhere\r\nx", ANY]
    assert lines[0]["name"].startswith("a\n{")
    assert "\x1b" not in raw


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_under_the_log_ends_nothing() -> None:
    assert run(Path("/dev/full")) == "done\n"
