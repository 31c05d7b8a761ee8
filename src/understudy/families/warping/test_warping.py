"""The warping network against the paper's sizes and equations, its phases, its answers, and the published weights' layout."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy import families
from understudy.blocks.held import held
from understudy.checkpoint import ModelCard, read_card, save_checkpoint
from understudy.dataset.batches import Portion
from understudy.errors import CheckpointError, DatasetError, OptionError
from understudy.faces.align import OVAL_CENTRE, mean_mesh
from understudy.faces.boundary import MOUTH, load_topology, opening_masks
from understudy.families.warping.losses import (
    LossSettings,
    critic_loss,
    disparity,
    generator_loss,
    gradient_penalty,
    pair_loss,
    point_loss,
    target_signals,
    without,
)
from understudy.families.warping.network import (
    Critic,
    Generated,
    Generator,
    WarpingNetwork,
    WarpingSettings,
    warp,
)
from understudy.families.warping.official import convert_official, load_official, load_official_critic
from understudy.families.warping.perform import WarpingAnimator
from understudy.families.warping.phases import WarpingTrainable
from understudy.families.warping.recipes import EMOTIONNET, RAFD, SMILE
from understudy.families.warping.start import load_generator, settings_of, start
from understudy.family import Drive, Task, Trainable

FAMILY = families.get("warping")
TINY = WarpingSettings(width=4, critic_width=2, size=64, quick_start=True)
EXPRESSIVE = replace(TINY, expressions=SMILE)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def portion(settings: WarpingSettings = TINY, batch: int = 3, seed: int = 0, *, paired: bool = True) -> Portion:
    numbers = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.rand(*shape, generator=numbers)  # noqa: E731
    inputs = draw(batch, 3, settings.size, settings.size)
    signals = draw(2, batch, settings.signals)
    if not settings.by_units:
        signals = functional.one_hot(signals.argmax(-1), settings.signals).float()
    return Portion(
        identity="people",
        inputs=inputs,
        targets=inputs.roll(1, 3) if paired else inputs,
        weights=draw(batch, 1, settings.size, settings.size),
        signals=signals[0],
        target_signals=signals[1],
    )


def made_of(pictures: Tensor) -> Generated:
    return Generated(refined=pictures, warped=pictures, flow=torch.zeros_like(pictures[:, :2]))


# -- the network ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "signals", "parameters", "millions"),
    [
        ("paper-rafd", 8, 2_385_536, "2.39"),
        ("paper-emotionnet", 26, 2_441_984, "2.44"),
        ("paper", 17, 9_480_576, "9.48"),
        ("code", 17, 9_480_576, "9.48"),
    ],
)
def test_parameter_counts_are_the_papers(preset: str, signals: int, parameters: int, millions: str) -> None:
    """Section 4.1 gives 2.7 to 9.4 million."""
    settings = settings_of(FAMILY.recipe(preset).network)
    with torch.device("meta"):
        generator = Generator(settings)
    assert settings.signals == signals
    assert count(generator) == parameters
    assert f"{parameters / 1e6:.2f}" == millions


def test_two_halvings_are_more_than_the_paper_counted() -> None:
    with torch.device("meta"):
        assert count(Generator(WarpingSettings(refine_halvings=2))) > 14_000_000
        assert count(Generator(WarpingSettings(width=64, expressions=RAFD, refine_halvings=2))) > 3_500_000


def test_shapes_at_full_size() -> None:
    settings = WarpingSettings(width=64, expressions=EMOTIONNET)
    with torch.device("meta"):
        pictures, signals = torch.zeros(2, 3, 128, 128), torch.zeros(2, 26)
        generator, critic = Generator(settings), Critic(settings, realism=True)
        assert generator.encoding(torch.zeros(2, 29, 128, 128)).shape == (2, 128, 32, 32)
        assert generator.motion(pictures, signals).shape == (2, 2, 128, 128)
        assert generator.refine[0](pictures).shape == (2, 64, 64, 64)
        assert generator.refined(pictures).shape == (2, 3, 128, 128)
        features = critic.features(pictures)
        assert [tuple(f.shape[1:]) for f in features] == [
            *((64, 64, 64), (128, 32, 32), (256, 16, 16), (256, 8, 8), (256, 4, 4), (256, 2, 2))
        ]
        assert critic.realism(features[-1]).shape == (2, 1, 2, 2)
        assert critic.signals(features[-1]).shape == (2, 26)


def test_two_halvings_work() -> None:
    generator = Generator(replace(TINY, refine_halvings=2))
    assert generator(torch.zeros(1, 3, 64, 64), torch.zeros(1, 17)).refined.shape == (1, 3, 64, 64)


def test_generator_has_no_biases_but_the_normalisations() -> None:
    for name, module in Generator(TINY).named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            assert module.bias is None, name
    assert all(layer.bias is not None for layer in Critic(TINY, realism=True).model if isinstance(layer, nn.Conv2d)), (
        "the critics have"
    )


def test_refinement_does_not_normalise() -> None:
    assert not [m for m in Generator(TINY).refine.modules() if isinstance(m, nn.InstanceNorm2d)]


def test_warp_moves_by_whole_pixels_with_corners_aligned() -> None:
    """2 is the way from the first pixel's centre to the last one's."""
    picture = torch.rand(1, 3, 9, 9)
    offsets = torch.zeros(1, 2, 9, 9)
    offsets[:, 0] = 2 * 2 / 8
    offsets[:, 1] = -2 * 1 / 8
    moved = warp(picture, offsets)
    torch.testing.assert_close(moved[:, :, 1:, :-2], picture[:, :, :-1, 2:])
    assert not moved[:, :, 0].any() and not moved[:, :, :, -1].any(), "outside lies 0"


def test_coefficient_bounds_the_motion() -> None:
    generator = Generator(replace(TINY, coefficient=0.1, quick_start=False))
    picture = torch.rand(1, 3, 64, 64)
    flow = torch.zeros(1, 2, 64, 64)
    flow[:, 0] = 1
    expected = warp(picture, torch.cat([torch.full((1, 1, 64, 64), 0.2), torch.zeros(1, 1, 64, 64)], 1))
    torch.testing.assert_close(generator.carry(picture, flow), expected)
    assert float(generator.motion(100 * picture, torch.ones(1, 17)).detach().abs().max()) <= 1


def test_strength_scales_the_flow_before_the_refinement() -> None:
    torch.manual_seed(0)
    generator = Generator(replace(TINY, quick_start=False)).requires_grad_(False)
    picture, signals = torch.rand(1, 3, 64, 64) * 2 - 1, torch.rand(1, 17)
    whole, half = generator(picture, signals), generator(picture, signals, 0.5)
    torch.testing.assert_close(half.flow, whole.flow * 0.5)
    torch.testing.assert_close(half.warped, generator.carry(picture, whole.flow * 0.5))
    torch.testing.assert_close(half.refined, generator.refined(half.warped))


def test_untrained_quick_network_answers_with_its_picture() -> None:
    network = WarpingNetwork(TINY)
    pictures = torch.rand(2, 3, 64, 64) * 2 - 1
    made = network.generator(pictures, torch.rand(2, 17))
    torch.testing.assert_close(made.refined, pictures, atol=1e-4, rtol=0)
    assert not made.flow.any()


def test_a_masked_refinement_adds_through_its_mask_and_sees_the_motion() -> None:
    torch.manual_seed(0)
    generator = Generator(replace(TINY, masked=True)).requires_grad_(False)
    picture, flow = torch.rand(1, 3, 64, 64) - 0.5, torch.rand(1, 2, 64, 64) - 0.5
    answer = generator.refine(torch.cat([picture, flow], 1))
    expected = picture + answer[:, :3] / (1 + torch.exp(2 - 4 * torch.tanh(answer[:, 3:] / 4)))
    torch.testing.assert_close(generator.refined(picture, flow), expected.clamp(-1, 1))
    still = generator.refined(picture)
    torch.testing.assert_close(still, generator.refined(picture, torch.zeros_like(flow)))
    assert not torch.allclose(still, generator.refined(picture, flow)), "what is hidden shows in the motion"


def test_paint_tells_the_motion_nothing_through_what_it_sees() -> None:
    """The motion learns from where it moves pixels to, not from what the refinement makes of it."""
    torch.manual_seed(0)
    generator = Generator(replace(TINY, masked=True))
    flow = torch.zeros(1, 2, 64, 64, requires_grad=True)
    generator.refined(torch.rand(1, 3, 64, 64), flow).sum().backward()
    assert flow.grad is None and trained(generator.refine)


def test_a_leak_lets_places_learn_that_stand_still() -> None:
    """Where the last features are below zero throughout, the motion is nothing; only with a leak can it become something."""
    torch.manual_seed(0)
    for leak, learns in ((0.0, False), (0.1, True)):
        generator = Generator(replace(TINY, leak=leak))
        with torch.no_grad():
            generator.flow_pred[1].bias.fill_(-20)  # type: ignore[union-attr]
        flow = generator.motion(torch.rand(1, 3, 64, 64), torch.rand(1, 17))
        flow.sum().backward()
        assert bool(generator.flow_pred[3].weight.grad.any()) == bool(flow.any()) == learns  # type: ignore[union-attr]


def test_a_tiled_signal_only_leaves_a_trace_along_the_borders() -> None:
    """What is the same everywhere instance normalisation takes off: away from the border no signal is left."""
    generator = Generator(replace(TINY, quick_start=False)).requires_grad_(False)
    picture = torch.rand(1, 3, 64, 64)
    first, norm, *_ = generator.encoding
    assert isinstance(first, nn.Conv2d)
    answers = []
    for signal in (0.0, 1.0):
        given = torch.cat([picture, torch.full((1, 17, 64, 64), signal)], 1)
        answers.append(norm(functional.conv2d(given, first.weight, stride=2)))
    torch.testing.assert_close(answers[0], answers[1], atol=1e-4, rtol=0)


def test_modulation_lets_the_signal_in() -> None:
    torch.manual_seed(0)
    generator = WarpingNetwork(replace(TINY, quick_start=False, modulated=True)).generator
    picture, signals = torch.rand(1, 3, 64, 64), torch.rand(1, 17)
    plain = Generator(replace(TINY, quick_start=False))
    plain.load_state_dict({name: value for name, value in generator.state_dict().items() if "modulation" not in name})
    # It begins at nothing.
    torch.testing.assert_close(generator.motion(picture, signals), plain.motion(picture, signals))
    generator.motion(picture, signals).square().sum().backward()
    assert len(generator.modulation) == 6
    assert all(bool(layer.weight.grad.any()) for layer in generator.modulation)  # type: ignore[union-attr]


def test_published_weights_begin_at_002() -> None:
    torch.manual_seed(0)
    weight = WarpingNetwork(WarpingSettings(width=16, critic_width=8)).generator.encoding[3].weight
    assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.05)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 1},
        {"size": 100},
        {"refine_halvings": 3},
        {"coefficient": 0.0},
        {"masked": True},
        {"leak": 1.0},
        {"expressions": ("smile",)},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="warping"):
        WarpingSettings(**wrong)  # type: ignore[arg-type]


# -- the equations --------------------------------------------------------------------------------------------------------


class Flat(Critic):
    """A critic whose realism is ``slope`` times the sum of the picture, on one place; its signals are the mean of each channel."""

    def __init__(self, slope: float, settings: WarpingSettings = TINY) -> None:
        super().__init__(settings, realism=True)
        self.slope = slope
        self.settings = settings

    def features(self, pictures: Tensor) -> list[Tensor]:
        return [pictures] * 6

    def realism(self, feature: Tensor) -> Tensor:
        return self.slope * feature.sum((1, 2, 3), keepdim=True)

    def signals(self, feature: Tensor) -> Tensor:
        return feature.mean((2, 3))[:, :1].expand(-1, self.settings.signals)


def test_gradient_penalty_by_hand() -> None:
    """The slope is 0.5 at each of the 3 x 4 x 4 numbers, so its length is 0.5 √48 everywhere."""
    real, made = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    penalty = gradient_penalty(Flat(0.5), real, made, torch.rand(2, 1, 1, 1))
    assert float(penalty.detach() if penalty.requires_grad else penalty) == pytest.approx((0.5 * 48**0.5 - 1) ** 2)


def test_gradient_penalty_is_taken_between_the_pictures_and_trains_the_critic() -> None:
    """A quadratic realism x² has slope 2 Î: the penalty tells where Î lies."""

    class Square(Flat):
        scale: nn.Parameter

        def realism(self, feature: Tensor) -> Tensor:
            return self.scale * feature.square().sum((1, 2, 3), keepdim=True)

    critic = Square(1.0)
    critic.scale = nn.Parameter(torch.tensor(1.0))
    real, made = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    penalty = gradient_penalty(critic, real, made, torch.full((1, 1, 1, 1), 0.25))
    # Î = 0.25 in three places, slope 0.5 in each, length 0.5 √3.
    assert float(penalty.detach()) == pytest.approx((0.5 * 3**0.5 - 1) ** 2, rel=1e-5)
    penalty.backward()
    length = 0.5 * 3**0.5
    assert float(critic.scale.grad) == pytest.approx(2 * (length - 1) * length, rel=1e-4)  # type: ignore[arg-type]


def test_gradient_penalty_of_a_flat_critic_is_finite() -> None:
    critic = Critic(TINY, realism=True)
    nn.init.zeros_(critic.dis_top.weight)  # type: ignore[union-attr]
    penalty = gradient_penalty(critic, torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), torch.rand(1, 1, 1, 1))
    penalty.backward()
    assert float(penalty.detach()) == pytest.approx(1.0, abs=1e-4)
    assert all(bool(p.grad.isfinite().all()) for p in critic.parameters() if p.grad is not None)


def test_critic_loss_by_hand() -> None:
    """Eq. 1, 3 and 4 with realism = sum of the picture and signals = mean of the picture."""
    pictures, made = torch.full((2, 3, 2, 2), 0.5), torch.full((2, 3, 2, 2), 0.25)
    signals = torch.full((2, 17), 0.1)
    weights = LossSettings(adversarial=2.0, drive=3.0)
    total, parts = critic_loss((Flat(1.0), Flat(0.0)), pictures, signals, made, torch.rand(2, 1, 1, 1), weights, TINY)
    penalty = (12**0.5 - 1) ** 2
    assert float(parts["critic/gap"]) == pytest.approx(12 * 0.5 - 12 * 0.25)
    assert float(parts["critic/penalty"]) == pytest.approx(penalty, rel=1e-5)
    assert float(parts["critic/drive"]) == pytest.approx(0.4**2)
    assert float(total) == pytest.approx(2 * (10 * penalty - 3.0) + 3 * 0.16 + 0.16, rel=1e-5)


def test_generator_loss_by_hand() -> None:
    """Eq. 5 to 10; the paper's weights."""
    pictures = torch.zeros(2, 3, 4, 4)
    made = Generated(
        refined=torch.full_like(pictures, 0.5), warped=torch.full_like(pictures, 0.3), flow=torch.zeros(2, 2, 4, 4)
    )
    cycle = Generated(
        refined=torch.full_like(pictures, 0.2), warped=torch.full_like(pictures, 0.1), flow=torch.zeros(2, 2, 4, 4)
    )
    signals = torch.full((2, 17), 1.0)
    critics = (Flat(0.1), Flat(0.0))
    total, parts = generator_loss(critics, made, signals, pictures, cycle, LossSettings(), TINY)
    expected = {"adversarial": -0.1 * 48 * 0.5, "drive": 0.5**2, "warp": 0.7**2, "refine": 0.2, "cycle": 0.2}
    assert {name: float(value) for name, value in parts.items()} == pytest.approx(expected, rel=1e-5)
    assert float(total) == pytest.approx(10 * 0.2 - 2.4 + 0.25 + 0.49 + 10 * 0.2, rel=1e-4)
    # The published code: warp 0.5, refine 1 and in the cycle too, cycle on both.
    code = LossSettings(**FAMILY.recipe("code").losses)
    total, parts = generator_loss(critics, made, signals, pictures, cycle, code, TINY)
    assert float(parts["cycle"]) == pytest.approx(0.2 + 0.1)
    assert float(parts["refine"]) == pytest.approx(0.2 + 0.1)
    assert float(total) == pytest.approx(10 * 0.3 - 2.4 + 0.25 + 0.5 * 0.49 + 0.3, rel=1e-4)


