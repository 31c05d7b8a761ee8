"""What a row's figures say can be seen: rules that turn figures into faults, each with its size.

A size of 1 is what we hold for just visible; the thresholds stand beside each rule, and are ours. They were set on rendered shots
with faults made on purpose (docs/metrics.md) and want to be looked at, not believed. Where an imperfect way of measuring reads
something even of the truth, the truth's own figure is taken off first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from understudy.jobs.benchmark_rows import REGIONS, TRUTH, UNCHANGED, UNITS, Fault, TableLine, number

NOTHING = "nothing stands out by these figures"

_Scores = Mapping[str, float]
_Rule = Callable[[_Scores, _Scores, _Scores], Fault | None]


def with_faults(lines: Sequence[TableLine], kind: str) -> tuple[TableLine, ...]:
    """The lines of a kind's table with their faults, the largest first; the truth has none."""
    truth = next((line.scores for line in lines if line.contender == TRUTH), {})
    unchanged = next((line.scores for line in lines if line.contender == UNCHANGED), {})
    return tuple(
        line
        if line.contender == TRUTH or line.skipped
        else replace(line, faults=find_faults(line.scores, truth, unchanged, kind))
        for line in lines
    )


def find_faults(scores: _Scores, truth: _Scores, unchanged: _Scores, kind: str) -> tuple[Fault, ...]:
    """The faults of a row by its scores, those of the truth and those of the plate or still left as it is; largest first."""
    found = [
        fault for rule in _RULES[kind] if (fault := rule(scores, truth, unchanged)) is not None and fault.size >= 1
    ]
    return tuple(sorted(found, key=lambda fault: -fault.size))


def sentence(line: TableLine) -> str:
    """The largest fault in words, and the names of the next ones."""
    if not line.faults:
        return NOTHING
    first, *others = line.faults
    also = f"; also {', '.join(fault.name for fault in others[:3])}" if others else ""
    return f"{first.words}{also}"


# -- rules --------------------------------------------------------------------------------------------------------------


