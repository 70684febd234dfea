"""`mkd search`: the best student within limits of latency and size; only students within them are trained."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mixkd.bench.report.figures import Evidence
from mixkd.bench.report.files import write_report
from mixkd.bench.report.schema import Report
from mixkd.bench.targets.base import LocalTarget, Target
from mixkd.compress import distill
from mixkd.compress.checkpoints import load_classifier
from mixkd.compress.config import DistillConfig
from mixkd.compress.locate import find_model
from mixkd.compress.student import layer_count
from mixkd.corpus.corpus import Corpus
from mixkd.errors import ConfigError, MkdError, OutputError
from mixkd.export import export
from mixkd.export.student import weights_sha256
from mixkd.metrics import HEADLINE
from mixkd.outputs import clear_write_errors, fresh_folder, whole_file
from mixkd.ownership import mark
from mixkd.pipeline.search_grid import Candidate, SearchConfig, make_grid
from mixkd.pipeline.search_measuring import Measuring, Probe, why_absent
from mixkd.pipeline.search_outcomes import Outcome, State, best_fitting, drop_out, mark_pareto
from mixkd.pipeline.search_trials import FEWEST, Trial, beaten, cheapest_first, dropped, is_comparable
from mixkd.progress import Progress, no_progress
from mixkd.runs import guard_resume, read_run, request_of
from mixkd.runtime.bundle import Bundle, open_bundle
from mixkd.temporaries import remove_leftovers, temporary_folder

RESULT_FILE = "search.json"
_REQUEST_FILE = "request.json"
_PROBES_FILE = "untrained.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search found.

    Attributes:
        outcomes: One per candidate, in the order of the grid.
        best: The bundle within the limits with the best score; None if no bundle is within them.
        metric: The name of the score.
        chosen_on: The split of the score.
    """

    outcomes: tuple[Outcome, ...]
    best: Path | None
    metric: str
    chosen_on: str


def search(
    teacher: str,
    corpus: Corpus,
    output: Path,
    *,
    grid: SearchConfig,
    distillation: DistillConfig,
    target: Target | None = None,
    overwrite: bool = False,
    resume: bool = False,
    announce: Callable[[str], None] = lambda _: None,
    progress: Progress = no_progress,
) -> SearchResult:
    """Train and export the students of a grid and choose the best one within the limits.

    Every candidate is first exported untrained: training changes neither its latency nor its size. A
    candidate beyond a limit is not trained, nor one whose shape a faster one beats in a short training. The
    others are distilled, exported, and measured together on the
    validation split, which chooses; test scores are only reported.

    Args:
        teacher: The teacher: a folder or a name on the hub.
        corpus: The data, with a training split.
        output: The folder of students, bundles, report and `search.json`.
        grid: The limits and the candidates.
        distillation: How each student is trained; its own choice of student is not used.
        target: Where latency is measured; None is this machine.
        overwrite: Replace what `output` holds.
        resume: Continue an interrupted search and keep what is complete. Limits and grid may change; teacher,
            data and training may not.
        announce: Called with a line when a step begins, and when a candidate is skipped.
        progress: Called with each step of a measurement.

    Raises:
        ConfigError: If the grid is impossible, the target measures no latency, or an interrupted search had
            another teacher, other data or another training.
        OutputError: If `output` holds something else, or an interrupted search and `resume` isn't given.
    """
    place = target or LocalTarget()
    if place.evidence is not Evidence.DEVICE:
        raise ConfigError(f"--target {place.name} measures no latency: search on local or ssh://")
    folder = find_model(teacher)
    candidates = make_grid(grid, teacher_layers=layer_count(load_classifier(folder)))
    request = request_of(
        corpus, config=distillation.as_dict(), teacher=teacher, teacher_sha256=weights_sha256(folder)
    )
    _open_output(output, request, overwrite=overwrite, resume=resume)
    run = _Search(teacher, corpus, output, grid, distillation, place, announce, progress)
    with clear_write_errors(output):
        return run.run(candidates)


