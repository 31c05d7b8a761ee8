"""The demo's order and resuming, its page, doctor, weights and bench; heavy stages are stand-ins."""

from __future__ import annotations

import html.parser
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from understudy.errors import OptionError
from understudy.faces.regions import Region
from understudy.jobs import demo as demo_job
from understudy.jobs import demo_report, report_page
from understudy.jobs.bench import PRESETS, BenchOptions, BlendTime, HelpTime, bench
from understudy.jobs.bench_regions import drawn_face, region_rate
from understudy.jobs.bench_warp import warp_rate
from understudy.jobs.demo import TAKES, DemoOptions, demo
from understudy.jobs.doctor import DoctorOptions, State, doctor
from understudy.jobs.machine_limits import Limits, best_time, command_seconds, times
from understudy.jobs.weights import ListOptions, PullOptions, list_weights, pull_weights
from understudy.provenance import weights
from understudy.provenance.record import RunRecord

# -- demo ----------------------------------------------------------------------------------------------------------------

_MEASURED = {
    "size": 128,
    "numbers": [1, 2, 3],
    "scores": {
        "swap": {"ssim": 0.8, "psnr": 22.0, "identity": 0.6, "flicker": 1.0},
        "plate": {"ssim": 0.7, "psnr": 20.0, "identity": 0.3, "flicker": 1.5},
        "neighbour": {"ssim": 0.6, "psnr": 18.0, "identity": 0.7, "flicker": 4.0},
        "truth": {"identity": 0.9},
    },
    "per_frame": {
        "swap": {"ssim": [0.8, 0.8, 0.8], "flicker": [1.0, 1.0]},
        "plate": {"ssim": [0.7, 0.7, 0.7], "flicker": [1.5, 1.5]},
        "neighbour": {"ssim": [0.6, 0.6, 0.6], "flicker": [4.0, float("inf")]},
    },
    "jitter": {"swap": 0.2, "plate": 0.2, "neighbour": 1.0, "truth": 0.2},
    "neighbours": {"training_pictures": 200, "pictures_used": 20, "jumps": 30, "steps": 199},
    "missing": ["LPIPS is <not> at hand."],
}


@pytest.fixture
def stages(monkeypatch, tmp_path):
    """Stand-ins for the demo's stages; returns the list of what was done."""
    done = []
    gathered = {
        "identities": [
            {
                "identity": "jun",
                "total": 200,
                "skipped": [],
                "jitter": {"landmarks_before": 0.5, "landmarks_after": 0.2, "crop_before": 0.6, "crop_after": 0.1},
            }
        ]
    }

    def train(project, minutes, progress):
        done.append(f"train {minutes:g}")
        run = project.runs / "demo"
        (run / "previews").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(run / "previews" / "latest.jpg"), np.zeros((8, 8, 3), np.uint8))
        lines = [json.dumps({"pictures": n, "time": 0, "l1": 1 / (n + 1), "fade": 1.0}) for n in range(5)]
        (run / "curves.jsonl").write_text("\n".join(lines))
        return SimpleNamespace(
            run=run, pictures=5000, steps=600, preview=run / "previews" / "latest.jpg", stopped_by=stages.stopped_by
        )

    def swap(project, take, progress):
        done.append(f"swap {take.swapped_in}")
        output = project.renders / f"{take.swapped_in}_as_{Path(take.plate).stem}.mp4"
        output.write_bytes(b"movie")
        RunRecord.begin("swap <b>").write(output)
        return {"swapped": 200}

    def measure(project, take, every, progress):
        done.append(f"measure {take.swapped_in}")
        return _MEASURED

    def inspect(project, progress):
        sheet = {"sheet": str(project.root / "report" / "sheet.jpg")}
        path = sheet | {"smoothness": {"anton": 1.2, "jun": 1.3}}
        return {
            "interpolate": path,
            "latents": {"told_apart": 0.6, "chance": 0.5},
            "neighbours": [sheet | {"spacing": 0.02}],
        }

    def contact_sheet(project, swap, folder):
        done.append(f"sheet {swap['swapped_in']}")

    monkeypatch.setattr(
        demo_job, "_gather", lambda project, take, progress: done.append(f"gather {take.performer}") or gathered
    )
    monkeypatch.setattr(demo_job, "_train", train)
    monkeypatch.setattr(demo_job, "_swap", swap)
    monkeypatch.setattr(demo_job, "_measure", measure)
    monkeypatch.setattr(demo_job, "_inspect", inspect)
    monkeypatch.setattr(
        demo_job, "plain", lambda value: vars(value) if isinstance(value, SimpleNamespace) else plain(value)
    )
    monkeypatch.setattr(demo_report, "_contact_sheet", contact_sheet)
    stages = SimpleNamespace(done=done, stopped_by="minutes")
    return stages


