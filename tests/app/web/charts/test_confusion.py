"""The matrix has the report's counts, each with both of its labels."""

from typing import Any

from app.web.charts.confusion import MOST_CLASSES, MOST_PAIRS, confusions
from tests.app.web.charts.reading import class_figures, parsed, rows, with_class, words


def _figures(matrix: list[list[int]] | None, labels: list[str], pairs: list[dict[str, Any]] | None = None) -> Any:
    supports = [sum(row) for row in matrix] if matrix else [10] * len(labels)
    classes = [class_figures(label, support=support) for label, support in zip(labels, supports, strict=True)]
    return {"confusion_matrix": matrix, "classes": classes, "confusions": pairs or []}


def test_the_matrix_has_the_counts_of_the_report() -> None:
    drawn = parsed(confusions(_figures([[8, 2], [0, 1200]], ["ants", "bees"]), words))
    assert rows(drawn) == [["ants", "8", "2"], ["bees", "0", "1,200"]]
    assert ["".join(head.itertext()) for head in drawn.findall(".//thead/tr/th")][1:] == ["ants", "bees"]


def test_colours_tell_right_from_wrong_and_the_share_of_the_label() -> None:
    drawn = parsed(confusions(_figures([[27, 3], [1, 1199]], ["ants", "bees"]), words))
    assert [cell.get("class") for cell in drawn.findall(".//td")] == [
        "right level-9",
        "wrong level-1",
        "wrong level-1",
        "right level-10",
    ]
    assert drawn.findall(".//td")[1].get("title") == "ants taken for bees: 10.0%"


def test_one_class_and_classes_without_items_can_be_drawn() -> None:
    assert rows(parsed(confusions(_figures([[3]], ["only"]), words))) == [["only", "3"]]
    drawn = parsed(confusions(_figures([[0, 0], [0, 0]], ["a", "b"]), words))
    assert {cell.get("class") for cell in drawn.findall(".//td")} == {"right level-0", "wrong level-0"}


def test_labels_stay_text_however_they_are() -> None:
    labels = ['<img src="x">', "아주 긴 이름 " * 50]
    drawn = parsed(confusions(_figures([[1, 0], [0, 1]], labels), words))
    assert [row[0] for row in rows(drawn)] == labels
    assert drawn.find(".//img") is None


def test_the_keyboard_reaches_a_matrix_that_must_be_scrolled() -> None:
    frame = with_class(parsed(confusions(_figures([[1]], ["a"]), words)), "scrolling")[0]
    assert (frame.get("tabindex"), frame.get("role")) == ("0", "group")
    assert frame.get("aria-label")


def test_of_more_classes_than_can_be_read_the_most_confused_pairs_are_listed() -> None:
    labels = [f"c{place}" for place in range(1000)]
    pairs = [{"label": f"c{place}", "predicted": "c999", "count": 5} for place in range(100)]
    drawn = parsed(confusions(_figures(None, labels, pairs), words))
    assert len(rows(drawn)) == MOST_PAIRS
    assert rows(drawn)[0] == ["c0", "c999", "5", "50.0%"]


def test_a_matrix_of_few_too_many_classes_gives_way_to_pairs_or_to_a_sentence() -> None:
    many = MOST_CLASSES + 1
    matrix = [[int(row == column) for column in range(many)] for row in range(many)]
    drawn = parsed(confusions(_figures(matrix, [f"c{place}" for place in range(many)]), words))
    assert drawn.find(".//table") is None
    assert "No item was taken for another class." in "".join(drawn.itertext())


def test_a_large_matrix_has_its_most_frequent_confusions_beside_it() -> None:
    labels = [f"c{place}" for place in range(8)]
    matrix = [[10 * int(row == column) for column in range(8)] for row in range(8)]
    matrix[3][5] = 10
    pairs = [{"label": "c3", "predicted": "c5", "count": 10}]
    grid, beside = parsed(confusions(_figures(matrix, labels, pairs), words)).findall(".//table")
    assert grid.get("class") == "confusion crowded"
    assert rows(beside) == [["c3", "c5", "10", "50.0%"]]