def test_expressions_are_told_by_cross_entropy() -> None:
    logits, chosen = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert float(disparity(chosen, logits, EXPRESSIVE)) == pytest.approx(float(np.log(1 + np.exp(2.0))), rel=1e-6)


def test_units_are_told_by_squares() -> None:
    assert float(disparity(torch.zeros(2, 17), torch.full((2, 17), 0.3), TINY)) == pytest.approx(0.09)


def test_smoothness_by_hand() -> None:
    flow = torch.zeros(1, 2, 4, 4)
    flow[0, 0] = torch.arange(4.0) * 0.1
    made = Generated(refined=torch.zeros(1, 3, 4, 4), warped=torch.zeros(1, 3, 4, 4), flow=flow)
    weights = LossSettings(adversarial=0, drive=0, warp=0, refine=0, cycle=0, smooth=2.0)
    total, parts = generator_loss(
        (Flat(0), Flat(0)), made, torch.zeros(1, 17), torch.zeros(1, 3, 4, 4), None, weights, TINY
    )
    assert float(parts["smooth"]) == pytest.approx(0.05)  # 0.1 across in x, 0 in y, 0 down
    assert float(total) == pytest.approx(0.1)


def test_pair_loss_by_hand() -> None:
    truth = torch.zeros(2, 3, 4, 4)
    made = Generated(
        refined=torch.full_like(truth, 0.5), warped=torch.full_like(truth, 0.1), flow=torch.zeros(2, 2, 4, 4)
    )
    counts = torch.ones(2, 1, 4, 4)
    counts[1] = 0
    made.refined[1] = 9.0  # its truth is not known, so it cannot count
    total, parts = pair_loss(Flat(0), made, truth, counts, LossSettings(pair=10.0))
    assert float(parts["pair"]) == pytest.approx(0.6)
    assert float(total) == pytest.approx(6.0)


