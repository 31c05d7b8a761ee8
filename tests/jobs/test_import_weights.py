"""Published weights to checkpoints, by the command's job."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from understudy.checkpoint import read_card
from understudy.errors import CheckpointError, OptionError
from understudy.jobs.import_weights import ImportWeightsOptions, import_weights


def test_a_published_file_becomes_a_checkpoint_with_its_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.families.warping.network import Generator, WarpingSettings

    monkeypatch.chdir(tmp_path)
    torch.save(Generator(WarpingSettings(width=4)).state_dict(), tmp_path / "30_net_gen.pth")
    report = import_weights(ImportWeightsOptions(file=tmp_path / "30_net_gen.pth", family="warping"))
    assert report.checkpoint == Path("30_net_gen.safetensors")
    assert "MIT" in report.licence
    assert read_card(report.checkpoint).family == "warping"
    assert (tmp_path / "30_net_gen.safetensors.record.json").is_file()


def test_what_is_not_published_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no weights of it are published; there are regional_inversion, warping"):
        import_weights(ImportWeightsOptions(file=tmp_path / "x.pt", family="comb"))
    with pytest.raises(CheckpointError, match="does not exist"):
        import_weights(ImportWeightsOptions(file=tmp_path / "x.pt", family="regional_inversion"))
