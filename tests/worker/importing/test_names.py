import io
import zipfile

import pytest

from tests.worker.importing.uploads import Imports, codes, picture
from worker.importing.names import is_korean


def packed(names: list[str], encoding: str) -> bytes:
    """A zip whose names are written in an encoding, and that does not say in which."""
    # Placeholders of the same length are put in place of the names, which the library would write as UTF-8.
    raw = [name.encode(encoding) for name in names]
    placeholders = [f"{number:06}".encode().ljust(len(name), b"x") for number, name in enumerate(raw)]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, placeholder in enumerate(placeholders):
            archive.writestr(placeholder.decode(), picture(number, "BMP"))
    content = file.getvalue()
    for placeholder, name in zip(placeholders, raw, strict=True):
        assert content.count(placeholder) == 2
        content = content.replace(placeholder, name)
    return content


def labels(imports: Imports, archive: bytes) -> list[str]:
    result = imports.run(archive)
    assert result.problems == []
    return [row["label"] for row in result.classes]


KOREAN = [f"{label}/사진 {number}.bmp" for label in ("개미", "꿀벌") for number in range(3)]
WESTERN = [f"{label}/r\u00e9sum\u00e9 {number}.bmp" for label in ("caf\u00e9", "\u00fcbung") for number in range(3)]


def test_korean_names_as_windows_writes_them_are_understood(imports: Imports) -> None:
    assert labels(imports, packed(KOREAN, "cp949")) == ["개미", "꿀벌"]


def test_a_rare_syllable_among_common_ones_is_understood(imports: Imports) -> None:
    assert labels(imports, packed([name.replace("개미", "뷁") for name in KOREAN], "cp949")) == ["꿀벌", "뷁"]


def test_unmarked_utf8_names_are_understood(imports: Imports) -> None:
    assert labels(imports, packed(KOREAN, "utf-8")) == ["개미", "꿀벌"]


def test_western_names_as_the_format_prescribes_them_stay_what_they_are(imports: Imports) -> None:
    assert labels(imports, packed(WESTERN, "cp437")) == ["caf\u00e9", "\u00fcbung"]


@pytest.mark.parametrize("text", ["그냥 재미없음..", "아네트 베닝이 너무 심심한 캐릭터로", "별점 5점! good"])
def test_korean_texts_are_known_as_such(text: str) -> None:
    assert is_korean(text.encode("cp949"))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("déjà vu, très élégant", "latin-1"),
        ("schöne Grüße aus Köln", "latin-1"),
        ("とても面白い映画でした", "shift_jis"),
        ("Привет, мир", "cp1251"),
        ("plain", "ascii"),
    ],
)
def test_other_texts_are_not_taken_for_korean(text: str, encoding: str) -> None:
    assert not is_korean(text.encode(encoding))


def test_a_table_in_cp949_is_refused_and_told_what_it_seems_to_be(imports: Imports) -> None:
    failure = imports.failure("text,label\n그냥 재미없음,부정\n정말 좋아요,긍정\n".encode("cp949"), "set.csv")
    assert failure.code == "not_utf8"
    assert "Line 2 " in failure.message
    assert "CP949" in failure.message


def test_a_table_in_utf16_is_refused_and_told_what_it_seems_to_be(imports: Imports) -> None:
    failure = imports.failure("text,label\n그냥 재미없음,부정\n".encode("utf-16"), "set.csv")
    assert failure.code == "not_utf8"
    assert "UTF-16" in failure.message


def test_problems_name_items_as_they_are_understood(imports: Imports) -> None:
    archive = packed([*KOREAN, "길잃음.bmp"], "cp949")
    assert codes(imports.run(archive).problems) == {"길잃음.bmp": "no_class"}