def test_openings_count_the_inside_of_mouths_alone() -> None:
    """Half of the picture is mouth and off by 0.5; truth's level is 0.25, so each level of features is off by twice that."""
    truth = torch.full((2, 3, 64, 64), 0.25)
    refined, openings = truth.clone(), torch.zeros(2, 1, 64, 64)
    openings[:1, :, 32:] = 1
    refined[:1, :, 32:] += 0.5
    refined[:, :, :32] = 9.0
    made = Generated(refined=refined, warped=truth, flow=torch.zeros(2, 2, 64, 64))
    weights = LossSettings(openings=1.5)
    total, parts = pair_loss(Flat(0), made, truth, torch.ones(2, 1, 64, 64), weights, openings)
    assert set(parts) == {"openings"} and float(parts["openings"]) == pytest.approx(0.5 + 2.0)
    assert float(total) == pytest.approx(1.5 * 2.5)


def test_quiet_charges_paint_where_no_mouth_is() -> None:
    warped, elsewhere = torch.zeros(2, 3, 4, 4), torch.ones(2, 1, 4, 4)
    elsewhere[0] = 0  # all of the first picture is mouth
    made = Generated(refined=warped + 0.5, warped=warped, flow=torch.zeros(2, 2, 4, 4))
    weights = LossSettings(**without(LossSettings().__dict__, ["cycle", "adversarial", "drive", "warp", "refine"]))  # type: ignore[arg-type]
    weights = replace(weights, quiet=3.0)
    signals, critics = torch.zeros(2, 17), (Flat(0), Flat(0))
    total, parts = generator_loss(critics, made, signals, warped, None, weights, TINY, elsewhere)
    assert set(parts) == {"quiet"} and float(total) == pytest.approx(3.0 * 0.25)
    assert not generator_loss(critics, made, signals, warped, None, weights, TINY)[1], "where mouths are not known"


