from __future__ import annotations

import pytest

from understudy.errors import ConsentError, OptionError
from understudy.jobs.project import add_identity, find_project, new_project, require_consent
from understudy.provenance.cast import Consent


def test_a_new_project_is_found_from_anywhere_inside(tmp_path, monkeypatch):
    project = new_project(tmp_path / "show", identities=["anna"])
    assert {folder.name for folder in project.root.iterdir() if folder.is_dir()} == {
        "footage",
        "faces",
        "runs",
        "renders",
    }
    inside = project.footage / "day1"
    inside.mkdir()
    assert find_project(inside) == project
    monkeypatch.chdir(inside)
    assert find_project() == project
    assert project.faces("anna") == project.root / "faces" / "anna"
    assert project.gathered() == []


def test_outside_a_project(tmp_path):
    assert find_project(tmp_path, required=False) is None
    with pytest.raises(OptionError, match="understudy new"):
        find_project(tmp_path)
    with pytest.raises(ConsentError, match="--consent FILE"):
        require_consent("anna", "train", project=None)


def test_what_lies_in_the_folder_stays(tmp_path):
    (tmp_path / "show" / "footage").mkdir(parents=True)
    (tmp_path / "show" / "footage" / "a.mov").write_bytes(b"x")
    new_project(tmp_path / "show")
    assert (tmp_path / "show" / "footage" / "a.mov").exists()
    with pytest.raises(OptionError, match="is a project already"):
        new_project(tmp_path / "show")
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="is a file"):
        new_project(tmp_path / "file")
    with pytest.raises(OptionError, match="cannot name an identity"):
        new_project(tmp_path / "other", identities=["../anna"])
    assert not (tmp_path / "other").exists()


def test_consent_comes_from_the_cast_or_a_file(tmp_path):
    project = new_project(tmp_path / "show", identities={"anna": None})
    with pytest.raises(ConsentError, match="does not say who granted"):
        require_consent("anna", "train", project=project)
    file = tmp_path / "consent.toml"
    file.write_text('granted_by = "Anna"\nscope = "train"\n')
    assert require_consent("anna", "train", project=project, consent=file).granted_by == "Anna"
    assert add_identity(project, "robin", Consent(synthetic=True)).synthetic
    assert require_consent("robin", "render", project=project).synthetic
