"""Whose turn it is: order, overlap, sides."""

from __future__ import annotations

from burnish.labels.store import Item, Judgement, Vote
from burnish.labels.turn import BLOCK, latest, left_answer, progress, shown, waiting

ITEMS = [Item(f"item-{number}", "") for number in range(200)]


def judged(item: str, annotator: str, choice: str = "first", withdrawn: bool = False) -> Judgement:
    return Judgement(0, Vote(item, annotator, 0, choice), "", withdrawn)


def test_early_items_come_early_and_in_another_order_for_each_person() -> None:
    ana, ben = (waiting(ITEMS, [], name, 0.0) for name in ("ana", "ben"))
    assert ana == waiting(ITEMS, [], "ana", 0.0) != ben
    assert set(ana[:BLOCK]) == set(ben[:BLOCK]) == set(ITEMS[:BLOCK])


def test_a_judged_item_is_for_others_only_where_all_shall_see_it() -> None:
    standing = [judged(item.id, "ana") for item in ITEMS]
    assert waiting(ITEMS, standing, "ana", 1.0) == []
    assert waiting(ITEMS, standing, "ben", 0.0) == []
    assert len(waiting(ITEMS, standing, "ben", 1.0)) == len(ITEMS)
    assert 20 < len(waiting(ITEMS, standing, "ben", 0.2)) < 60
    assert [item.id for item in waiting(ITEMS, standing, "ben", 0.0, {"item-7"})] == ["item-7"]


def test_a_skipped_item_goes_to_the_next_person_and_not_back() -> None:
    standing = [judged("item-0", "ana", "skip")]
    assert "item-0" not in {item.id for item in waiting(ITEMS, standing, "ana", 0.0)}
    assert "item-0" in {item.id for item in waiting(ITEMS, standing, "ben", 0.0)}
    assert progress(standing, "ana", 3).total == 4


def test_sides_are_tossed_evenly_and_stay() -> None:
    sides = [left_answer(item.id, "ana") for item in ITEMS]
    assert sides == [left_answer(item.id, "ana") for item in ITEMS]
    assert 70 < sum(sides) < 130
    assert sides != [left_answer(item.id, "ben") for item in ITEMS]


def test_the_round_counts_what_was_taken_back() -> None:
    assert shown(ITEMS[0], [judged("item-0", "ana", withdrawn=True)], "ana").round == 1
    assert shown(ITEMS[0], [judged("item-0", "ben")], "ana").round == 0


def test_undo_is_of_the_newest_of_ones_own() -> None:
    standing = [judged("item-0", "ana"), judged("item-1", "ana"), judged("item-2", "ben")]
    newest = latest(standing, "ana")
    assert newest is not None
    assert newest.vote.item == "item-1"
    assert latest(standing, "cleo") is None
