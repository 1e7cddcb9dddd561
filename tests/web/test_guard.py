"""Who is let in, and what no other page may do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from burnish.web.app import Place, create_app

from .conftest import HOST, PORT, Person, hidden, hidden_of


@pytest.fixture
def stranger(place: Place) -> TestClient:
    return TestClient(create_app(place), base_url=HOST)


@pytest.mark.parametrize(
    "path", ["/", "/label", "/runs", "/runs/events", "/runs/report/evaluated", "/compare", "/nowhere"]
)
def test_without_the_link_nothing_is_shown(stranger: TestClient, path: str) -> None:
    answer = stranger.get(path, follow_redirects=False)
    assert answer.status_code == 403
    assert "question" not in answer.text
    assert "burnish ui" in answer.text


def test_the_link_works_once_and_the_next_one_is_another(place: Place, stranger: TestClient) -> None:
    token = place.sessions.begin()
    entered = stranger.get(f"/enter?token={token}", follow_redirects=False)
    cookie = entered.headers["set-cookie"]
    assert entered.status_code == 303
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert f"burnish-{PORT}=" in cookie
    assert stranger.get("/runs").status_code == 200
    other = TestClient(stranger.app, base_url=HOST)
    for wrong in (token, "", "x" * 43, "é"):
        assert other.get("/enter", params={"token": wrong}, follow_redirects=False).status_code == 403
    assert other.get("/runs").status_code == 403


def test_a_name_that_was_rebound_to_this_machine_is_refused(person: Callable[[str], Person]) -> None:
    client = person("ana").client
    for host in ("evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}"):
        assert client.get("/runs", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {},
        {"origin": HOST, "sec-fetch-site": "cross-site"},
        {"origin": HOST, "sec-fetch-site": "same-site"},
    ],
)
def test_a_vote_from_elsewhere_is_refused(
    place: Place, person: Callable[[str], Person], headers: dict[str, str]
) -> None:
    ana = person("ana")
    fields = hidden_of(ana.page("/label")) | {"choice": "left"}
    assert ana.client.post("/label/vote", data=fields, headers=headers).status_code == 403
    assert place.store.judgements("pairs") == []


def test_every_post_wants_the_sessions_own_token(place: Place, person: Callable[[str], Person]) -> None:
    ana, ben = person("ana"), person("ben")
    theirs = hidden(ben.page("/label"), "csrf")
    app = ana.client.app  # type: ignore[union-attr]
    posts = [route.path for route in _routes(app) if "POST" in route.methods]
    assert len(posts) >= 8
    for path in posts:
        for token in ("", theirs):
            fields = hidden_of(ana.page("/label")) | {"choice": "left", "csrf": token}
            answer = ana.post(path.replace("{name:path}", "evaluated"), **fields)
            assert answer.status_code == 403, path
    assert place.store.judgements("pairs") == []


def test_every_answer_forbids_foreign_script_style_and_frames(person: Callable[[str], Person]) -> None:
    ana = person("ana")
    for path in ("/label", "/runs", "/static/app.css", "/nowhere", "/compare"):
        headers = ana.client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"


def test_a_report_is_shown_in_a_sandbox_of_its_own(place: Place, person: Callable[[str], Person]) -> None:
    (place.runs / "evaluated/report.html").write_text("<h1>report</h1>", encoding="utf-8")
    answer = person("ana").client.get("/runs/report/evaluated")
    assert answer.text == "<h1>report</h1>"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox;")
    assert "allow-scripts" not in policy
    assert "script-src" not in policy


def test_a_body_without_end_is_refused(person: Callable[[str], Person]) -> None:
    ana = person("ana")
    assert ana.post("/label/vote", reason="x" * (1 << 20)).status_code == 413


@pytest.mark.parametrize("name", ["../secret", "evaluated/../../secret", "training/train", "", "/etc"])
def test_only_run_folders_are_shown(place: Place, person: Callable[[str], Person], name: str) -> None:
    (place.runs.parent / "secret").mkdir()
    (place.runs.parent / "secret/report.html").write_text("secret", encoding="utf-8")
    (place.runs.parent / "secret/recipe.yaml").write_text("name: secret", encoding="utf-8")
    answer = person("ana").client.get(f"/runs/report/{name}")
    assert answer.status_code == 404
    assert "secret</" not in answer.text


@pytest.mark.parametrize("next", ["//evil.example", "http://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_choosing_a_name_leads_nowhere_else(person: Callable[[str], Person], next: str) -> None:
    ana = person("")
    answer = ana.post("/name", csrf=hidden(ana.page("/name"), "csrf"), name="ana", next=next)
    assert answer.headers["location"] == "/label"


def _routes(app: object) -> list[APIRoute]:
    """The app's own routes, those of its routers too."""
    found: list[APIRoute] = []
    waiting = list(app.routes)  # type: ignore[attr-defined]
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            found.append(route)
        else:
            inner = getattr(route, "original_router", None) or getattr(route, "router", None)
            waiting += getattr(inner, "routes", [])
    return found