def _wrong_person(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    """Of the way from the plate's person to the wanted one; 85 % is what the truth's own frames spread over."""
    if not all("identity" in scores for scores in (own, truth, plate)):
        return None
    whole = truth["identity"] - plate["identity"]
    if whole < 0.1:  # two people whom the network hardly tells apart
        return None
    way = (own["identity"] - plate["identity"]) / whole
    name = "the wrong person" if way < 0.3 else "half the person" if way < 0.7 else "not wholly the person"
    words = (
        f"{name}: identity {_n(own, 'identity')}, {max(way, 0):.0%} of the way from the plate's person "
        f"({_n(plate, 'identity')}) to the true one ({_n(truth, 'identity')})"
    )
    return Fault(name=name, words=words, size=(1 - way) / 0.15)


def _not_swapped(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    if "swapped" not in own:
        return None
    left = 1 - own["swapped"]
    words = f"{left:.0%} of the frames with a face were left as in the plate"
    return Fault(name="frames left alone", words=words, size=left / 0.01)


def _detail(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    """Blur of 15 % less fine detail can be seen beside the truth."""
    if "detail" not in own:
        return None
    share = own["detail"]
    name = "soft" if share < 1 else "harsh"
    words = f"{name}: {share:.2f} times the fine detail of the truth"
    return Fault(name=name, words=words, size=abs(1 - share) / 0.15)


def _seam(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    """Blended swaps read up to 1.06; a hard step of 3 % of the range along the border reads 1.2."""
    if "seam" not in own:
        return None
    words = f"a line along the matte: brightness changes {own['seam']:.2f} times as steeply across it as in the plate"
    return Fault(name="seam", words=words, size=(own["seam"] - 1.0) / 0.12)


def _tint(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    """A difference of ΔE 2.3 is easily seen side by side; a face off by twice that looks lit by another lamp."""
    if "colour_offset" not in own:
        return None
    words = f"colour: the face is ΔE {own['colour_offset']:.1f} off the truth's on the whole"
    return Fault(name="wrong colour", words=words, size=own["colour_offset"] / 4.0)


def _colour_wanders(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    """Over time ΔE 1 shows as pulsing. What the still or plate itself reads is the shot's light."""
    if "colour" not in own:
        return None
    words = f"colour wanders by ΔE {own['colour']:.2f} over the shot"
    return Fault(name="wandering colour", words=words, size=own["colour"] / 1.5)


def _shakes(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    """A third of a pixel more than the truth."""
    if "jitter" not in own or "jitter" not in truth:
        return None
    words = f"shakes: landmarks by {_n(own, 'jitter')} pixels, the truth's by {_n(truth, 'jitter')}"
    return Fault(name="shakes", words=words, size=(own["jitter"] - truth["jitter"]) / 0.3)


def _flickers(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    """What the unchanged plate reads comes of two people's pores and hair; half a per cent of the range more is a jump."""
    if "flicker" not in own or "flicker" not in plate:
        return None
    words = f"jumps from frame to frame: flicker {_n(own, 'flicker')} %, unchanged {_n(plate, 'flicker')} %"
    return Fault(name="jumps", words=words, size=(own["flicker"] - plate["flicker"]) / 0.4)


def _unexplained(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    if "flow_warp" not in own or truth.get("flow_warp", 0.0) <= 0:
        return None
    times = own["flow_warp"] / truth["flow_warp"]
    words = f"boils: {times:.1f} times the truth's change from frame to frame that no motion explains"
    return Fault(name="boils", words=words, size=(times - 1) / 0.5)


def _head(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    """Two degrees beyond what the truth itself reads."""
    if "pose" not in own:
        return None
    usual = truth.get("pose", 0.0)
    words = f"the head: turned {own['pose']:.1f} degrees away from the plate's (the truth reads {usual:.1f})"
    return Fault(name="head turned", words=words, size=(own["pose"] - usual) / 2.0)


def _expression(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    """The truth 30 frames late is 1.6 % of the face's height beyond the truth in time; AU error of 2 is a unit off by 1.4."""
    found = []
    if "expression" in own:
        usual = truth.get("expression", 0.0)
        words = f"another expression: {own['expression']:.2f} % of the face's height off (the truth reads {usual:.2f})"
        found.append(Fault(name="expression off", words=words, size=(own["expression"] - usual) / 0.6))
    if "units" in own:
        usual = truth.get("units", 0.0)
        words = f"another expression: AU error {own['units']:.2f} (the truth reads {usual:.2f})"
        found.append(Fault(name="expression off", words=words, size=(own["units"] - usual) / 2.0))
    return max(found, key=lambda fault: fault.size, default=None)


def _left_standing(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    """Mattes of default width cover about nine tenths of the face's outline."""
    if "coverage" not in own:
        return None
    words = f"the plate's face stays around it: the matte covers {own['coverage']:.0%} of it"
    return Fault(name="old face left", words=words, size=(0.9 - own["coverage"]) / 0.1)


def _outside(own: _Scores, truth: _Scores, plate: _Scores) -> Fault | None:
    """None may change."""
    if own.get("outside", 0.0) <= 0:
        return None
    words = f"{own['outside']:.2%} of the pixels outside the matte were changed"
    return Fault(name="touched outside", words=words, size=2.0)


def _not_performed(own: _Scores, truth: _Scores, still: _Scores) -> Fault | None:
    """Of the AU error that the still left as it is has; a quarter can be seen."""
    if "units" not in own or still.get("units", 0.0) <= 0:
        return None
    share = own["units"] / still["units"]
    words = f"the expression is not reached: {share:.0%} of the AU error of the still that does nothing"
    return Fault(name="expression off", words=words, size=share / 0.25)


def _not_turned(own: _Scores, truth: _Scores, still: _Scores) -> Fault | None:
    """Three degrees on average."""
    if "pose" not in own or "pose" not in still:
        return None
    words = f"the head does not follow: {own['pose']:.1f} degrees off, the still that does nothing {still['pose']:.1f}"
    return Fault(name="head does not follow", words=words, size=own["pose"] / 3.0)


def _drifts(own: _Scores, truth: _Scores, still: _Scores) -> Fault | None:
    """The true film is less like its still than the still itself; what lies below it is another person."""
    if "identity" not in own or "identity" not in truth:
        return None
    words = f"becomes somebody else: identity {_n(own, 'identity')} to the still, the truth's {_n(truth, 'identity')}"
    return Fault(name="another person", words=words, size=(truth["identity"] - own["identity"]) / 0.1)


def _not_the_person(own: _Scores, truth: _Scores, plain: _Scores) -> Fault | None:
    """Pictures of one person read 0.4 and more of each other; given back, a face should read nearly 1."""
    if "identity" not in own:
        return None
    words = f"another person: identity {_n(own, 'identity')} to the true picture"
    return Fault(name="another person", words=words, size=(1 - own["identity"]) / 0.25)


def _unlike(own: _Scores, truth: _Scores, plain: _Scores) -> Fault | None:
    """LPIPS of whole crops; a tenth is seen without looking for it."""
    if "lpips" not in own:
        return None
    words = f"unlike the true picture: LPIPS {_n(own, 'lpips')}"
    return Fault(name="unlike the truth", words=words, size=own["lpips"] / 0.1)


def _regions(own: _Scores, truth: _Scores, plain: _Scores) -> Fault | None:
    """The region found worst; edges a pixel wide cost large regions a twentieth and thin ones half."""
    found = {name: own[name] for name in REGIONS if name in own}
    if not found:
        return None
    worst = min(found, key=lambda name: found[name])
    region = REGIONS[worst].name.lower()
    words = f"{region} found worst: {found[worst]:.2f} of what is {region} or was taken for it is both"
    return Fault(name=f"{region}", words=words, size=(1 - found[worst]) / 0.3)


def _units(own: _Scores, truth: _Scores, plain: _Scores) -> Fault | None:
    """The unit that follows the truth worst; below 0.7 an animator sees that it goes its own way."""
    found = {name: own[name] for name in UNITS if name in own}
    if not found:
        words = f"nobody moves: AU error {_n(own, 'units')}" if own.get("units", 0.0) > 0 else ""
        return Fault(name="nobody moves", words=words, size=3.0) if words else None
    worst = min(found, key=lambda name: found[name])
    unit = UNITS[worst]
    words = f"{unit.name} ({unit.title}) follows worst: correlation {found[worst]:.2f} with the true one"
    return Fault(name=unit.name, words=words, size=(1 - found[worst]) / 0.3)


_OVER_TIME: tuple[_Rule, ...] = (_detail, _tint, _colour_wanders, _shakes, _flickers, _unexplained)
_ONE_PICTURE: tuple[_Rule, ...] = (_not_the_person, _unlike, _detail)
_RULES: Mapping[str, tuple[_Rule, ...]] = {
    "swap": (
        *(_wrong_person, _not_swapped, _head, _expression, _seam, _left_standing, _outside),
        *_OVER_TIME,
    ),
    "animate": (_drifts, _not_performed, _not_turned, *_OVER_TIME),
    "regions": (_regions,),
    "rebuild": _ONE_PICTURE,
    "edit": _ONE_PICTURE,
    "units": (_units,),
}


def _n(scores: _Scores, measure: str) -> str:
    return number(measure, scores[measure])
