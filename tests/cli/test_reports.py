"""What a person reads after a command: every report's text, with names that hold square brackets."""

from __future__ import annotations

import importlib
from dataclasses import fields
from io import StringIO
from pathlib import Path
from types import SimpleNamespace as Report

import pytest

from understudy.cli import show
from understudy.cli.command import Group
from understudy.cli.commands import ENTRIES
from understudy.cli.run import load
from understudy.jobs.benchmark_rows import Fault, Row, TableLine

ODD = Path("renders/shot [v2]/a.mp4")

JITTER = Report(landmarks_before=0.51, landmarks_after=0.2, crop_before=0.62, crop_after=0.11)
GATHERED = Report(
    identity="anna", written=7, kept=1, gone=2, total=8, jitter=JITTER, sheet=ODD,
    skipped=(Report(number=3, reason="no face [none]"), Report(number=4, reason="no face [none]")),
)  # fmt: skip
PICTURE = Report(name="a.[1].0", blur=0.1, yaw=3.0, pitch=1.0, roll=0.0, size=200.0, duplicates=44, likeness=0.5)
SCORES = {"swap": {"ssim": 0.8, "psnr": float("inf")}, "plate": {"ssim": 0.7, "psnr": 20.0}, "truth": {"identity": 0.9}}
RATE = Report(
    preset="preview", training_pictures_per_second=60.0, training_share=0.4, swap_frames_per_second=30.0,
    swap_share=0.2, peak_gib=1.5,
)  # fmt: skip

