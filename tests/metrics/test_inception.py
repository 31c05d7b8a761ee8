"""Inception's form, held against what is published of it, and what stands in where its weights are missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from understudy.errors import WeightsError
from understudy.metrics import features, inception
from understudy.metrics.evaluator import load_evaluator
from understudy.provenance import weights as table


@pytest.fixture(scope="module")
def network() -> inception.InceptionV3:
    torch.manual_seed(0)
    return inception.InceptionV3().eval()


def test_it_has_the_published_number_of_parameters(network):
    """21 785 568 without the classes (as published for 1000 of them: 23 834 568 in all), and 2049 for each class."""
    assert sum(parameter.numel() for parameter in network.parameters()) == 21_785_568 + 2049 * 1008
    tensors = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    assert 0 < table.get("inception-fid").num_bytes - tensors < 200_000, "the file is the tensors and their names"


def test_names_and_shapes_are_the_published_ones(network):
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_5b.branch5x5_2.bn.running_var"] == (64,)
    assert shapes["Mixed_6c.branch7x7dbl_4.conv.weight"] == (160, 160, 7, 1)
    assert shapes["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert shapes["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
    assert shapes["fc.weight"] == (1008, 2048)


def test_sizes_on_the_way_are_the_published_ones(network):
    sizes = {}
    hooks = [
        block.register_forward_hook(lambda _, __, result, name=name: sizes.update({name: tuple(result.shape[1:])}))
        for name, block in network.named_children()
    ]
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 299, 299) * 2 - 1).shape == (1, 2048)
    for hook in hooks:
        hook.remove()
    assert sizes["Conv2d_2b_3x3"] == (64, 147, 147)
    assert sizes["Mixed_5d"] == (288, 35, 35)
    assert sizes["Mixed_6e"] == (768, 17, 17)
    assert sizes["Mixed_7c"] == (2048, 8, 8)


def test_means_at_the_border_count_what_is_inside():
    block = inception.Mixed({}, [("mean",), ("largest",)])
    made = block(torch.arange(9.0).reshape(1, 1, 3, 3))[0]
    assert made[0, 0, 0] == (0 + 1 + 3 + 4) / 4
    assert made[0, 1, 1] == 4
    assert made[1, 0, 0] == 4


@pytest.fixture
def no_models(monkeypatch, tmp_path):
    monkeypatch.delenv("UNDERSTUDY_MODELS", raising=False)
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    load_evaluator.cache_clear()
    yield tmp_path
    load_evaluator.cache_clear()


def test_the_published_file_is_read_and_a_wrong_one_refused(no_models, monkeypatch, network):
    folder = no_models / "models"
    folder.mkdir()
    monkeypatch.setattr(table, "_verify", lambda weight, path: None)  # the real file's checksum cannot be made
    torch.save(network.state_dict(), folder / inception.WEIGHTS)
    loaded, sentence = features.feature_network()
    assert sentence is None and isinstance(loaded, inception.Inception)
    pictures = np.random.default_rng(0).random((2, 40, 40, 3)).astype(np.float32)
    described = loaded.features(pictures)
    assert described.shape == (2, 2048) and np.isfinite(described).all()
    likely = loaded.probabilities(pictures)
    np.testing.assert_allclose(likely.sum(axis=1), 1, rtol=1e-5)
    by_hand = np.exp(described.astype(np.float64) @ network.fc.weight.detach().numpy().T)
    np.testing.assert_allclose(likely, by_hand / by_hand.sum(axis=1, keepdims=True), rtol=1e-3)
    torch.save({"fc.weight": torch.zeros(2)}, folder / inception.WEIGHTS)
    with pytest.raises(WeightsError, match="Inception"):
        inception.Inception()


def test_without_its_weights_the_substitute_is_named(no_models, monkeypatch):
    found, sentence = features.feature_network()
    assert found is None and sentence is not None and "UNDERSTUDY_MODELS" in sentence
    monkeypatch.setattr(features.identity, "missing_identity", lambda: None)
    found, sentence = features.feature_network()
    assert found is not None and "not Inception" in found.name and sentence is not None
    assert features.feature_network(without={"mobilefacenet"})[0] is None
