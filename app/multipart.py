"""A multipart form with one file, read piece by piece: what the parser finds is handed on, never kept whole."""

from typing import Any, Final

from python_multipart.multipart import parse_options_header

from models_store.errors import FinetunedError, InvalidError, TooLargeError

_MAX_PARTS: Final = 20
_MAX_FIELD_BYTES: Final = 64 * 1024


class FormReader:
    """Callbacks of the multipart parser; keeps file bytes only until they are taken."""

    def __init__(self) -> None:
        self.waiting = bytearray()
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.ended = False
        self._parts = 0
        self._name = ""
        self._value = bytearray()
        self._in_file = False
        self._header = bytearray()
        self._header_value = bytearray()
        self._disposition = b""

    def callbacks(self) -> Any:
        """For ``python_multipart``'s parser."""
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def take(self) -> bytes:
        """The file's bytes that came since the last call."""
        data = bytes(self.waiting)
        self.waiting.clear()
        return data

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise TooLargeError(
                "too_many_parts", f"The form has more than {_MAX_PARTS} parts. Send one file a request."
            )
        self._disposition = b""
        self._value.clear()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]
        self._check_small(self._header)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]
        self._check_small(self._header_value)

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise malformed()
        self._name = options[b"name"].decode()
        self._in_file = b"filename" in options
        if self._in_file:
            if self._name != "file":
                raise InvalidError("unexpected_file", "Send exactly one file, in the field `file`.", param="file")
            self._check_new(self.filename is not None)
            self.filename = options[b"filename"].decode("utf-8", "replace")
        else:
            self._check_new(self._name in self.fields)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.waiting += data[start:end]
        else:
            self._value += data[start:end]
            self._check_small(self._value)

    def _on_part_end(self) -> None:
        if not self._in_file:
            self.fields[self._name] = self._value.decode()

    def _on_end(self) -> None:
        self.ended = True

    def _check_new(self, known: bool) -> None:
        if known:
            raise InvalidError("duplicate_field", "A field of the form comes twice. Send each once.", param=self._name)

    def _check_small(self, data: bytearray) -> None:
        if len(data) > _MAX_FIELD_BYTES:
            raise TooLargeError("field_too_large", f"A field has more than {_MAX_FIELD_BYTES} bytes. Shorten it.")


def malformed() -> FinetunedError:
    """What is raised for a body that is no multipart form."""
    return InvalidError("malformed_multipart", "The multipart body is broken or incomplete. Send it again.")