def test_pair_features_are_zero_for_the_truth_itself() -> None:
    critic = Critic(TINY, realism=True)
    truth = torch.rand(2, 3, 64, 64)
    weights = LossSettings(features=1.0)
    for pictures, equal in ((truth, True), (1 - truth, False)):
        total, _ = pair_loss(critic, made_of(pictures), truth, torch.ones(2, 1, 64, 64), weights)
        assert (float(total.detach()) < 1e-6) == equal


def test_target_signals_are_other_pictures_with_noise() -> None:
    signals = torch.arange(5.0)[:, None].expand(-1, 17) * 10
    draw = lambda seed: torch.Generator().manual_seed(seed)  # noqa: E731
    for seed in range(6):
        chosen = target_signals(signals, draw(seed), LossSettings(), TINY)
        nearest = (chosen / 10).round() * 10
        assert not (nearest == signals).any(), "nobody is asked for what is already there"
        assert sorted(nearest[:, 0].tolist()) == signals[:, 0].tolist()
        assert 0 < float((chosen - nearest).abs().max()) <= 0.1
    classes = torch.eye(3)
    assert set(target_signals(classes, draw(0), LossSettings(), EXPRESSIVE).flatten().tolist()) == {0.0, 1.0}


# -- training -------------------------------------------------------------------------------------------------------------


def trainable(preset: str = "preview", **network: object) -> WarpingTrainable:
    recipe = FAMILY.recipe(preset)
    small = {"width": 4, "critic_width": 2, "size": 64} | network
    return start(replace(recipe, network={**recipe.network, **small}))


def trained(module: nn.Module) -> bool:
    return any(p.grad is not None and bool(p.grad.any()) for p in module.parameters())


@pytest.mark.parametrize("preset", ["paper", "code", "preview"])
def test_each_phase_trains_its_own_networks(preset: str) -> None:
    subject: Trainable = trainable(preset, quick_start=False, masked=False)
    network = subject.network
    assert isinstance(network, WarpingNetwork)
    critics = (network.critic_refined, network.critic_warped)
    loss, _ = subject.loss("critic", [portion()], 1.0)
    loss.backward()
    assert all(trained(critic) for critic in critics) and not trained(network.generator)
    network.zero_grad(set_to_none=True)
    loss, _ = subject.loss("generator", [portion()], 1.0)
    loss.backward()
    assert trained(network.generator) and not any(trained(critic) for critic in critics)
    assert all(p.requires_grad for p in network.parameters()), "the critics are let go again"
    named = [p for phase in subject.phases() for group in subject.parameter_groups(phase.name).values() for p in group]
    assert {id(p) for p in named} == {id(p) for p in network.parameters()} and len(named) == len(set(map(id, named)))


def test_algorithm_1_trains_the_critics_five_times_as_often() -> None:
    for preset in ("paper", "code"):
        assert [(phase.name, phase.every) for phase in trainable(preset).phases()] == [("critic", 1), ("generator", 5)]


@pytest.mark.parametrize("term", ["cycle", "adversarial", "drive", "warp", "refine"])
def test_each_term_can_be_left_out(term: str) -> None:
    """For the ablation: it is neither counted nor computed."""
    subject = trainable("paper")
    subject.losses = LossSettings(**without(FAMILY.recipe("paper").losses, [term]))  # type: ignore[arg-type]
    _, parts = subject.loss("generator", [portion()], 1.0)
    assert set(parts) == {"cycle", "adversarial", "drive", "warp", "refine"} - {term}
    _, parts = subject.loss("critic", [portion()], 1.0)
    assert ("critic/gap" in parts) == (term != "adversarial")
    assert ("critic/warp" in parts) == (term != "warp")


def test_without_critics_there_is_no_critic_phase() -> None:
    subject = trainable("paper")
    subject.losses = LossSettings(adversarial=0, drive=0, warp=0)
    assert [phase.name for phase in subject.phases()] == ["generator"]
    assert subject.loss("generator", [portion()], 1.0)[0].isfinite()


def test_unknown_term_names_the_known_ones() -> None:
    with pytest.raises(OptionError, match="cycle, adversarial, drive, warp, refine, pair"):
        without({}, ["perceptual"])


def test_pair_term_is_off_as_published_and_on_in_preview() -> None:
    assert LossSettings(**FAMILY.recipe("paper").losses).pair == 0
    assert LossSettings(**FAMILY.recipe("code").losses).pair == 0
    assert LossSettings(**FAMILY.recipe("preview").losses).pair > 0


def test_pairs_ask_for_their_own_answer_and_others_for_a_neighbours() -> None:
    subject = trainable("preview")
    pair, alone = portion(), portion(seed=1, paired=False)
    shown = subject.shown([pair, alone])
    assert pair.target_signals is not None
    torch.testing.assert_close(shown.targets[:3], pair.target_signals)
    assert bool(shown.counts[:3].all()) and not shown.counts[3:].any()
    torch.testing.assert_close(shown.truth[:3], pair.targets * 2 - 1)
    assert not torch.equal(shown.targets[3:], alone.target_signals)  # type: ignore[arg-type]


def test_published_code_sees_units_ten_times_as_large() -> None:
    paper, code = (trainable(preset).shown([portion()]).signals for preset in ("paper", "code"))
    torch.testing.assert_close(code, paper * 10)


def test_expressions_train_too() -> None:
    subject = trainable("paper-smile")
    given = portion(subject.warping.settings)
    for phase in ("critic", "generator"):
        assert subject.loss(phase, [given], 1.0)[0].isfinite()


def test_pictures_without_signals_are_refused() -> None:
    with pytest.raises(DatasetError, match="--data"):
        trainable().loss("critic", [replace(portion(), signals=None)], 1.0)
    with pytest.raises(DatasetError, match="2 numbers.*17 action units"):
        trainable().loss("critic", [portion(EXPRESSIVE)], 1.0)


def test_loss_in_bf16_stays_near_float32s() -> None:
    values = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            subject = trainable("paper", quick_start=True)
            values.append(
                [float(subject.loss(phase, [portion()], 1.0)[0].detach()) for phase in ("critic", "generator")]
            )
    assert values[0] == pytest.approx(values[1], rel=0.05, abs=0.05)