REPORTS = {
    "new": {"project": Path("show"), "cast": Path("show/cast.toml"), "identities": ["anna"]},
    "gather": Report(identities=(GATHERED,), people_sheet=ODD, seconds={"all": 12.3}, num_frames=10),
    "review": Report(
        pictures=(PICTURE,) * 20, likeness_by="pixels", act="drop", acted=("a",), in_set=19, out_of_set=1, sheet=ODD
    ),
    "train": Report(
        finished=False,
        stopped_by="SIGINT",
        identities=("anna", "robin"),
        pictures=900,
        seconds=75.0,
        pictures_per_second=12.0,
        figures={"l1": 0.0123, "fade": 1.0},
        checkpoint=ODD,
        preview=ODD,
    ),  # fmt: skip
    "swap": Report(
        swapped=198,
        num_frames=200,
        output=ODD,
        passed_through=(Report(number=1001, reason="turned away"),),
        people_sheet=ODD,
        sheet=ODD,
        seconds={"track": 3.0, "all": 4000.0},
        record=ODD,
    ),  # fmt: skip
    "curves": Report(
        num_frames=200,
        rate=25,
        output=ODD,
        neutral="frame [3]",
        filled=(Report(number=7, reason="no face [found]"),),
        peaks={"AU12": (4.2, 31), "AU01": (0.0, 1)},
        people_sheet=ODD,
        plot=ODD,
        record=ODD,
        seconds=61.0,
    ),  # fmt: skip
    "animate": Report(
        num_frames=48,
        rate="24000/1001",
        output=ODD,
        filled=(Report(number=7, reason="no face [found]"),),
        notes=("The head's window [a] reaches beyond the picture.",),
        people_sheet=ODD,
        performer_sheet=ODD,
        sheet=ODD,
        record=ODD,
        seconds={"track": 3.0, "all": 40.0},
    ),
    "edit regions": Report(
        output=ODD,
        changed={"lips [1]": 0.02},
        fit={"l2 [a]": 1.0},
        fit_before=1.0,
        fit_after=0.5,
        notes=("Fitted without [x].",),
        people_sheet=ODD,
        sheet=ODD,
        record=ODD,
        seconds={"track": 3.0, "all": 40.0},
    ),
    "edit landmarks": Report(picture=None, handles={"chin": "tip of the chin [1]"}),
    "evaluate swap": Report(
        scores={"swap": {"identity": 0.8, "jitter": float("nan")}, "plate": {"identity": 0.3}},
        worst={"identity": {"frame": 7, "value": 0.1}},
        faults=("soft [q]",),
        numbers=(1, 2),
        size=128,
        without_face=1,
        networks={"identity": "M [1]"},
        notes=("A movie [m].",),
        missing=("LPIPS [x] is not at hand.",),
        verdicts=(Report(passed=False),),
        passed=False,
        report=ODD,
    ),
    "evaluate model": Report(
        scores={"anna as ben": {"fid": 12.0}},
        seen="seen in training",
        pictures_are="Seen in training [s].",
        networks={"fid": "M [1]"},
        notes=(),
        missing=(),
        verdicts=(),
        passed=True,
        report=ODD,
    ),
    "measure": Report(
        scores=SCORES, jitter={"swap": 0.2}, numbers=(1, 2), size=128, missing=("LPIPS [x] is not at hand.",)
    ),
    "inspect interpolate": Report(
        sheet=ODD, anchors=("a [1]", "b"), smoothness={"anna": 1.2}, steps={"anna": (1.0, 2.0)}
    ),
    "inspect neighbours": Report(sheet=ODD, frames=({"number": 3, "picture": "p [3]", "distance": 0.1},), spacing=0.05),
    "inspect latents": Report(sheet=ODD, explained=(0.5, 0.2), size=256, told_apart=0.6, chance=0.5),
    "inspect animation": Report(
        sheet=ODD,
        still={"units": 8.0, "psnr": 20.0},
        answer={"units": 1.5, "identity": 0.9},
        scores={"run [a]": {"multiscale": {"units": 4.0, "flow_warp": 1.2, "psnr": 24.0}}},
        models={"run [a]": "runs/[a] (128 x 128)"},
        pairs=12,
        people=1,
        size=512,
        reconstruction={"run [a]": {"psnr": 30.0}},
        frames_per_second={"run [a]": 11.5},
        drivers_apart=0.5,
        unread=1,
        missing=("LPIPS [x] is not at hand.",),
    ),  # fmt: skip
    "inspect memory": Report(
        sheet=ODD,
        model="runs/[a]",
        pictures=60,
        unread=1,
        focal_points=8,
        weighting="centred",
        weightings={
            name: Report(effective=7.9, largest=0.15, spread=0.01, prior_moves=0.04, prior_deviation=4.0)
            for name in ("cosine", "centred")
        },
    ),
    "inspect regions": Report(
        sheet=ODD,
        reconstruction={"true regions [a]": {"ssim": 0.8, "psnr": 20.0}},
        swaps={"swap, mesh": {"top1": 0.5, "pose": 3.0}},
        overlap={"lips": 0.7},
        mean_overlap=0.7,
        seconds={"run [a]": {"parse": 0.1}},
        models={"run [a]": "runs/[a] (128 x 128)"},
        networks={"pose": "mesh [1]"},
        barred={"run [a]": ("identity",)},
        pictures=2,
        people=1,
        pairs=3,
        gallery=2,
        unread=1,
        missing=("LPIPS [x] is not at hand.",),
    ),
    "demo": Report(
        finished=True, minutes=11.5, scores={"anton.mp4": {"swap": {"ssim": 0.8}}}, stages={"gather": 61.0}, report=ODD
    ),
    "doctor": Report(
        healthy=False, checks=(Report(name="disk", state="missing", found="none [0]", advice="Buy one [1]."),)
    ),
    "weights list": Report(
        weights=(Report(name="w", intact=False, path=None, purpose="p [1]", licence="L [2]", commercial=False),),
        folders=(ODD,),
    ),
    "weights pull": Report(paths=(ODD,)),
    "weights import": Report(checkpoint=ODD, family=ODD, preset=ODD, data=ODD, licence=ODD),
    "bench": Report(
        limits=Report(
            name="CPU [1]", device="cpu", threads=2, bf16_gflops=300.0, float32_gflops=100.0, bandwidth_gbs=20.0
        ),
        gather=None,
        gather_missing="no [models]",
        shot_frames_per_second=9.0,
        blend=Report(seconds=0.1, share=0.02),
        warps=(Report(size=1024, method="multiscale", seconds=0.01, share=0.1, peak_bytes=5 << 20),),
        regions=(Report(preset="[p]", size=128, seconds=0.1, everywhere_seconds=0.4, plain_seconds=0.05),),
        help=Report(help=0.03, python=0.02),
        presets=(RATE,),
        skipped=(Report(preset="hero-1024", reason="12 GB"),),
    ),  # fmt: skip
}


