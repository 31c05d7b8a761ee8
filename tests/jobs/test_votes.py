"""Votes: the file survives crashes, the page lets nobody else in and gives nothing away, the counting is worked by hand."""

from __future__ import annotations

import http.client
import json
import random
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from understudy.cli import main
from understudy.errors import MediaError, OptionError
from understudy.jobs.compare import compare
from understudy.jobs.options_compare import CompareOptions
from understudy.jobs.votes import Vote, VotesReport, append_vote, count_votes, rank, read_votes
from understudy.jobs.votes_ask import AskReport, Session
from understudy.jobs.votes_page import VotesPage
from understudy.media.clip import open_clip
from understudy.metrics.true_skill import Rating, rate


@pytest.fixture
def clips(tmp_path) -> dict[str, Path]:
    """Three files on show; the page does not look into them."""
    files = {}
    for name in ("one", "other", "truth"):
        files[name] = tmp_path / f"{name}.mp4"
        files[name].write_bytes(name.encode() * 100)
    return files


def ask(page: VotesPage, path: str, *, body: dict | None = None, headers: dict | None = None, root: str | None = None):
    """Status, headers and body of a request to the page; ``root`` replaces its token."""
    parts = urlsplit(page.address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=10)
    kind = {"Content-Type": "application/json"} if body is not None else {}
    connection.request(
        "GET" if body is None else "POST",
        (parts.path if root is None else root) + path,
        None if body is None else json.dumps(body),
        {**kind, **(headers or {})},
    )
    reply = connection.getresponse()
    data = reply.read()
    connection.close()
    return reply.status, dict(reply.getheaders()), data


