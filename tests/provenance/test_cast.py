from __future__ import annotations

from datetime import date

import pytest

from understudy.errors import ConsentError, OptionError
from understudy.provenance.cast import Cast, Consent, append_identity, load_consent, nearest_names, new_cast

ANNA = Consent(granted_by='Anna "A" Example', scope=("train", "render"), until=date(2027, 12, 31), document="a\\b.pdf")


def test_a_written_cast_reads_back(tmp_path):
    cast = new_cast(tmp_path / "cast.toml", {"anna": ANNA, "robin": Consent(synthetic=True), "ben": None})
    assert list(cast.identities) == ["anna", "robin", "ben"]
    read = cast.identities["anna"]
    assert (read.granted_by, read.scope, read.until, read.document) == (
        ANNA.granted_by,
        ANNA.scope,
        ANNA.until,
        ANNA.document,
    )
    assert cast.require("anna", "train", today=date(2027, 12, 31)).granted_by == ANNA.granted_by
    assert cast.require("robin", "publish").synthetic


def test_what_people_wrote_survives_a_new_identity(tmp_path):
    path = tmp_path / "cast.toml"
    new_cast(path, {"anna": ANNA})
    path.write_text(path.read_text() + "# the lawyer says: ask again in May\n")
    before = path.read_text()
    cast = append_identity(path, "robin", Consent(synthetic=True))
    assert path.read_text().startswith(before)
    assert set(cast.identities) == {"anna", "robin"}
    with pytest.raises(OptionError, match="names 'robin' already"):
        append_identity(path, "robin")


@pytest.mark.parametrize(
    ("identity", "scope", "words"),
    [
        ("anna", "publish", "does not allow to publish 'anna'.*'train' and 'render'"),
        ("ben", "train", "does not say who granted consent for 'ben'"),
        ("old", "train", "ended on 2020-01-01"),
        ("empty", "train", "scope holds nothing"),
        ("ana", "train", "Did you mean 'anna'"),
        ("zzz", "train", "The cast is 'anna', 'ben'"),
    ],
)
def test_refusals_are_sentences(tmp_path, identity, scope, words):
    cast = new_cast(
        tmp_path / "cast.toml",
        {
            "anna": ANNA,
            "ben": None,
            "old": Consent(granted_by="x", scope=("train",), until=date(2020, 1, 1)),
            "empty": Consent(granted_by="x"),
        },
    )
    with pytest.raises(ConsentError, match=words):
        cast.require(identity, scope, today=date(2026, 1, 1))


def test_an_empty_cast_says_what_to_add(tmp_path):
    with pytest.raises(ConsentError, match=r"names nobody yet: add \[identities.anna\]"):
        new_cast(tmp_path / "cast.toml").require("anna", "train")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[identities.anna]\ngrantedby = 'x'", "did you mean granted_by"),
        ("[identities.anna]\nscope = ['sell']", "scope must be a list of 'train', 'render' and 'publish'"),
        ("[identities.anna]\nuntil = 'soon'", "until must be a day"),
        ("[identities.anna]\nsynthetic = 'yes'", "synthetic must be true or false"),
        ("[identities.anna]\ngranted_by = 3", "must be texts in quotes"),
        ("[anna]\nsynthetic = true", r"written as \[identities.anna\]"),
        ("[identities.'a b']\nsynthetic = true", "cannot name an identity"),
        ("identities = 3", "must be tables"),
        ("[identities.anna\n", "is not valid TOML: .*line 1"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path, text, words):
    path = tmp_path / "cast.toml"
    path.write_text(text)
    with pytest.raises(ConsentError, match=words) as refusal:
        Cast.load(path)
    assert str(path) in str(refusal.value)


def test_dates_may_be_written_either_way(tmp_path):
    path = tmp_path / "cast.toml"
    path.write_text(
        "[identities.a]\nuntil = 2027-01-02\n[identities.b]\nuntil = '2027-01-02'\n"
        "[identities.c]\nuntil = 2027-01-02T10:00:00\n"
    )
    assert {consent.until for consent in Cast.load(path).identities.values()} == {date(2027, 1, 2)}


def test_a_single_consent_file(tmp_path):
    path = tmp_path / "anna.toml"
    path.write_text('identity = "anna"\ngranted_by = "Anna"\nscope = ["render"]\n')
    assert load_consent(path, identity="anna").require("anna", "render").granted_by == "Anna"
    assert load_consent(path).granted_by == "Anna"
    with pytest.raises(ConsentError, match="the consent of 'anna', not of 'ben'"):
        load_consent(path, identity="ben")
    with pytest.raises(ConsentError, match="does not exist"):
        load_consent(tmp_path / "none.toml")


def test_a_cast_serves_as_consent_file(tmp_path):
    new_cast(tmp_path / "cast.toml", {"anna": ANNA, "robin": Consent(synthetic=True)})
    assert load_consent(tmp_path / "cast.toml", identity="robin").synthetic
    with pytest.raises(ConsentError, match="say which one"):
        load_consent(tmp_path / "cast.toml")


def test_nearest_names_ignore_case():
    assert nearest_names("ANNA", ["ben", "Anna", "anne"])[0] == "Anna"
    assert nearest_names("xyz", ["anna"]) == []
