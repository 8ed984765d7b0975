"""The port is looked at before anything starts."""

import socket

import pytest

from finetuned.failure import UpError
from finetuned.port import free_port, require_free


def test_port_in_use_is_named() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        with pytest.raises(UpError, match=f"127.0.0.1:{port}.*another --host or --port"):
            require_free("127.0.0.1", port, grace=0.0)


def test_free_port_is_accepted() -> None:
    port = free_port("127.0.0.1")

    require_free("127.0.0.1", port, grace=0.0)


def test_host_of_another_machine_is_named() -> None:
    with pytest.raises(UpError, match=r"192\.0\.2\.1"):
        require_free("192.0.2.1", 8000, grace=0.0)