def test_a_whole_session_shows_every_pair_blind_and_keeps_every_vote(clips, tmp_path):
    file = tmp_path / "votes.jsonl"
    session = Session(clips, lambda vote: append_vote(file, vote), rounds=2, voter="me", chance=random.Random(1))
    with VotesPage(session) as page:
        status, headers, html = ask(page, "")
        assert status == 200 and b"Which one looks better?" in html
        assert "default-src 'none'" in headers["Content-Security-Policy"] and b"http" not in html.replace(
            b"<!doctype html>", b""
        )
        shown, words = [], set()
        trial = json.loads(ask(page, "trial")[2])
        assert trial == json.loads(ask(page, "trial")[2]), "asking again without voting shows the same"
        while not trial["done"]:
            assert not {"one", "other", "truth"} & set(map(str, trial.values())), "nothing tells whose clip it is"
            sides = tuple(ask(page, f"clip/{trial[side]}")[2].decode() for side in ("left", "right"))
            shown.append(tuple(text[: len(text) // 100] for text in sides))
            assert not words & {trial["left"], trial["right"]}, "addresses are never used twice"
            words |= {trial["left"], trial["right"]}
            answer = json.loads(ask(page, "vote", body={"trial": trial["trial"], "choice": "left"})[2])
            assert answer["taken"]
            trial = answer["next"]
        assert session.done.is_set()
    votes, torn = read_votes(file)
    assert not torn and [(vote.left, vote.right) for vote in votes] == shown
    assert {frozenset(pair) for pair in shown[:3]} == {frozenset(pair) for pair in shown[3:]} and len(shown) == 6
    assert all(vote.voter == "me" and len(vote.files[vote.left]) == 64 for vote in votes)


def test_strangers_and_nonsense_are_refused(clips):
    session = Session(clips, lambda vote: None)
    with VotesPage(session) as page:
        trial = json.loads(ask(page, "trial")[2])
        port = urlsplit(page.address).port
        assert page.address.startswith("http://127.0.0.1:")
        assert ask(page, "", root="/")[0] == 404 and ask(page, "trial", root="/guess/")[0] == 404
        assert ask(page, "", headers={"Host": f"evil.example:{port}"})[0] == 404, "another name for this machine"
        assert ask(page, "", headers={"Host": f"localhost:{port}"})[0] == 200
        for path in (
            "clip/../../etc/passwd",
            "clip/one.mp4",
            "clip/%2e%2e",
            "clip/one",
            "clip/",
            "x",
            "clip/a/b",
            "votes.jsonl",
        ):
            assert ask(page, path)[0] == 404, path
        good = {"trial": trial["trial"], "choice": "left"}
        assert ask(page, "vote", body=good, headers={"Content-Type": "text/plain"})[0] == 400, "a form from elsewhere"
        assert ask(page, "vote", body={"choice": "left"})[0] == 400
        assert ask(page, "vote", body={**good, "trial": "x" * 3000})[0] == 400
        for wrong in ({**good, "trial": "other"}, {**good, "choice": "both"}):
            assert json.loads(ask(page, "vote", body=wrong)[2])["taken"] is False
        assert json.loads(ask(page, "vote", body=good)[2])["taken"] is True
        assert json.loads(ask(page, "vote", body=good)[2])["taken"] is False, "a pair counts once"
        with pytest.raises(OptionError, match="--port"):
            VotesPage(session, port or 0)


def test_parts_of_a_movie_are_served(clips):
    session = Session(clips, lambda vote: None)
    with VotesPage(session) as page:
        word = json.loads(ask(page, "trial")[2])["left"]
        whole = ask(page, f"clip/{word}")[2]
        for wish, part in (("bytes=2-5", whole[2:6]), ("bytes=290-", whole[290:]), ("bytes=-7", whole[-7:])):
            status, headers, data = ask(page, f"clip/{word}", headers={"Range": wish})
            assert (status, data) == (206, part) and headers["Content-Range"].endswith(f"/{len(whole)}")
        assert ask(page, f"clip/{word}", headers={"Range": "bytes=99999-"})[0] == 416
        assert ask(page, f"clip/{word}", headers={"Range": "bytes=-"})[0] == 200


def test_with_real_footage_only_pairs_that_have_an_answer_are_shown(clips):
    kept: list[Vote] = []
    session = Session(clips, kept.append, real=("truth",))
    assert session.asked == 2 and session.question == "Which one is real?"
    while not session.done.is_set():
        session.vote(session.trial()["trial"], "draw")
    assert all(vote.real == ("truth",) and "truth" in (vote.left, vote.right) for vote in kept)
    assert Session({"truth": clips["truth"], "also": clips["one"]}, kept.append, real=("truth", "also")).asked == 0


def test_counting_follows_the_votes_in_order():
    votes = [Vote(left="a", right="b", choice="left"), Vote(left="b", right="a", choice="draw")]
    first = rate([Rating(), Rating()], [1, 2])
    second = rate([first[1], first[0]], [1, 1])
    found = {one.name: one for one in rank(votes)}
    assert (found["a"].rating, found["b"].rating) == (second[1], second[0])
    assert [one.name for one in rank(votes)] == ["a", "b"]
    assert (found["a"].votes, found["a"].won, found["a"].drawn) == (2, 1, 1)
    assert found["a"].fooled is None, "nobody was asked which one is real"


def test_fool_rates_are_counted_where_one_of_two_is_real(tmp_path):
    """a is taken for real in 3 of 4, and once nobody could tell: 3.5 of 5."""
    votes = [Vote(left="a", right="real", choice="left", real=("real",))] * 3
    votes += [Vote(left="real", right="a", choice="left", real=("real",))]
    votes += [Vote(left="real", right="a", choice="draw", real=("real",))]
    votes += [Vote(left="a", right="b", choice="left")]
    file = tmp_path / "votes.jsonl"
    for vote in votes:
        append_vote(file, vote)
    report = count_votes(file)
    found = {one.name: one for one in report.contenders}
    assert (
        found["a"].fooled is not None and found["a"].fooled.rate == pytest.approx(0.7) and found["a"].fooled.trials == 5
    )
    assert found["real"].real and found["real"].fooled is None and found["b"].fooled is None
    assert report.fooled is not None and report.fooled.rate == pytest.approx(0.7)


def test_a_crash_costs_one_line_at_most(tmp_path):
    file = tmp_path / "votes.jsonl"
    append_vote(file, Vote(left="a", right="b", choice="left"))
    with file.open("a") as text:
        text.write('{"left": "a", "ri')
    assert len(read_votes(file)[0]) == 1 and read_votes(file)[1] == (2,)
    append_vote(file, Vote(left="b", right="a", choice="right"))
    assert [vote.choice for vote in read_votes(file)[0]] == ["left", "right"] and count_votes(file).torn == (2,)
    file.write_text('{"left": "a", "right": "b", "choice": "left"}\n{"left": "a", "right": "b", "choice": "both"}\n')
    with pytest.raises(MediaError, match="line 2 is no vote"):
        count_votes(file)
    with pytest.raises(MediaError, match="cannot be read"):
        count_votes(tmp_path / "absent.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(MediaError, match="no votes yet"):
        count_votes(tmp_path / "empty.jsonl")


def test_the_whole_job_from_clips_to_ratings(tmp_path, drawn_clip, capsys):
    """Two clips of different sizes and depths become two movies that nothing but their looks tells apart."""
    import OpenImageIO as oiio  # noqa: N813

    for name, value, size in (("a", 40, (64, 48)), ("b", 200, (80, 60))):
        for number in (1, 2, 3):
            out = oiio.ImageOutput.create(str(tmp_path / f"{name}.{number:04d}.png"))
            assert out.open(str(tmp_path / f"{name}.{number:04d}.png"), oiio.ImageSpec(*size, 3, "uint8"))
            out.write_image(np.full((size[1], size[0], 3), value, np.uint8))
            out.close()
    file = tmp_path / "votes.jsonl"
    addresses, seen = [], {}

    def person(address: str) -> None:
        page = type("Page", (), {"address": address})
        trial = json.loads(ask(page, "trial")[2])  # pyright: ignore[reportArgumentType]
        for side in ("left", "right"):
            (tmp_path / f"seen_{side}.mp4").write_bytes(ask(page, f"clip/{trial[side]}")[2])  # pyright: ignore[reportArgumentType]
            with open_clip(tmp_path / f"seen_{side}.mp4") as clip:
                seen[side] = (clip.size, len(clip), clip.rate, round(float(clip.frame(2).view().mean()), 2))
        bright = max(seen, key=lambda side: seen[side][3])
        ask(page, "vote", body={"trial": trial["trial"], "choice": bright})  # pyright: ignore[reportArgumentType]

    def progress(stage: str, done: int, total: int | None) -> None:
        if stage.startswith("vote at ") and not addresses:
            addresses.append(stage.removeprefix("vote at "))
            threading.Thread(target=person, args=(addresses[0],), daemon=True).start()

    clips = (str(tmp_path / "a.####.png"), str(tmp_path / "b.####.png"))
    report = compare(CompareOptions(clips=clips, vote=True, votes=file), progress)
    assert isinstance(report, AskReport) and report.votes == report.asked == 1 and report.stopped_by == ""
    assert seen["left"][:3] == seen["right"][:3] and seen["left"][0] == (80, 60)
    assert {round(200 / 255, 2), round(40 / 255, 2)} == {seen["left"][3], seen["right"][3]}
    counted = compare(CompareOptions(votes=file))
    assert isinstance(counted, VotesReport) and counted.contenders[0].name == "b"
    assert main(["compare", "--votes", str(file)]) == 0
    assert "29.4 ± 7.2" in capsys.readouterr().out


def test_a_signal_keeps_the_votes_that_were_given(tmp_path, monkeypatch):
    from understudy.jobs import votes_ask

    picture = tmp_path / "a.png"
    import OpenImageIO as oiio  # noqa: N813

    for name in ("a.png", "b.png"):
        out = oiio.ImageOutput.create(str(tmp_path / name))
        assert out.open(str(tmp_path / name), oiio.ImageSpec(32, 32, 3, "uint8"))
        out.write_image(np.zeros((32, 32, 3), np.uint8))
        out.close()

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage.startswith("vote at"):
            raise KeyboardInterrupt("SIGTERM")

    options = CompareOptions(clips=(str(picture), str(tmp_path / "b.png")), vote=True, votes=tmp_path / "v.jsonl")
    report = votes_ask.ask(options, stop)
    assert report.stopped_by == "SIGTERM" and report.votes == 0
