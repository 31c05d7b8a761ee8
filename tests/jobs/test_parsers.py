"""Which parser ``--parser`` means, in every command that reads regions."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.errors import CheckpointError, OptionError, WeightsError
from understudy.families.regional_inversion import parsing
from understudy.jobs.edit import EditOptions, edit_regions
from understudy.jobs.parsers import named_parser, parser_path
from understudy.jobs.shot import SwapOptions, swap_shot

from .test_edit import CONSENT, Editor, Finder, still


def test_names_become_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs" / "mine" / "model.safetensors"
    run.parent.mkdir(parents=True)
    run.write_bytes(parsing.PACKAGED.read_bytes())
    run.with_suffix(".card.json").write_bytes(parsing.PACKAGED.with_suffix(".card.json").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert parser_path(None, None) is None
    assert parser_path("mine", None) == Path("runs/mine/model.safetensors")
    assert named_parser("mine", None, device="cpu").source == Path("runs/mine/model.safetensors")
    assert named_parser(None, None, device="cpu").source == parsing.PACKAGED
    with pytest.raises(OptionError, match="--parser nobody: there is no such checkpoint"):
        parser_path("nobody", None)


def test_the_public_one_is_looked_for_where_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(tmp_path))
    with pytest.raises(WeightsError, match="79999_iter.pth"):
        parser_path("public", None)
    (tmp_path / "79999_iter.pth").write_bytes(b"not these")
    with pytest.raises((CheckpointError, WeightsError)):
        named_parser("public", None, device="cpu")


def test_editing_opens_the_one_that_is_named(tmp_path: Path) -> None:
    options = EditOptions(
        still=str(still(tmp_path / "a.png")), optimise=True, output=tmp_path / "b.png", parser="nobody"
    )
    with pytest.raises(OptionError, match="--parser nobody"):
        edit_regions(options, editor=Editor(), finder=Finder())


def test_a_swap_that_goes_by_no_regions_refuses_it(tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"x")
    consent = tmp_path / "consent.toml"
    consent.write_text(CONSENT)
    options = SwapOptions(
        plate=str(still(tmp_path / "a.png")), identity="a", method="comb", run=str(model), consent=consent, parser="x"
    )
    with pytest.raises(OptionError, match="goes by no regions"):
        swap_shot(options, finder=Finder())