def test_random_numbers_go_on_after_a_stop() -> None:
    """Noise and α depend on how many losses were drawn, which is kept with the weights."""
    subject = trainable("paper")
    for phase in ("critic", "generator", "critic"):
        subject.loss(phase, [portion()], 1.0)
    again = trainable("paper")
    again.network.load_state_dict(subject.network.state_dict())
    values = [float(each.loss("generator", [portion()], 1.0)[0].detach()) for each in (subject, again)]
    assert values[0] == values[1]
    assert values[0] != float(subject.loss("generator", [portion()], 1.0)[0].detach()), "and every step has others"


def test_a_little_training_brings_the_answer_nearer() -> None:
    """A shift of four pixels is learnt from pairs by the motion network."""
    torch.manual_seed(0)
    subject = trainable("preview", width=8, coefficient=0.2)
    base = functional.interpolate(torch.rand(2, 3, 8, 8), size=(64, 64), mode="bicubic", align_corners=False)
    base = base.clamp(0, 1)
    given = replace(portion(batch=2), inputs=base, targets=base.roll(4, 3))
    subject.losses = LossSettings(cycle=0, adversarial=0, drive=0, warp=0, refine=10, pair=10)
    optimiser = torch.optim.Adam(subject.network.parameters(), lr=5e-3)
    figures = []
    for _ in range(40):
        optimiser.zero_grad()
        loss, parts = subject.loss("generator", [given], 1.0)
        loss.backward()
        optimiser.step()
        figures.append(float(parts["pair"]))
    assert figures[-1] < 0.5 * figures[0]


def opened(settings: WarpingSettings = TINY, *, gap: float = 10.0) -> Portion:
    """Two mean faces as the mesh has them; the answer's lower lip is ``gap`` pixels lower, and what parts is black."""
    points = torch.from_numpy(mean_mesh()[None, :, :2] * 0.5 + np.array(OVAL_CENTRE)).float().repeat(2, 1, 1)
    lower = [curve for curve in load_topology("face17").curves if curve.name in ("lower_lip_top", "lower_lip_bottom")]
    places = [point for curve in lower for point in curve.points[1:-1]]
    target = points.clone()
    target[:, places, 1] += gap / settings.size
    given = portion(settings, batch=2)
    inputs = torch.full_like(given.inputs, 0.7)
    mask = opening_masks(target.numpy() * settings.size, load_topology("face17"), settings.size, openings=MOUTH)
    targets = inputs * (1 - torch.from_numpy(mask)[:, None])
    return replace(given, inputs=inputs, targets=targets, points=points, target_points=target)


def test_mouths_are_found_by_the_mesh_and_by_nothing_else() -> None:
    subject = trainable("preview")
    given = opened()
    shown = subject.shown([given])
    assert shown.openings is not None and shown.elsewhere is not None
    inside = 1 - given.targets[:, :1] / 0.7
    torch.testing.assert_close(shown.openings, inside, atol=1e-5, rtol=0)
    assert not (shown.elsewhere * shown.openings).any() and float(shown.elsewhere.mean()) > 0.9
    points = given.target_points
    assert points is not None
    unknown = points.clone()
    unknown[0, 7] = torch.nan
    part = subject.shown([replace(given, target_points=unknown)])
    assert part.openings is not None and part.elsewhere is not None
    assert not part.openings[0].any() and not part.elsewhere[0].any() and part.openings[1].any()
    assert subject.shown([replace(given, points=points[:, :5], target_points=points[:, :5])]).openings is None
    subject.losses = LossSettings(**FAMILY.recipe("paper").losses)
    assert subject.shown([given]).openings is None


def test_a_little_training_paints_the_mouth_and_nothing_else() -> None:
    """Black behind lips that part is no pixel of the still: only paint can show it. At this rate the mask first shuts
    everywhere; one that shuts for good is seen here as no paint at all."""
    torch.manual_seed(0)
    subject = trainable("preview", width=8, masked=True, quick_start=True)
    subject.losses = LossSettings(cycle=0, adversarial=0, drive=0, warp=0, refine=0, openings=1.5, quiet=10)
    settings, generator = subject.warping.settings, subject.warping.generator
    shown = subject.shown([opened(settings)])
    assert shown.openings is not None and shown.elsewhere is not None
    flow = torch.cat([torch.zeros_like(shown.openings), -0.3 * (shown.openings > 0.1)], 1)
    critics = (subject.warping.critic_refined, subject.warping.critic_warped)
    optimiser = torch.optim.Adam(generator.refine.parameters(), lr=3e-3)
    figures = []
    for _ in range(160):
        optimiser.zero_grad()
        made = Generated(refined=generator.refined(shown.pictures, flow), warped=shown.pictures, flow=flow)
        loss, parts = pair_loss(critics[0], made, shown.truth, shown.counts, subject.losses, shown.openings)
        quiet, _ = generator_loss(
            critics, made, shown.targets, shown.pictures, None, subject.losses, settings, shown.elsewhere
        )
        (loss + quiet).backward()
        optimiser.step()
        painted = (made.refined - made.warped).detach().abs()
        inside = (painted * shown.openings).sum() / shown.openings.sum() / 3
        figures.append((float(inside), float((painted * shown.elsewhere).mean()), float(parts["openings"].detach())))
    first, last = figures[0], figures[-1]
    assert first[0] == 0 and last[0] > 0.3
    assert last[1] < 0.03 and last[2] < 0.4 * first[2]


def test_preview_picture_has_five_columns() -> None:
    grid = trainable().preview([portion(batch=2)], 1.0)
    assert grid.shape == (2 * 64, 5 * 64, 3) and grid.dtype == np.uint8


# -- presets and starting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", FAMILY.presets)
def test_presets_agree_with_themselves(preset: str) -> None:
    recipe = FAMILY.recipe(preset)
    assert recipe.preset == preset and recipe.family == "warping"
    assert settings_of(recipe.network).size == recipe.stages[-1].resolution == 128
    LossSettings(**recipe.losses)
    assert recipe.augment.noise == 0, "noise on inputs alone would look like another answer"


def test_presets_carry_the_papers_numbers() -> None:
    paper, code = (FAMILY.recipe(name) for name in ("paper", "code"))
    terms = ("cycle", "adversarial", "drive", "warp", "refine")
    assert [LossSettings(**paper.losses).__getattribute__(term) for term in terms] == [10, 1, 1, 1, 10]
    assert [LossSettings(**code.losses).__getattribute__(term) for term in terms] == [10, 1, 1, 0.5, 1]
    assert (paper.learning_rate, paper.betas, paper.stages[0].batch, paper.optimiser) == (
        1e-4,
        (0.5, 0.999),
        10,
        "adam",
    )
    assert [
        FAMILY.recipe(f"paper{data}").network["coefficient"] for data in ("", "-smile", "-rafd", "-emotionnet")
    ] == [*(0.3, 0.1, 0.2, 0.1)]
    assert settings_of(code.network).unit_scale == 0.5
    assert len(RAFD) == 8 and len(EMOTIONNET) == len(set(EMOTIONNET)) == 26


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(OptionError, match="preview, paper"):
        FAMILY.recipe("tiny")