def _open_output(output: Path, request: Mapping[str, Any], *, overwrite: bool, resume: bool) -> None:
    """Make the output folder, empty or with the results of an interrupted search that was asked the same."""
    file = output / _REQUEST_FILE
    if file.is_file() and resume:
        guard_resume(file, request)
        return
    if file.is_file() and not overwrite:
        raise OutputError(f"{output} holds a search: --resume continues it, --overwrite starts again")
    with fresh_folder(output, overwrite=overwrite) as folder:
        mark(folder, [_REQUEST_FILE, _PROBES_FILE, RESULT_FILE])
        guard_resume(folder / file.name, request)


class _Search:
    """One search; its state is what its folder holds."""

    def __init__(
        self,
        teacher: str,
        corpus: Corpus,
        output: Path,
        grid: SearchConfig,
        distillation: DistillConfig,
        target: Target,
        announce: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self._teacher, self._corpus, self._output = teacher, corpus, output
        self._grid, self._distillation, self._target = grid, distillation, target
        self._announce, self._progress = announce, progress
        self._measuring = Measuring(teacher, corpus, distillation, target, progress)
        self._chosen_on = corpus.first_split("validation")

    def run(self, candidates: Sequence[Candidate]) -> SearchResult:
        probes = self._probe(candidates)
        outcomes = {one.name: one for one in self._beyond_limits(candidates, probes)}
        able = [candidate for candidate in candidates if candidate.name not in outcomes]
        outcomes |= {one.name: one for one in self._try_shapes(able, probes)}
        order = list(cheapest_first(able, probes))
        able = [one for one in able if one.name not in outcomes]
        able.sort(key=lambda one: order.index(one.shape))
        bundles: dict[str, Bundle] = {}
        for candidate in able:
            try:
                bundles[candidate.name] = self._make(candidate)
            except OutputError:
                raise
            except MkdError as error:
                self._announce(f"{candidate.name} failed: {error}")
                outcomes[candidate.name] = Outcome(name=candidate.name, state=State.FAILED, reason=str(error))
        metric = "score"
        if bundles:
            self._announce(f"measuring {len(bundles)} bundles on the {self._chosen_on} split")
            report = self._measuring.bench(bundles, split=self._chosen_on)
            self._keep_report(report)
            metric = report.metric
            outcomes |= {name: self._outcome(name, bundle, report) for name, bundle in bundles.items()}
        found = mark_pareto(outcomes[candidate.name] for candidate in candidates)
        best = best_fitting(found)
        self._write_result(found, best, metric)
        return SearchResult(
            outcomes=found,
            best=self._output / "bundles" / best.name if best else None,
            metric=metric,
            chosen_on=self._chosen_on,
        )

    def _probe(self, candidates: Sequence[Candidate]) -> dict[str, Probe]:
        """Measure the untrained candidates, as far as that isn't done; return the measurements by name."""
        file = self._output / _PROBES_FILE
        stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
        probes = {probe["name"]: Probe(**probe) for probe in stored}
        new = [candidate for candidate in candidates if candidate.name not in probes]
        if new:
            self._announce(f"measuring {len(new)} untrained students")
            remove_leftovers(file)
            with temporary_folder(file) as scratch:
                probes |= {probe.name: probe for probe in self._measuring.probe(new, scratch)}
            # Failed ones are tried again by the next run.
            kept = [asdict(probe) for probe in probes.values() if probe.failure is None]
            with whole_file(file) as kept_file:
                kept_file.write(json.dumps(kept, indent=1) + "\n")
        return probes

    def _beyond_limits(
        self, candidates: Sequence[Candidate], probes: Mapping[str, Probe]
    ) -> Iterator[Outcome]:
        for candidate in candidates:
            outcome = drop_out(probes[candidate.name], self._grid)
            if outcome is not None:
                self._announce(f"{outcome.name} is {outcome.state}, untrained: {outcome.reason}")
                yield outcome

    def _try_shapes(self, candidates: Sequence[Candidate], probes: Mapping[str, Probe]) -> list[Outcome]:
        """Train the shapes shortly, the fastest first; return the candidates whose shape is beaten."""
        times = {
            shape: p50_ms
            for shape, p50_ms in cheapest_first(candidates, probes).items()
            if is_comparable(shape)
        }
        if self._grid.trial_epochs == 0 or len(times) < FEWEST:
            return []
        trials, metric = [], ""
        for shape, p50_ms in times.items():
            folder = self._output / "trials" / f"{shape.name}-{self._grid.trial_epochs:g}"
            if not folder.is_dir():
                self._announce(f"training {shape.name} shortly")
                config = replace(
                    shape.training(self._distillation),
                    epochs=self._grid.trial_epochs,
                    steps=None,
                    retries=0,
                    keep_best=False,
                )
                self._distill(folder, config)
            scores = (read_run(folder) or {})["metrics"][self._chosen_on]
            metric = next(name for name in HEADLINE.values() if name in scores)
            trials.append(Trial(shape=shape, p50_ms=p50_ms, score=scores[metric]))
        found = dropped(candidates, beaten(trials, metric=metric), probes)
        for outcome in found:
            self._announce(f"{outcome.name} is {outcome.state}: {outcome.reason}")
        return found

    def _distill(self, folder: Path, config: DistillConfig) -> None:
        distill(
            self._teacher,
            self._corpus,
            folder,
            config=config,
            resume=True,
            announce=self._announce,
            progress=self._progress,
        )

    def _make(self, candidate: Candidate) -> Bundle:
        """Return the candidate's bundle; train and export its student as far as that isn't done."""
        student = self._output / "students" / candidate.shape.name
        folder = self._output / "bundles" / candidate.name
        shape = candidate.shape
        if student.is_dir():
            made_from = (read_run(student) or {}).get("config", {}).get("student")
            if made_from != shape.model:
                raise ConfigError(
                    f"{student} was made from {made_from}, not {shape.model}: rename one of them"
                )
        else:
            self._announce(f"training {shape.name}")
            self._distill(student, shape.training(self._distillation))
        if not folder.is_dir():
            self._announce(f"exporting {candidate.name}")
            config = candidate.export_config(max_length=None)
            export(student, folder, data=self._corpus, config=config, progress=self._progress)
        return open_bundle(folder)

    def _outcome(self, name: str, bundle: Bundle, report: Report) -> Outcome:
        row = report.row(name)
        if row is None or row.latency is None or row.memory is None:
            return Outcome(name=name, state=State.FAILED, reason=why_absent(report, name))
        quality = bundle.manifest.quality
        headline = row.quality.headline
        return Outcome(
            name=name,
            state=State.MEASURED,
            reason=self._grid.too_much(latency_ms=row.latency.p50_ms.value, size_bytes=row.size_bytes),
            p50_ms=row.latency.p50_ms.value,
            size_bytes=row.size_bytes,
            score=headline.value if headline else None,
            test_score=quality.get("int8") if quality.get("split") != self._chosen_on else None,
            peak_rss_bytes=row.memory.peak_rss_bytes,
        )

    def _keep_report(self, report: Report) -> None:
        with fresh_folder(self._output / "report", overwrite=True) as folder:
            write_report(report, folder)

    def _write_result(self, found: Sequence[Outcome], best: Outcome | None, metric: str) -> None:
        body = {
            "format": _FORMAT,
            "limits": {"max_latency_ms": self._grid.max_latency_ms, "max_size_mb": self._grid.max_size_mb},
            "target": self._target.name,
            "metric": metric,
            "chosen_on": self._chosen_on,
            "best": best.name if best else None,
            "candidates": [asdict(one) for one in found],
        }
        with whole_file(self._output / RESULT_FILE) as file:
            file.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
