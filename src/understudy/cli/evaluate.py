"""``understudy evaluate``: how good a swapped shot or a trained model is."""

from __future__ import annotations

from typing import Any

from understudy.cli.command import Command, Group
from understudy.cli.show import count, escape, path


def _swap_job() -> Any:
    from understudy.jobs.evaluate_swap import evaluate_swap
    from understudy.jobs.options_evaluate import EvaluateSwapOptions

    return EvaluateSwapOptions, evaluate_swap


def _show_swap(report: Any) -> str:
    from understudy.jobs.evaluate_measures import SHOT

    faces = f"{count(len(report.numbers), 'frame')} at {report.size} pixels"
    if report.without_face:
        faces += f"; {count(report.without_face, 'frame')} without a face"
    said = [f"{place}. {escape(sentence)}" for place, sentence in enumerate(report.faults, 1)]
    return "\n".join([*_table(report.scores, SHOT, report.worst), f"[dim]{faces}[/]", *said, *_rest(report)])


def _model_job() -> Any:
    from understudy.jobs.evaluate_model import evaluate_model
    from understudy.jobs.options_evaluate import EvaluateModelOptions

    return EvaluateModelOptions, evaluate_model


def _show_model(report: Any) -> str:
    from understudy.jobs.evaluate_measures import MODEL

    colour = "dim" if report.seen == "held back" else "yellow"
    lines = [*_table(report.scores, MODEL, {}), f"[{colour}]{escape(report.pictures_are)}[/]"]
    return "\n".join([*lines, *_rest(report)])


def _table(scores: Any, measures: Any, worst: Any) -> list[str]:
    """A row a measure, a column a candidate, and the worst frame."""
    from understudy.jobs.evaluate_measures import shown

    columns = list(scores)
    widths = [max(len(column), 8) for column in columns]
    names = [name for name in measures if any(name in scores[column] for column in columns)]
    labels = {
        name: measures[name].label + (f", {measures[name].unit}" if measures[name].unit else "") for name in names
    }
    first = max((len(label) for label in labels.values()), default=0) + 2
    heads = "  ".join(f"{column:>{width}}" for column, width in zip(columns, widths, strict=True))
    lines = [f"[bold]{'':<{first + 2}}{escape(heads)}{'   worst frame' if worst else ''}[/]"]
    for name in names:
        cells = [
            f"{shown(name, scores[column][name]) if name in scores[column] else '':>{width}}"
            for column, width in zip(columns, widths, strict=True)
        ]
        arrow = {"higher": "↑", "lower": "↓"}.get(measures[name].better, " ")
        far = f"   {shown(name, worst[name]['value'])} in {worst[name]['frame']}" if name in worst else ""
        lines.append(f"{escape(labels[name]):<{first}}{arrow} {'  '.join(cells)}{far}")
    return lines


def _rest(report: Any) -> list[str]:
    stood = sorted({f"{name}: {words}" for name, words in report.networks.items()})
    lines = [f"[dim]{escape(words)}[/]" for words in stood]
    lines += [f"[dim]{escape(sentence)}[/]" for sentence in report.notes]
    lines += [f"[yellow]{escape(sentence)}[/]" for sentence in report.missing]
    lines += [f"[{'green' if verdict.passed else 'red'}]{escape(verdict)}[/]" for verdict in report.verdicts]
    return [*lines, path(report.report)]


def _exit_code(report: Any) -> int:
    return 0 if report.passed else 1


COMMAND = Group(
    sentence="Judge a swapped shot or a trained model: figures, curves, worst frames, pass or fail.",
    commands={
        "swap": Command(
            sentence="Judge one swapped shot, against the true answer where there is one; writes a page, JSON and sheets.",
            job=_swap_job,
            show=_show_swap,
            arguments=("swap",),
            example="understudy evaluate swap renders/shot.mp4 --plate footage/shot.mp4 --identity anna --fail-below identity=0.6",
            exit_code=_exit_code,
        ),
        "model": Command(
            sentence="Judge a trained model on the pictures that training kept back (train --hold-back).",
            job=_model_job,
            show=_show_model,
            arguments=("run",),
            example="understudy evaluate model comb-preview",
            exit_code=_exit_code,
        ),
    },
)