def plain(value):
    from understudy.provenance.record import plain

    return plain(value)


def test_the_demo_goes_all_the_way(stages, tmp_path):
    report = demo(DemoOptions(folder=tmp_path / "demo", minutes=2))
    assert stages.done == [
        "gather jun", "gather anton", "train 2", "swap anton", "swap jun", "measure anton", "measure jun",
        "sheet anton", "sheet jun",
    ]  # fmt: skip
    assert report.finished and report.report.exists()
    data = json.loads(report.data.read_text())
    assert set(data["stages"]) == {"prepare", "gather", "train", "swap", "measure", "inspect", "report"}
    assert data["minutes"] == pytest.approx(sum(data["stages"].values()) / 60)
    assert [path.name for path in report.movies] == ["anton_as_jun_r2.mp4", "jun_as_anton_r1.mp4"]
    project = report.report.parent
    for take in TAKES:
        assert (project / "footage" / take.plate).stat().st_size > 100_000
        assert (project / "footage" / "truth" / take.truth).stat().st_size > 100_000
    cast = (project / "cast.toml").read_text()
    assert "[identities.anton]" in cast and "synthetic = true" in cast


def test_a_demo_stopped_while_training_waits_for_the_next_run(stages, tmp_path):
    stages.stopped_by = "SIGINT"
    report = demo(DemoOptions(folder=tmp_path / "demo"))
    assert not report.finished and report.stopped_by == "SIGINT"
    assert stages.done == ["gather jun", "gather anton", "train 7"]
    before = json.loads((tmp_path / "demo" / "times.json").read_text())
    stages.stopped_by = "minutes"
    report = demo(DemoOptions(folder=tmp_path / "demo"))
    assert report.finished
    assert report.stages["gather"] >= before["gather"]  # times add up over the runs


