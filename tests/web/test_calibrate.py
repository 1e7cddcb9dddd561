"""A run's replies are labelled and written where the judge's calibration reads them."""

from __future__ import annotations

from collections.abc import Callable

from burnish.evaluate.correction import calibrate
from burnish.run_folder import RunFolder
from burnish.web.app import Place

from .conftest import Person, hidden

PAGE, VOTE = "/calibrate/run/evaluated", "/calibrate/vote/evaluated"


def test_from_an_evaluation_to_a_calibrated_judge(place: Place, person: Callable[[str], Person]) -> None:
    ana = person("ana")
    assert "No replies drawn yet" in ana.page("/calibrate")
    csrf = hidden(ana.page(PAGE), "csrf")
    assert ana.post("/calibrate/write/evaluated", csrf=csrf).status_code == 409
    assert ana.post("/calibrate/draw/evaluated", csrf=csrf).headers["location"] == PAGE
    for number, choice in enumerate(("refusal", "compliance", "skip", "off_task", "incoherent", "partial_refusal")):
        page = ana.page(PAGE)
        assert f"<b>{6 - number}</b> to come" in page
        assert "tuned" not in page.split("<main")[1].replace("tuned reply", "")  # the model isn't named
        ana.vote(choice, PAGE, VOTE)
    assert "Nothing is left for you to label" in ana.page(PAGE)
    written = ana.client.post("/calibrate/write/evaluated", data={"csrf": csrf}, headers={"origin": ana.origin})
    assert "burnish evaluate calibrate" in written.text
    run = RunFolder(place.runs / "evaluated")
    assert calibrate(run, run.path / "evaluate/labels.csv").labelled == 5


def test_undo_brings_the_reply_back(person: Callable[[str], Person]) -> None:
    ana = person("ana")
    ana.post("/calibrate/draw/evaluated", csrf=hidden(ana.page(PAGE), "csrf"))
    item = hidden(ana.page(PAGE), "item")
    ana.vote("refusal", PAGE, VOTE)
    page = ana.page(PAGE)
    back = ana.post("/calibrate/undo/evaluated", csrf=hidden(page, "csrf"), judgement=hidden(page, "judgement"))
    again = ana.page(back.headers["location"])
    assert (hidden(again, "item"), hidden(again, "round")) == (item, "1")


def test_a_choice_between_answers_is_none_of_a_reply(person: Callable[[str], Person]) -> None:
    ana = person("ana")
    ana.post("/calibrate/draw/evaluated", csrf=hidden(ana.page(PAGE), "csrf"))
    assert ana.vote("left", PAGE, VOTE).status_code == 400


def test_a_run_that_is_not_there_is_told(person: Callable[[str], Person]) -> None:
    assert person("ana").client.get("/calibrate/run/nowhere").status_code == 404