REPORTS |= {
    "regions": Report(
        num_frames=3, made=2, files=12, form="mattes", output=ODD, empty=(4, 5), shares={"skin": 0.3, "background": 0.6},
        mean_overlap=0.9, overlap={"skin": 0.95}, people_sheet=ODD, sheet=ODD, record=ODD, seconds=3.0,
    ),
    "compare": Report(
        size=(640, 360), num_frames=9, output=ODD, names=("a [1]", "b"), notes=("b ends [early]",), record=ODD,
        differences={"b [2]": Report(mean=0.01, largest=0.5, beyond=0.001)},
    ),
    "benchmark": Report(
        tables={
            "swap": (
                TableLine(
                    contender="comb [x]", scores={"ssim": 0.8}, tasks=1, training=60.0, pictures=900, per_frame=0.3, starts="",
                    faults=(Fault(name="soft", words="soft [z]", size=2.0),),
                ),
                TableLine(
                    contender="b", scores={}, tasks=0, training=0.0, pictures=0, per_frame=0.0, starts="", skipped="no [w]"
                ),
            )
        },
        rows=(
            Row(
                contender="comb [x]", task="anton", kind="swap", notes=("LPIPS [y]",), scores={"ssim": 0.8},
                networks={"ssim": "eye [e]"},
            ),
        ),
        suite="suite [s]", minutes=1.0, processors=2, page=ODD,
    ),
}  # fmt: skip


def every_name() -> list[str]:
    names = []
    for entry in ENTRIES:
        command = load(entry.name)
        names += [f"{entry.name} {verb}" for verb in command.commands] if isinstance(command, Group) else [entry.name]
    return names


@pytest.mark.parametrize("name", every_name())
def test_a_report_can_be_read(name):
    from rich.console import Console

    first, *rest = name.split()
    command = load(first)
    command = command.commands[rest[0]] if isinstance(command, Group) else command
    stream = StringIO()
    Console(file=stream, soft_wrap=True, highlight=False).print(command.show(REPORTS[name]))
    text = stream.getvalue()
    assert text.strip()
    for value in brackets(REPORTS[name]):
        assert value in text, f"{value!r} was taken for markup"


def brackets(value) -> list[str]:
    """Every text inside a report that holds square brackets."""
    if isinstance(value, str | Path):
        return [str(value)] if "[" in str(value) else []
    if isinstance(value, Report):
        value = vars(value)
    if isinstance(value, dict):
        return [found for item in value.values() for found in brackets(item)]
    if isinstance(value, tuple | list):
        return [found for item in value for found in brackets(item)][:3]
    return []


def test_a_stand_in_has_the_fields_of_the_real_report():
    """The reports above are stand-ins; what they claim to have, the jobs' own reports have."""
    homes = {
        "gather": "gather_report:GatherReport",
        "review": "review:ReviewReport",
        "train": "train:TrainReport",
        "swap": "shot:SwapReport",
        "evaluate swap": "evaluate_swap:EvaluateSwapReport",
        "evaluate model": "evaluate_model:EvaluateModelReport",
        "measure": "measure:MeasureReport",
        "inspect interpolate": "inspect:InterpolateReport",
        "inspect neighbours": "inspect:NeighboursReport",
        "inspect latents": "inspect:LatentsReport",
        "demo": "demo:DemoReport",
        "doctor": "doctor:DoctorReport",
        "weights list": "weights:ListReport",
        "weights pull": "weights:PullReport",
        "weights import": "import_weights:ImportWeightsReport",
        "edit regions": "edit:EditReport",
        "bench": "bench:BenchReport",
    }
    for name, home in homes.items():
        module, kind = home.split(":")
        real = getattr(importlib.import_module(f"understudy.jobs.{module}"), kind)
        assert set(vars(REPORTS[name])) <= {field.name for field in fields(real)}, name


def test_words_for_numbers():
    assert show.ranges([1001, 1003, 1002, 1010]) == "1001-1003, 1010"
    assert show.ranges(range(1, 40, 2), most=3) == "1, 3, 5 and 17 more"
    assert [show.duration(s) for s in (0.5, 41.3, 425, 7800)] == ["0.5 s", "41 s", "7 min 05 s", "2 h 10 min"]
    assert (show.count(1, "frame"), show.count(2, "frame"), show.count(0, "face")) == ("1 frame", "2 frames", "0 faces")
    lines = show.reasons([(1, "no face"), (2, "no face"), (9, "blurred")])
    assert lines == ["  no face: 1-2", "  blurred: 9"]
    assert show.reasons([(n, f"reason {n}") for n in range(9)], most=2)[-1] == "  and 7 for other reasons"