def test_unknown_network_setting_is_named() -> None:
    with pytest.raises(OptionError, match="widths"):
        settings_of({"widths": (1, 2)})


def save(path, settings: WarpingSettings = TINY, seed: int = 0) -> Generator:
    """A checkpoint whose motion and refinement do something."""
    torch.manual_seed(seed)
    generator = Generator(settings).requires_grad_(False)
    for parameter in generator.parameters():
        parameter.normal_(std=0.2)
    save_checkpoint(
        path, generator.state_dict(), ModelCard(family="warping", preset="tiny", network={"settings": asdict(settings)})
    )
    return generator


def test_training_goes_on_from_a_checkpoint(tmp_path) -> None:
    generator = save(tmp_path / "m.safetensors")
    recipe = FAMILY.recipe("preview")
    small = {**recipe.network, "width": 4, "critic_width": 2, "size": 64, "coefficient": 0.3}
    small |= {"modulated": False, "masked": False, "leak": 0.0}
    again = start(replace(recipe, network=small, start=str(tmp_path / "m.safetensors")))
    for a, b in zip(again.warping.generator.parameters(), generator.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(CheckpointError, match="another width, another coefficient.*4, 0.3.* instead of 32, "):
        start(replace(recipe, start=str(tmp_path / "m.safetensors")))


def test_a_refinement_of_another_kind_begins_anew_and_the_motion_goes_on(tmp_path) -> None:
    earlier = save(tmp_path / "m.safetensors")
    recipe = FAMILY.recipe("preview")
    small = {**recipe.network, "width": 4, "critic_width": 2, "size": 64, "coefficient": 0.3, "modulated": False}
    again = start(replace(recipe, network={**small, "masked": True}, start=str(tmp_path / "m.safetensors")))
    made = again.warping.generator
    for name, tensor in earlier.state_dict().items():
        if not name.startswith(("refine.", "flow_pred.")):
            assert torch.equal(made.state_dict()[name], tensor), name
    assert made.settings.masked and not made.state_dict()["refine.6.weight"].any()
    pictures = torch.rand(1, 3, 64, 64) * 2 - 1
    torch.testing.assert_close(made.refined(pictures), pictures)


def test_half_of_a_motions_last_features_begin_anew_under_a_leak(tmp_path) -> None:
    """Those that say least; what they said is gone, what the others said stays."""
    earlier = save(tmp_path / "m.safetensors").state_dict()
    recipe = FAMILY.recipe("preview")
    small = {**recipe.network, "width": 4, "critic_width": 2, "size": 64, "coefficient": 0.3, "modulated": False}
    made = start(replace(recipe, network=small, start=str(tmp_path / "m.safetensors"))).warping.generator
    assert made.settings.leak > 0
    now, last = made.state_dict(), "flow_pred.3.weight"
    says = earlier[last].square().sum((1, 2, 3)).sqrt() * earlier["flow_pred.1.weight"].abs()
    least, most = says.sort().indices[:2], says.sort().indices[2:]
    assert not now[last][least].any() and torch.equal(now[last][most], earlier[last][most])
    assert torch.equal(now["flow_pred.0.weight"][:, most], earlier["flow_pred.0.weight"][:, most])
    assert not torch.isclose(now["flow_pred.0.weight"][:, least], earlier["flow_pred.0.weight"][:, least]).any()
    assert bool((now["flow_pred.1.weight"][least] == 1).all()) and not now["flow_pred.1.bias"][least].any()
    save_checkpoint(
        tmp_path / "n.safetensors",
        now,
        ModelCard(family="warping", preset="tiny", network={"settings": asdict(made.settings)}),
    )
    again = start(replace(recipe, network=small, start=str(tmp_path / "n.safetensors"))).warping.generator
    assert all(torch.equal(tensor, now[name]) for name, tensor in again.state_dict().items()), "once is enough"


def test_checkpoint_is_the_generator_alone(tmp_path) -> None:
    subject = trainable()
    tensors, card = subject.checkpoint()
    assert not [name for name in tensors if "critic" in name or name == "draws"]
    save_checkpoint(tmp_path / "m.safetensors", tensors, ModelCard(family="warping", preset="tiny", network=card))
    assert load_generator(tmp_path / "m.safetensors").settings == subject.warping.settings


# -- at work --------------------------------------------------------------------------------------------------------------


def still(size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).random((size, size, 3), np.float32)


def drive(count: int = 3, *, strength: float = 1.0) -> Drive:
    units = np.random.default_rng(1).uniform(0, 5, (count, 17)).astype(np.float32)
    return Drive(strength=np.full(count, strength, np.float32), units=units, still_units=np.full(17, 0.5, np.float32))


def test_family_animates_and_says_so(tmp_path) -> None:
    assert FAMILY.tasks == {Task.ANIMATE} and FAMILY.labelled
    save(tmp_path / "m.safetensors")
    animator = FAMILY.animator(tmp_path / "m.safetensors", device="cpu")
    assert (animator.size, animator.signals, animator.expressions) == (64, {"units"}, ())
    assert animator.oval_share == TINY.oval_share
    result = animator.animate(still(), drive())
    assert result.crops.shape == (3, 64, 64, 3) and result.crops.dtype == np.float32
    assert result.crops.min() >= 0 and result.crops.max() <= 1
    assert result.motion is not None and result.motion.shape == (3, 64, 64, 2) and result.motion.dtype == np.float32
    assert not np.array_equal(result.crops[0], still())


@pytest.mark.parametrize("anchored", [True, False])
def test_without_strength_the_still_comes_back_bit_for_bit(tmp_path, anchored: bool) -> None:
    save(tmp_path / "m.safetensors")
    animator = WarpingAnimator(tmp_path / "m.safetensors", device="cpu", anchored=anchored)
    asked = replace(drive(), strength=np.array([1, 0, 1], np.float32))
    result = animator.animate(still(), asked)
    np.testing.assert_array_equal(result.crops[1], still())
    assert result.motion is not None and not result.motion[1].any()
    assert result.motion[0].any() and result.motion[2].any()


def test_a_still_asked_for_its_own_units_comes_back_bit_for_bit(tmp_path) -> None:
    save(tmp_path / "m.safetensors")
    animator = WarpingAnimator(tmp_path / "m.safetensors", device="cpu")
    asked = drive()
    assert asked.units is not None
    asked.units[0] = 0.5
    result = animator.animate(still(), asked)
    np.testing.assert_array_equal(result.crops[0], still())
    assert result.motion is not None and not result.motion[0].any()


@pytest.mark.parametrize("settings", [TINY, EXPRESSIVE, replace(TINY, quick_start=False)])
def test_motion_begins_without_a_jump(tmp_path, settings: WarpingSettings) -> None:
    """A hundredth of the strength changes about a hundredth of what the whole does."""
    save(tmp_path / "m.safetensors", settings)
    animator = WarpingAnimator(tmp_path / "m.safetensors", device="cpu")
    asked = drive(2) if settings.by_units else Drive(strength=np.ones(2, np.float32), expression="smile")
    whole = animator.animate(still(), asked).crops[0] - still()
    little = animator.animate(still(), replace(asked, strength=np.full(2, 1e-3, np.float32))).crops[0] - still()
    assert np.abs(little).mean() < 0.05 * np.abs(whole).mean()


def test_unanchored_answers_are_the_papers(tmp_path) -> None:
    generator = save(tmp_path / "m.safetensors", replace(TINY, quick_start=False))
    animator = WarpingAnimator(tmp_path / "m.safetensors", device="cpu", anchored=False)
    asked = drive(1, strength=0.6)
    picture = torch.from_numpy(still()).permute(2, 0, 1)[None] * 2 - 1
    made = generator(picture, torch.from_numpy(asked.units) / 5, 0.6)  # type: ignore[arg-type]
    result = animator.animate(still(), asked)
    expected = ((made.refined + 1) / 2)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(result.crops[0], expected, atol=1e-3)


def test_motion_is_the_houses(tmp_path) -> None:
    """result(p) = still(p + motion(p)), motion in sides of the crop: the warped picture is found again with it."""
    generator = save(tmp_path / "m.safetensors")
    animator = WarpingAnimator(tmp_path / "m.safetensors", device="cpu", anchored=False)
    asked = drive(1)
    motion = animator.animate(still(), asked).motion
    assert motion is not None
    picture = torch.from_numpy(still()).permute(2, 0, 1)[None]
    made = generator(picture * 2 - 1, torch.from_numpy(asked.units) / 5)  # type: ignore[arg-type]
    # In the house a pixel's centre lies at (i + 0.5) / size, and -1..1 of align_corners=False is the whole side.
    centres = (np.arange(64, dtype=np.float32) + 0.5) / 64
    place = np.stack(np.meshgrid(centres, centres, indexing="xy"), -1) + motion[0]
    grid = torch.from_numpy(place)[None] * 2 - 1
    found = functional.grid_sample(picture * 2 - 1, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    torch.testing.assert_close(found, made.warped, atol=1e-4, rtol=0)


def test_pixels_do_not_depend_on_the_batch(tmp_path) -> None:
    save(tmp_path / "m.safetensors")
    animator = WarpingAnimator(tmp_path / "m.safetensors", device="cpu")
    asked = drive(6)
    assert asked.units is not None
    whole = animator.animate(still(), asked)
    assert whole.motion is not None
    for row in (0, 5):
        alone = replace(asked, strength=asked.strength[row : row + 1], units=asked.units[row : row + 1])
        one = animator.animate(still(), alone)
        np.testing.assert_array_equal(one.crops[0], whole.crops[row])
        np.testing.assert_array_equal(one.motion[0], whole.motion[row])  # type: ignore[index]


def test_expressions_scale_one_motion(tmp_path) -> None:
    save(tmp_path / "m.safetensors", EXPRESSIVE)
    animator = WarpingAnimator(tmp_path / "m.safetensors", device="cpu")
    assert animator.signals == {"expression"} and animator.expressions == SMILE
    result = animator.animate(still(), Drive(strength=np.array([0.25, 1.0], np.float32), expression="smile"))
    assert result.motion is not None
    np.testing.assert_allclose(result.motion[0] * 4, result.motion[1], atol=1e-6)


def test_drives_that_are_not_understood_are_named(tmp_path) -> None:
    save(tmp_path / "units.safetensors")
    save(tmp_path / "expressions.safetensors", EXPRESSIVE)
    by_units = WarpingAnimator(tmp_path / "units.safetensors", device="cpu")
    with pytest.raises(OptionError, match="driven by 17 action units.*has none"):
        by_units.animate(still(), Drive(strength=np.ones(1, np.float32)))
    with pytest.raises(OptionError, match="the still is"):
        by_units.animate(still(32), drive())
    with pytest.raises(OptionError, match="expression wink: this network knows neutral, smile"):
        WarpingAnimator(tmp_path / "expressions.safetensors", device="cpu").animate(
            still(), Drive(strength=np.ones(1, np.float32), expression="wink")
        )


def test_held_modules_are_let_go_after_an_error() -> None:
    critic = Critic(TINY, realism=True)
    with pytest.raises(ZeroDivisionError), held([critic]):
        raise ZeroDivisionError
    assert all(p.requires_grad for p in critic.parameters())


# -- published weights ----------------------------------------------------------------------------------------------------


def published_generator(n: int, c: int) -> dict[str, Tensor]:
    """Names and shapes of a published generator, written out as its code makes them."""
    shapes: dict[str, tuple[int, ...]] = {"encoding.0.weight": (n, 3 + c, 7, 7), "encoding.3.weight": (2 * n, n, 4, 4)}
    for at, width in ((1, n), (4, 2 * n)):
        shapes |= {f"encoding.{at}.weight": (width,), f"encoding.{at}.bias": (width,)}
    for block in range(6, 12):
        name = f"encoding.{block}.conv_block"
        for convolution in (0, 3):
            shapes[f"{name}.{convolution}.weight"] = (2 * n, 2 * n, 3, 3)
        for norm in (1, 4):
            shapes |= {f"{name}.{norm}.weight": (2 * n,), f"{name}.{norm}.bias": (2 * n,)}
    shapes |= {"flow_pred.0.weight": (2 * n, n, 4, 4), "flow_pred.1.weight": (n,), "flow_pred.1.bias": (n,)}
    shapes |= {"flow_pred.3.weight": (n, 2, 6, 6), "refine.0.weight": (n, 3, 7, 7), "refine.6.weight": (n, 3, 6, 6)}
    for block in range(2, 6):
        for convolution in (0, 2):
            shapes[f"refine.{block}.conv_block.{convolution}.weight"] = (n, n, 3, 3)
    numbers = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=numbers) * 0.1 for name, shape in shapes.items()}


