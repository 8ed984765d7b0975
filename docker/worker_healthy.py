"""Health check of a worker's container: exit code 0 if the worker on this host was seen in the database lately."""

import socket
import sys

from models_store import workers
from models_store.database.engine import Database
from models_store.errors import UnavailableError
from models_store.settings import StoreSettings


def main() -> int:
    """0 for a worker that was seen, 1 for one that was not."""
    database = Database(StoreSettings().resolved_database_url)
    try:
        with database.read() as session:
            seen = any(row.id.startswith(f"{socket.gethostname()}:") for row in workers.live(session))
    except UnavailableError:
        return 1
    finally:
        database.close()
    return 0 if seen else 1


if __name__ == "__main__":
    sys.exit(main())
