"""Where the API will listen: checked before anything is started."""

import socket
import time

from finetuned.failure import UpError


def free_port(host: str) -> int:
    """A port that nobody listens on just now."""
    with _bound(host, 0) as listener:
        port: int = listener.getsockname()[1]
    return port


def require_free(host: str, port: int, grace: float) -> None:
    """See that nobody listens there, giving up after ``grace`` seconds.

    Raises:
        UpError: somebody does, or the host is no address of this machine.
    """
    deadline = time.monotonic() + grace
    while True:
        try:
            _bound(host, port).close()
        except UpError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UpError(f"{host} is no address of this machine: {error}. Give another --host.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise UpError(f"Cannot listen on {host}:{port}: {error.strerror}. Give another --host or --port.") from error
    return listener
