from tests.app.served import served

__all__ = ["served"]
