"""``understudy bench``: how fast this machine is."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command
from understudy.cli.show import escape


def _job() -> Any:
    from understudy.jobs.bench import BenchOptions, bench

    return BenchOptions, bench


def _show(report: Any) -> str:
    limits = report.limits
    lines = [
        f"[bold]{escape(limits.name)}[/] ({limits.device}, {limits.threads} threads)",
        f"  limits    {limits.bf16_gflops:.0f} Gflop/s bf16, {limits.float32_gflops:.0f} float32, "
        f"{limits.bandwidth_gbs:.1f} GB/s memory",
    ]
    if report.gather:
        rate = report.gather
        lines.append(f"  gather    {rate.faces_per_second:.1f} faces/s at {rate.width} x {rate.height}")
    else:
        lines.append(f"  gather    [yellow]not measured: {escape(report.gather_missing)}[/]")
    if report.shot_frames_per_second:
        lines.append(f"  swap      {report.shot_frames_per_second:.1f} frames/s, preview, from plate to finished movie")
    lines.append(
        f"  blend     {1000 * report.blend.seconds:.0f} ms at 1024 x 1024 ({report.blend.share:.0%} of memory's limit)"
    )
    for warp in report.warps:
        memory = f", {warp.peak_bytes / 1e6:.0f} MB" if warp.peak_bytes is not None else ""
        lines.append(
            f"  warp      {1000 * warp.seconds:.0f} ms at {warp.size} x {warp.size}, {warp.method} "
            f"({warp.share:.0%} of memory's limit){memory}"
        )
    for rate in report.regions:
        lines.append(
            f"  regions   {1000 * rate.seconds:.0f} ms at {rate.size} x {rate.size}, {escape(rate.preset)} "
            f"({1000 * rate.everywhere_seconds:.0f} ms with every region everywhere, "
            f"{1000 * rate.plain_seconds:.0f} ms without regions)"
        )
    lines.append(f"  --help    {1000 * report.help.help:.0f} ms; python -c pass {1000 * report.help.python:.0f} ms")
    lines += [
        "",
        f"[bold]{'preset':<12}{'training':>14}{'of limit':>10}{'swapping':>14}{'of limit':>10}{'memory':>10}[/]",
    ]
    for rate in report.presets:
        memory = f"{rate.peak_gib:.1f} GiB" if rate.peak_gib is not None else ""
        lines.append(
            f"{rate.preset:<12}{rate.training_pictures_per_second:>9.2f} pic/s{rate.training_share:>10.0%}"
            f"{rate.swap_frames_per_second:>9.2f} fr/s{rate.swap_share:>11.0%}{memory:>10}"
        )
    lines += [f"{skipped.preset:<12}[dim]left out: {escape(skipped.reason)}[/]" for skipped in report.skipped]
    note = "Shares are operations a second over matrix multiplication in the same precision, measured in the same run."
    return "\n".join([*lines, f"[dim]{note}[/]"])


COMMAND = Command(
    sentence="Measure this machine at every stage, each beside the machine's own limit.",
    job=_job,
    show=_show,
    flags={"presets": ("--preset",)},
    example="understudy bench --preset preview --json",
)