def test_the_page_is_whole_and_safe(stages, tmp_path):
    page = demo(DemoOptions(folder=tmp_path / "demo")).report.read_text()
    open_tags = []

    class Check(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag not in ("meta", "br", "img", "input", "html", "body", "polyline", "line"):
                open_tags.append(tag)
            for name, value in attributes:
                if name in ("src", "href"):
                    assert "://" not in value, "nothing is fetched from elsewhere"

        def handle_startendtag(self, tag, attributes):
            pass

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Check().feed(page)
    assert open_tags == []
    assert "$" not in page
    assert "LPIPS is &lt;not&gt; at hand." in page
    assert "swap &lt;b&gt;" in page
    assert "<td class=best>0.800</td>" in page  # the swap's SSIM is the best of the three
    assert "<td class=best>0.700</td>" in page  # the neighbour's identity


def test_a_demo_needs_minutes_and_its_clips(stages, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="--minutes"):
        demo(DemoOptions(folder=tmp_path / "demo", minutes=0))
    monkeypatch.setattr(demo_job, "TAKES", (replace(TAKES[0], plate="lost.mp4"),))
    with pytest.raises(OptionError, match="lost.mp4"):
        demo(DemoOptions(folder=tmp_path / "demo"))


def test_a_chart_skips_what_is_not_finite_and_bears_constants():
    chart = report_page.line_chart("PSNR", [1, 2, 3], {"swap": [1.0, float("inf"), 1.0], "plate": [1.0, 1.0]})
    assert chart.count("<polyline") == 2
    assert "nan" not in chart and "inf" not in chart


# -- doctor and weights ----------------------------------------------------------------------------------------------------


def test_doctor_looks_at_everything_and_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("UNDERSTUDY_MODELS", raising=False)
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "none"))
    report = doctor(DoctorOptions(folder=tmp_path / "not" / "there"))
    found = {check.name: check for check in report.checks}
    assert {"python", "packages", "processor", "torch", "gpu", "bf16", "memory", "disk", "movies", "pictures"} <= set(
        found
    )
    assert found["python"].state is State.OK
    assert found["packages"].state is State.OK, found["packages"].found
    assert found["movies"].state is State.OK, found["movies"].found
    assert found["face models"].state is State.MISSING
    assert "weights pull faces" in found["face models"].advice
    assert found["measure LPIPS"].state is State.LIMITED
    assert not report.healthy
    assert all(check.advice for check in report.checks if check.state is State.MISSING)
    assert not (tmp_path / "not").exists()


def test_every_weight_is_listed_with_its_papers(tmp_path, monkeypatch):
    monkeypatch.delenv("UNDERSTUDY_MODELS", raising=False)
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    report = list_weights()
    assert [row.name for row in report.weights] == [weight.name for weight in weights.WEIGHTS]
    assert all(row.licence and row.sources for row in report.weights)
    # A checksum that its publisher never gave is left open, and such a file is the user's to bring: nothing pulls it.
    assert all(
        len(row.sha256) == 64 for row, weight in zip(report.weights, weights.WEIGHTS, strict=True) if weight.sources
    )
    assert all(len(row.sha256) in (0, 64) for row in report.weights)
    commercial = list_weights(ListOptions(commercial_only=True)).weights
    assert 0 < len(commercial) < len(report.weights)
    assert all(row.commercial for row in commercial)


def test_a_complete_set_is_not_asked_for_again(tmp_path, monkeypatch):
    """The second alternative is whole: the first one's address is left alone."""
    monkeypatch.delenv("UNDERSTUDY_MODELS", raising=False)
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    rows = [
        replace(row, path=tmp_path / row.weight.file, intact=row.weight.name != "face-landmarker")
        for row in weights.listing()
    ]
    monkeypatch.setattr(weights, "listing", lambda: rows)
    monkeypatch.setattr(weights, "pull", lambda *args, **kwargs: pytest.fail("the network was asked"))
    report = pull_weights(PullOptions())
    assert [path.name for path in report.paths] == [weights.get(name).file for name in weights.GROUPS["faces"][1]]


# -- bench -----------------------------------------------------------------------------------------------------------------

LIMITS = Limits(
    device="cpu", name="test", threads=1, float32_gflops=50.0, bf16_gflops=100.0, bandwidth_gbs=10.0
)  # fmt: skip


def test_a_preset_is_trained_and_swapped_and_counted(tmp_path, monkeypatch):
    """On a recipe small enough for a test: rates are positive, and the share is operations over the limit."""
    from understudy.families import get
    from understudy.family import Recipe, Stage
    from understudy.jobs import bench as bench_job

    tiny = Recipe(
        family="comb",
        preset="preview",
        network={"widths": (8, 8, 4), "latent": 8, "split_level": 1},
        stages=(Stage(resolution=16, pictures=10, batch=2, fade=0.0),),
        precision="float32",
    )
    monkeypatch.setattr(bench_job, "_recipe", lambda preset: tiny)
    rate, checkpoint = bench_job._preset("preview", "cpu", LIMITS, 0.05, tmp_path)
    assert rate.batch == 2 and rate.steps >= 1 and rate.precision == "float32"
    assert rate.training_share == pytest.approx(
        rate.training_pictures_per_second * rate.training_gflop_per_picture / LIMITS.float32_gflops
    )
    # A training picture costs more than two, and less than five, passes through encoder and decoder.
    assert 2 < rate.training_gflop_per_picture / rate.swap_gflop_per_frame < 5
    assert rate.swap_frames_per_second > 0
    assert get("comb").performer(checkpoint).size == 16


