"""The fit of the action-unit model, on drawn meshes whose jaw and brows are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from understudy.errors import DatasetError, OptionError
from understudy.faces.action_units import COUNT, ActionUnit, ActionUnitModel
from understudy.faces.align import mean_mesh
from understudy.faces.topology import LEFT_BROW, LIPS_INNER, RIGHT_BROW
from understudy.jobs.fit_units import FitUnitsOptions, Measured, fit, fit_units, measure_people


def drawn(people: int, each: int, seed: int, *, held_back: bool) -> Measured:
    """People with faces of their own, who drop the jaw and lower the brows; their first picture is at rest."""
    random = np.random.default_rng(seed)
    units = np.zeros((people, each, COUNT), np.float32)
    for unit in (ActionUnit.AU26, ActionUnit.AU04):
        units[:, 1:, unit] = random.uniform(0, 5, (people, each - 1)) * (random.random((people, each - 1)) < 0.6)
    meshes = np.tile(mean_mesh(), (people, each, 1, 1))
    below = (mean_mesh()[:, 1] > mean_mesh()[LIPS_INNER, 1].mean()) & (np.abs(mean_mesh()[:, 0]) < 0.25)
    meshes[:, :, below, 1] += 0.02 * units[..., [ActionUnit.AU26]]
    brows = np.concatenate([LEFT_BROW, RIGHT_BROW])
    meshes[:, :, brows, 1] += 0.004 * units[..., [ActionUnit.AU04]]
    meshes += random.normal(0, 0.004, (people, 1, 478, 3)) + random.normal(0, 0.001, meshes.shape)
    pixels = (200 * meshes + 250).reshape(-1, 478, 3).astype(np.float32)
    count = people * each
    return Measured(
        person=np.repeat([f"{'held' if held_back else 'p'}{number}" for number in range(people)], each),
        picture=np.tile(np.arange(each), people),
        held_back=np.full(count, held_back),
        meshes=pixels,
        older=pixels + random.normal(0, 0.2, pixels.shape).astype(np.float32),
        shapes=random.uniform(0, 0.1, (count, 52)).astype(np.float32),
        score=np.ones(count, np.float32),
        units=units.reshape(-1, COUNT),
    )


def joined(first: Measured, second: Measured) -> dict[str, np.ndarray]:
    return {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in first.__dataclass_fields__}


@pytest.fixture(scope="module")
def measured() -> dict[str, np.ndarray]:
    return joined(drawn(10, 12, 0, held_back=False), drawn(3, 12, 1, held_back=True))


def test_what_moves_is_learnt_and_reported_on_people_held_back(measured):
    weights, card = fit(Measured(**measured))
    held = card["held back"]
    assert held["people"] == ["held0", "held1", "held2"] and held["pictures"] == 36
    relative = held["by input"]["landmarks"]["relative to the face at rest"]["units"]
    for name in ("AU26", "AU04"):
        assert relative[name]["correlation"] > 0.95
        assert relative[name]["error"] < 0.4 * relative[name]["lazy_error"]
    # What nobody ever does stays at rest.
    assert relative["AU12"]["error"] < 0.05
    model = ActionUnitModel(weights)
    first = measured["meshes"][:1]
    np.testing.assert_array_equal(model.measure(first, rest=model.rest_of(first)), 0)


def test_the_job_writes_a_model_and_its_card(measured, tmp_path):
    kept = tmp_path / "measured.npz"
    np.savez(kept, **measured)
    options = FitUnitsOptions(people=Path(), held_back=Path(), output=tmp_path / "units.safetensors", measured=kept)
    report = fit_units(options)
    from safetensors.numpy import load

    assert ActionUnitModel(load(report.model.read_bytes())).measure(measured["meshes"][:2]).shape == (2, COUNT)
    assert (tmp_path / "units.card.json").exists() and report.card["training"]["people"] == 10
    with pytest.raises(OptionError, match="must end in .safetensors"):
        fit_units(FitUnitsOptions(people=Path(), held_back=Path(), output=tmp_path / "units.npz"))


def test_a_folder_without_people_is_a_sentence(tmp_path):
    from understudy.errors import WeightsError
    from understudy.faces.models import find_models

    try:
        models = find_models()
    except WeightsError as error:
        pytest.skip(f"Needs the face models: {error}")
    with pytest.raises(DatasetError, match="holds no people"):
        measure_people(tmp_path, models, older_models=models, held_back=False)