def published_critic(m: int, c: int, *, realism: bool) -> dict[str, Tensor]:
    widths = [3, m, 2 * m, 4 * m, 4 * m, 4 * m, 4 * m]
    tensors = {"aus_top.weight": torch.randn(c, 4 * m, 2, 2)}
    for level in range(6):
        tensors[f"model.{2 * level}.weight"] = torch.randn(widths[level + 1], widths[level], 4, 4)
        tensors[f"model.{2 * level}.bias"] = torch.randn(widths[level + 1])
    return tensors | ({"dis_top.weight": torch.randn(1, 4 * m, 3, 3)} if realism else {})


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(
    ("signals", "expressions", "coefficient"), [(17, (), 0.3), (8, RAFD, 0.2), (26, EMOTIONNET, 0.1), (2, SMILE, 0.1)]
)
def test_published_generator_loads(
    tmp_path, signals: int, expressions: tuple[str, ...], coefficient: float, prefix: str
) -> None:
    tensors = published_generator(8, signals)
    path = tmp_path / "300_net_gen.pth"
    torch.save({prefix + name: tensor for name, tensor in tensors.items()}, path)
    generator = load_official(path)
    assert generator.settings.expressions == expressions
    assert (generator.settings.width, generator.settings.coefficient) == (8, coefficient)
    for name, tensor in generator.state_dict().items():
        assert torch.equal(tensor, tensors[name])