def test_operations_are_counted_rightly():
    """The network's multiply-adds, counted by hand from its convolutions' shapes."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    layer = torch.nn.Conv2d(3, 5, 3, padding=1)
    with FlopCounterMode(display=False) as counted:
        layer(torch.zeros(2, 3, 7, 7))
    assert counted.get_total_flops() == 2 * (2 * 7 * 7 * 5 * 3 * 9)


def test_what_does_not_fit_is_left_out_and_the_rest_is_reported(tmp_path, monkeypatch):
    from understudy.jobs import bench as bench_job

    monkeypatch.setattr(bench_job, "measure_limits", lambda device: LIMITS)
    monkeypatch.setattr(bench_job, "command_seconds", lambda arguments: 0.02)
    monkeypatch.setattr(bench_job, "_blend", lambda limits: BlendTime(seconds=0.1, share=0.01))
    monkeypatch.setattr(bench_job, "WARPS", ((160, "vanilla"),))
    monkeypatch.setattr(bench_job, "NETWORKS", ())
    monkeypatch.setattr(bench_job, "_gather", lambda scratch, progress: (None, "no models"))
    monkeypatch.setattr(bench_job, "_free_memory", lambda device: 1)
    report = bench(BenchOptions(output=tmp_path / "bench.json"))
    assert [skipped.preset for skipped in report.skipped] == list(PRESETS)
    assert all("GB" in skipped.reason for skipped in report.skipped)
    assert report.help == HelpTime(help=0.02, python=0.02)
    assert report.gather_missing == "no models"
    assert [(warp.size, warp.method) for warp in report.warps] == [(160, "vanilla")]
    assert json.loads((tmp_path / "bench.json").read_text())["limits"]["bf16_gflops"] == 100.0
    with pytest.raises(OptionError, match="hero-2048"):
        bench(BenchOptions(presets=("hero-2048",)))


def test_a_warp_is_timed_and_its_memory_measured():
    rate = warp_rate(512, LIMITS, seconds=0.05)
    assert 0 < rate.seconds <= rate.median_seconds and rate.prepare_seconds > 0
    picture = 512 * 512 * 3 * 4
    assert rate.moved_bytes == picture * 2 + picture * (1 + 1 / 4)  # still and result; residuals at 512 and 256
    assert rate.share == pytest.approx(rate.moved_bytes / (LIMITS.bandwidth_gbs * 1e9) / rate.seconds)
    if sys.platform.startswith("linux"):
        assert rate.peak_bytes is not None and 2 * picture < rate.peak_bytes < 40 * picture


def test_regions_are_timed_on_a_face_that_has_them():
    rate = region_rate("preview", device="cpu", seconds=0.01)
    assert rate.size == 128
    assert min(rate.seconds, rate.everywhere_seconds, rate.plain_seconds) > 0
    shown = set(np.unique(drawn_face(128)).tolist())
    assert shown == set(range(12)) - {Region.GLASSES}


def test_the_papers_preset_is_taken_for_larger_than_the_preview():
    from understudy.jobs import bench as bench_job

    free = bench_job._free_memory("cpu")
    assert free is None or free > 0
    assert bench_job._recipe("hero-1024").stages[0].resolution == 1024
    assert bench_job._recipe("preview").start is None


def test_timing():
    assert len(times(lambda: None, seconds=0, least=4)) == 4
    assert best_time(lambda: None, seconds=0) < 0.01
    assert 0.001 < command_seconds(["-c", "pass"], runs=3) < 5
