from worker.importing.candidates import Candidate
from worker.importing.duplicates.findings import LISTED, findings

Member = tuple[str, Candidate]


def member(split: str, name: str, digest: int, label: str = "ants", group: int | None = 1) -> Member:
    return split, Candidate(name, label, None, 0, digest, group)


def codes(*members: Member) -> dict[str, str]:
    return {entry["item"]: entry["code"] for entry in findings(members, regrouped=False)}


def test_identical_items_of_one_split_are_duplicates() -> None:
    assert codes(member("train", "a", 5), member("train", "b", 5)) == {"a": "duplicate_items"}


def test_nearly_identical_items_of_one_split_are_told_as_such() -> None:
    assert codes(member("train", "a", 5), member("train", "b", 6)) == {"a": "near_duplicate_items"}


def test_copies_in_two_splits_are_told_as_a_leak() -> None:
    assert codes(member("train", "a", 5), member("test", "b", 5)) == {"a": "duplicate_across_splits"}
    assert codes(member("train", "a", 5), member("test", "b", 6)) == {"a": "near_duplicate_across_splits"}


def test_identical_items_beside_a_similar_one_in_another_split_are_a_leak_of_similar_ones() -> None:
    group = member("train", "a", 5), member("train", "b", 5), member("validation", "c", 6)
    assert codes(*group) == {"a": "near_duplicate_across_splits"}


def test_the_same_content_with_two_labels_is_a_conflict() -> None:
    assert codes(member("train", "a", 5), member("train", "b", 5, "bees")) == {"a": "conflicting_labels"}


def test_similar_items_may_have_two_labels() -> None:
    assert codes(member("train", "a", 5), member("train", "b", 6, "bees")) == {"a": "near_duplicate_items"}


def test_a_conflict_over_two_splits_is_two_faults() -> None:
    found = findings([member("train", "a", 5), member("validation", "b", 5, "bees")], regrouped=False)
    assert [entry["code"] for entry in found] == ["conflicting_labels", "duplicate_across_splits"]
    assert "'ants': 1, 'bees': 1" in found[0]["message"]


def test_an_item_whose_copies_were_left_out_is_no_finding() -> None:
    assert codes(member("train", "a", 5)) == {}
    assert codes(member("train", "a", 5, group=None), member("train", "b", 6, group=None)) == {}


def test_an_entry_tells_the_count_the_first_names_and_the_splits() -> None:
    members = [member("train", f"a{number}", 5) for number in range(7)] + [member("test", "b", 5)]
    (entry,) = findings(members, regrouped=False)
    assert "8 items ('a0', 'a1', 'a2', …) of class 'ants'" in entry["message"]
    assert "in train and test" in entry["message"]


def test_the_grouped_split_is_offered_where_it_is_not_yet_used() -> None:
    leak = [member("train", "a", 5), member("validation", "b", 5)]
    assert "split=grouped" in findings(leak, regrouped=False)[0]["message"]
    assert "split=grouped" not in findings(leak, regrouped=True)[0]["message"]


def test_of_many_groups_the_largest_are_listed_and_the_others_counted() -> None:
    members = [
        member("train", f"{group:04}-{place}", group, group=group)
        for group in range(LISTED + 5)
        for place in range(3 if group == 7 else 2)
    ]
    found = findings(members, regrouped=False)
    assert len(found) == LISTED + 1
    assert found[0]["item"] == "0007-0"
    assert found[-1]["message"].startswith("5 more groups of this kind, of 10 items,")
