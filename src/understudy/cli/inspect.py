"""``understudy inspect``: the papers' experiments on a trained model."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Group
from understudy.cli.show import count, escape, path


def _interpolate_job() -> Any:
    from understudy.jobs.inspect import InterpolateOptions, interpolate

    return InterpolateOptions, interpolate


def _show_interpolate(report: Any) -> str:
    lines = [f"{path(report.sheet)}", f"[dim]from {escape(report.anchors[0])} to {escape(report.anchors[1])}[/]"]
    for name, smoothness in report.smoothness.items():
        mean = sum(report.steps[name]) / len(report.steps[name])
        lines.append(f"  {escape(name)}: mean step {mean:.2f} % of the range, largest {smoothness:.2f} times that")
    return "\n".join(lines)


def _neighbours_job() -> Any:
    from understudy.jobs.inspect import NeighboursOptions, neighbours

    return NeighboursOptions, neighbours


def _show_neighbours(report: Any) -> str:
    lines = [f"{path(report.sheet)}"]
    for frame in report.frames:
        lines.append(f"  frame {frame['number']}: nearest {escape(frame['picture'])}, {frame['distance']:.4f} away")
    return "\n".join([*lines, f"[dim]training pictures lie {report.spacing:.4f} from their own nearest fellows[/]"])


def _latents_job() -> Any:
    from understudy.jobs.inspect import LatentsOptions, latents

    return LatentsOptions, latents


def _show_latents(report: Any) -> str:
    return "\n".join(
        [
            f"{path(report.sheet)}",
            f"  the two axes drawn hold {100 * sum(report.explained):.0f} % of the variance of {report.size} numbers",
            f"  {100 * report.told_apart:.0f} % of the pictures are told apart by the nearest class mean (chance "
            f"{100 * report.chance:.0f} %): the nearer to chance, the freer of identity the latents are",
        ]
    )


def _memory_job() -> Any:
    from understudy.jobs.inspect_memory import MemoryOptions, memory

    return MemoryOptions, memory


def _show_memory(report: Any) -> str:
    lines = [path(report.sheet)]
    for name, found in report.weightings.items():
        own = " (this network's)" if name == report.weighting else ""
        lines.append(
            f"  {escape(name)}{own}: {found.effective:.2f} of {report.focal_points} focal points in effect, the largest weight "
            f"{found.largest:.3f}, a weight varies by {found.spread:.4f}; the prior's mean moves by {found.prior_moves:.3f} "
            f"beside a deviation of {found.prior_deviation:.2f}"
        )
    lines.append(f"[dim]{count(report.pictures, 'picture')}, {escape(str(report.model))}[/]")
    if report.unread:
        lines.append(f"[yellow]no face was found in {count(report.unread, 'further picture')}[/]")
    return "\n".join(lines)


def _animation_job() -> Any:
    from understudy.jobs.measure_animation import MeasureAnimationOptions, measure_animation

    return MeasureAnimationOptions, measure_animation


def _show_animation(report: Any) -> str:
    from understudy.jobs.measure_animation import MEASURES

    rows = {("still", "left as it is"): report.still}
    for model, methods in report.scores.items():
        rows |= {(model, method): scores for method, scores in methods.items()}
    rows["answer", "against its label"] = report.answer
    taken = [name for name in MEASURES if any(name in scores for scores in rows.values())]
    widths = [max(len(MEASURES[name][0]), 8) for name in taken]
    first = max(len(model) for model, _ in rows)
    heads = "  ".join(f"{MEASURES[name][0]:>{width}}" for name, width in zip(taken, widths, strict=True))
    lines = [path(report.sheet), f"[bold]{'':<{first + 19}}{escape(heads)}[/]"]
    for (model, method), scores in rows.items():
        cells = [
            f"{scores[name]:>{width}.4g}" if name in scores else " " * width
            for name, width in zip(taken, widths, strict=True)
        ]
        lines.append(f"{escape(f'{model:<{first}}')}  {method:<17}{'  '.join(cells)}")
    for model, scores in report.reconstruction.items():
        figures = ", ".join(f"{MEASURES[name][0]} {value:.4g}" for name, value in scores.items())
        lines.append(escape(f"{model}: stills made from their own latents, at the network's size: {figures}"))
    for model, rate in report.frames_per_second.items():
        lines.append(escape(f"{model}: the network makes {rate:.1f} frames a second here"))
    if report.drivers_apart is not None:
        lines.append(
            f"[dim]driven by another person whose labels are {report.drivers_apart:.2f} from the answer's; PSNR, SSIM and LPIPS "
            "are exact at 0[/]"
        )
    better = ", ".join(f"{MEASURES[name][0]} {MEASURES[name][2]}" for name in taken)
    counted = f"{count(report.pairs, 'pair')} of {count(report.people, 'person', 'people')} at {report.size} pixels"
    lines.append(f"[dim]{counted}; better is: {better}[/]")
    lines += [f"[dim]{escape(model)}: {escape(file)}[/]" for model, file in report.models.items()]
    if report.unread:
        lines.append(f"[yellow]no face was found in {count(report.unread, 'further pair')}[/]")
    return "\n".join([*lines, *(f"[yellow]{escape(sentence)}[/]" for sentence in report.missing)])


def _regions_job() -> Any:
    from understudy.jobs.measure_regions import MeasureRegionsOptions, measure_regions

    return MeasureRegionsOptions, measure_regions


def _show_regions(report: Any) -> str:
    from understudy.jobs.evaluate_measures import MODEL, shown

    lines = [path(report.sheet)]
    for title, rows in (("given back", report.reconstruction), ("swapped", report.swaps)):
        if not rows:
            continue
        taken = [name for name in MODEL if any(name in scores for scores in rows.values())]
        widths = [max(len(MODEL[name].label), 7) for name in taken]
        first = max(len(row) for row in (*rows, title))
        heads = "  ".join(f"{MODEL[name].label:>{width}}" for name, width in zip(taken, widths, strict=True))
        lines.append(f"[bold]{escape(f'{title:<{first}}')}  {escape(heads)}[/]")
        for row, scores in rows.items():
            cells = [
                f"{shown(name, scores[name]) if name in scores else '':>{width}}"
                for name, width in zip(taken, widths, strict=True)
            ]
            lines.append(f"{escape(f'{row:<{first}}')}  {'  '.join(cells)}")
    told = ", ".join(f"{name} {value:.3f}" for name, value in report.overlap.items())
    lines.append(f"the parser's regions: mIoU {report.mean_overlap:.3f}; {escape(told)}")
    for model, seconds in report.seconds.items():
        told = ", ".join(f"{stage} {taken:.3f}" for stage, taken in seconds.items())
        lines.append(f"seconds a picture, {escape(model)}: {told}")
    counted = f"{count(report.pictures, 'picture')} of {count(report.people, 'person', 'people')}"
    if report.pairs:
        counted += f", {count(report.pairs, 'swap')}, looked up among {count(report.gallery, 'person', 'people')}"
    lines.append(f"[dim]{counted}[/]")
    lines += [f"[dim]{escape(model)}: {escape(file)}[/]" for model, file in report.models.items()]
    lines += [f"[dim]{escape(f'{name}: {words}')}[/]" for name, words in report.networks.items()]
    lines += [
        f"[yellow]{escape(model)} is not judged by {', '.join(names)}: their network taught it[/]"
        for model, names in report.barred.items()
    ]
    if report.unread:
        lines.append(f"[yellow]no face was found in {count(report.unread, 'swapped picture')}[/]")
    return "\n".join([*lines, *(f"[yellow]{escape(sentence)}[/]" for sentence in report.missing)])


COMMAND = Group(
    sentence="Look into a trained model, as the paper's appendix does.",
    commands={
        "interpolate": Command(
            sentence="Walk the straight path between two latents, decoded by every identity (Fig. 15, 16), or mix two faces.",
            job=_interpolate_job,
            show=_show_interpolate,
            arguments=("subjects",),
            flags={"identities": ("--decode",), "anchors": ("--anchor",)},
            example="understudy inspect interpolate --anchor stranger1.jpg --anchor stranger2.jpg\n\n"
            "understudy inspect interpolate --family boundary_vae a.jpg b.jpg -o grid.png",
        ),
        "neighbours": Command(
            sentence="Show generated faces beside the nearest training pictures (Fig. 14).",
            job=_neighbours_job,
            show=_show_neighbours,
            arguments=("plate",),
            example="understudy inspect neighbours footage/plate.mp4 --identity anna",
        ),
        "latents": Command(
            sentence="Draw every identity's pictures in latent space, and test how far it tells them apart.",
            job=_latents_job,
            show=_show_latents,
        ),
        "memory": Command(
            sentence="Show a boundary_vae network's focal points, and how far their weights tell faces apart.",
            job=_memory_job,
            show=_show_memory,
            arguments=("data",),
            example="understudy inspect memory heldback -o memory.png",
        ),
        "animation": Command(
            sentence="Animate held-back people's stills and measure how near they come to the true pictures (Tables 2, 3).",
            job=_animation_job,
            show=_show_animation,
            arguments=("data",),
            flags={"runs": ("--run",), "families": ("--family",)},
            example="understudy inspect animation heldback --run warping-preview --run no-refine\n\n"
            "understudy inspect animation heldback --run boundary_vae-preview --drive other --no-retarget",
        ),
        "regions": Command(
            sentence="Give held-back pictures back by region, and swap random pairs of people (Tables 1 to 3).",
            job=_regions_job,
            show=_show_regions,
            arguments=("data",),
            flags={"runs": ("--run",)},
            example="understudy inspect regions heldback --reenact mesh --reenact none\n\n"
            "understudy inspect regions heldback --run full --run fixed --pictures 20 --optimise 50",
        ),
    },
)
