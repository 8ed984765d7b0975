"""What the pages say, a table a language; a test holds the tables to the same keys and placeholders."""

from collections.abc import Mapping
from typing import Final

from app.web.messages import en, en_admin, en_models, ko, ko_admin, ko_errors, ko_models

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {**en.MESSAGES, **en_models.MESSAGES, **en_admin.MESSAGES},
    "ko": {**ko.MESSAGES, **ko_models.MESSAGES, **ko_admin.MESSAGES},
}
ERRORS: Final[Mapping[str, Mapping[str, str]]] = {"en": {}, "ko": ko_errors.ERRORS}
"""Refusals by code, for languages that are not the service's own."""
