from tests.app.served import Served, served

__all__ = ["Served", "served"]