def test_published_generator_becomes_a_checkpoint(tmp_path) -> None:
    torch.save(published_generator(4, 17), tmp_path / "30_net_gen.pth")
    convert_official(tmp_path / "30_net_gen.pth", tmp_path / "atw.safetensors")
    card = read_card(tmp_path / "atw.safetensors")
    assert "30_net_gen.pth" in card.data and "MIT" in card.licence
    animator = FAMILY.animator(tmp_path / "atw.safetensors", device="cpu")
    assert animator.size == 128
    result = animator.animate(still(128), drive(1))
    assert np.isfinite(result.crops).all()
    # The published network sees an intensity of 5 as 10.
    unanchored = WarpingAnimator(load_official(tmp_path / "30_net_gen.pth"), device="cpu", anchored=False)
    rows, own = unanchored._rows(drive(1))
    np.testing.assert_allclose(rows, drive(1).units * 2)  # type: ignore[operator]
    np.testing.assert_allclose(own, 1.0)  # type: ignore[arg-type]


def test_published_critics_load(tmp_path) -> None:
    settings = WarpingSettings(width=4, critic_width=4)
    for name, realism in (("dis", True), ("dis_warp", False)):
        tensors = published_critic(4, 17, realism=realism)
        torch.save(tensors, tmp_path / f"30_net_{name}.pth")
        critic = load_official_critic(tmp_path / f"30_net_{name}.pth", settings)
        assert (critic.dis_top is not None) == realism
        for key, tensor in critic.state_dict().items():
            assert torch.equal(tensor, tensors[key])


def test_weights_are_loaded_whole_or_not_at_all(tmp_path) -> None:
    path = tmp_path / "30_net_gen.pth"
    tensors = published_generator(8, 17)
    torch.save({name: tensor for name, tensor in tensors.items() if name != "refine.0.weight"}, path)
    with pytest.raises(CheckpointError, match=r"lacks refine\.0\.weight"):
        load_official(path)
    torch.save(tensors | {"refine.9.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"also has refine\.9\.weight"):
        load_official(path)
    torch.save(tensors | {"refine.0.weight": torch.zeros(8, 3, 5, 5)}, path)
    with pytest.raises(CheckpointError, match=r"another shape of refine\.0\.weight"):
        load_official(path)
    torch.save(published_generator(8, 5), path)
    with pytest.raises(CheckpointError, match="driven by 5 signals"):
        load_official(path)


class Hostile:
    def __reduce__(self):
        return (exec, ("raise SystemExit('it ran')",))


def test_files_that_would_run_something_are_refused(tmp_path) -> None:
    path = tmp_path / "30_net_gen.pth"
    torch.save({"encoding.0.weight": Hostile()}, path)
    with pytest.raises(CheckpointError, match="more than tensors"):
        load_official(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="damaged"):
        load_official(path)
    torch.save([1, 2, 3], path)
    with pytest.raises(CheckpointError, match="dictionary of tensors"):
        load_official(path)
    with pytest.raises(CheckpointError, match="does not exist"):
        load_official(tmp_path / "none.pth")


def test_point_loss_by_hand() -> None:
    """A flow that fetches every point from where it is costs nothing; one of nothing costs the points' way in pixels."""
    size, coefficient = 17, 0.25
    points = torch.tensor([[[0.5, 0.5], [0.25, 0.75]]])
    target = points + torch.tensor([2.0 / size, 0.0])
    nothing = torch.zeros(1, 2, size, size)
    assert float(point_loss(nothing, coefficient, points, target)) == pytest.approx(2.0, rel=1e-4)
    flow = nothing.clone()
    flow[:, 0] = -2 * (2 / (size - 1)) / (2 * coefficient)  # two pixels to the left, where the point came from
    assert float(point_loss(flow, coefficient, points, target)) == pytest.approx(0.0, abs=1e-3)
    unknown = torch.cat([points, torch.full((1, 1, 2), torch.nan)], 1)
    assert float(point_loss(nothing, coefficient, unknown, unknown + 2.0 / size * torch.tensor([1.0, 0]))) == (
        pytest.approx(2.0, rel=1e-4)
    ), "what is not known does not count"
    # Two of three points stay: unmoved, the one that moves counts five times with moving 4.
    three = torch.tensor([[[0.5, 0.5], [0.25, 0.75], [0.75, 0.25]]])
    one = three + torch.tensor([[[2.0 / size, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    assert float(point_loss(nothing, coefficient, three, one)) == pytest.approx(2 / 3, rel=1e-3)
    assert float(point_loss(nothing, coefficient, three, one, 4.0)) == pytest.approx(2 * 5 / 7, rel=1e-3)
    picture = torch.zeros(1, 1, size, size)
    picture[..., 8, 8] = 1.0
    moved = warp(picture, 2 * coefficient * flow)
    assert float(moved[0, 0, 8, 10]) == pytest.approx(1.0)


def test_points_teach_where_the_data_has_them() -> None:
    subject = trainable("preview")
    plain = portion()
    assert "points" not in subject.loss("generator", [plain], 1.0)[1]
    points = torch.rand(len(plain.inputs), 5, 2)
    taught = replace(plain, points=points, target_points=points.roll(1, 1))
    assert float(subject.loss("generator", [taught], 1.0)[1]["points"]) > 0
    alone = replace(taught, targets=plain.inputs, target_points=points)
    assert "points" not in subject.loss("generator", [alone], 1.0)[1], "asked for something else, they do not stay"
    subject.losses = LossSettings(points=1.0)
    assert float(subject.loss("generator", [taught], 1.0)[1]["points"]) > 0
