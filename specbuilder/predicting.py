"""What a run has come to, from its folder alone: the figures of its weights over a part of the data, and what they say of new inputs.

The plan is made again from the spec that the folder keeps and the facts that `plan.json` keeps of the data, which need not be there for a prediction.
Files of own kinds and the emitted model are executed, as they are kept in the folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specbuilder.api import Spec, load_run, raise_found, read_json, read_text, spec_of
from specbuilder.diagnostics import DataError, Diagnostics, SpecbuilderError, UsageError, did_you_mean
from specbuilder.pipeline import plan_for
from specbuilder.plan.plan import Plan
from specbuilder.plan.recorded import facts_of
from specbuilder.records import Record

if TYPE_CHECKING:
    from torch import Tensor

    from specbuilder.training.columns import Parts

CLASSIFIER = "cross_entropy"
"""The loss whose outputs are scores of classes of which one is true."""


# Evaluation -----------------------------------------------------------------------------------------------------------


def evaluate_run(
    folder: str | Path, split: str | None = None, *, train: Any = None, validation: Any = None, test: Any = None, device: str | None = None
) -> dict[str, float]:
    """Loss and metrics of the weights that a run left, over a part of its data, by the names under which the run printed them: `test.accuracy`.
    Without `split`: over `test` where there is one, else `validation`, else `train`.

    With `train`, own data takes the place of the run's, and is split as the run split it; `validation` and `test` alone are taken as they are.

    Raises `UsageError` for what is no run folder, a part that there is not, or a run on own data that is not given; `DataError` where the data is another.
    """
    from specbuilder.training.judging import decided, judge

    folder = Path(folder)
    run, spec = load_run(folder), spec_of(folder)
    stored, recorded = read_json(folder / "plan.json"), _decisions(folder)
    own = {name: part for name, part in (("train", train), ("validation", validation), ("test", test)) if part is not None}
    plan, cut = _judged(folder, spec, stored, own)
    part = _part(split, tuple(cut))
    decisions = decided(plan, spec.graph, recorded, device, elsewhere=False)
    objective = read_text(folder / "objective.py")
    figures = judge(run.model, objective, plan, spec.graph, cut, part, decisions, recorded, folder)
    return {f"{part}.{name}": value for name, value in figures.items()}


def _judged(folder: Path, spec: Spec, stored: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[Plan, Parts]:
    """The plan, and the parts of the data as the run cut them."""
    from specbuilder.training.checks import check_values
    from specbuilder.training.columns import split as cut_from
    from specbuilder.training.data import given_parts

    known = _facts(folder, stored)
    if own and "train" not in own:
        plan, parts = _plan(folder, spec, stored), given_parts(spec, own, known)
        check_values(plan, spec.graph, parts)
        return plan, parts
    if not own and not known.is_made_up and stored["data"].get("dataset") is None:
        raise given_in_python("evaluate it in Python: `specbuilder.runs.evaluate_run(folder, test=(inputs, target))`")
    job = spec.job(own, synthetic=known.is_made_up and not own, host=None, stop=None)
    assert job.plan.facts is not None
    if not own and job.plan.facts.fingerprint != known.fingerprint:
        message = f"the data is not what it was when the run in {folder} was made: its fingerprint is {job.plan.facts.fingerprint}"
        raise DataError.of("SB0957", message, help=f"it was {known.fingerprint}")
    check_values(job.plan, spec.graph, job.parts)
    return job.plan, cut_from(job.parts, job.plan.data.split or {}, job.plan.seeds.of("split"))


def given_in_python(help: str) -> SpecbuilderError:
    """What is said of a run whose samples a folder cannot give."""
    return UsageError.of("SB0955", "the samples of this run were given in Python, and a folder does not hold them", help=help)


def _part(split: str | None, parts: Sequence[str]) -> str:
    if split is None:
        return next((part for part in ("test", "validation") if part in parts), parts[0])
    if split not in parts:
        there = ", ".join(f"`{part}`" for part in parts)
        raise UsageError.of("SB0958", f"there is no part `{split}`", help=did_you_mean(split, parts) or f"the parts are {there}")
    return split


# Prediction -----------------------------------------------------------------------------------------------------------


class Prediction(Record):
    """What the weights of a run say of one input."""

    input: str
    """The file, and the row where it holds several: `digits.npz[3]`."""
    output: Tensor
    """What the model gave, without the batch axis, on the CPU."""
    probabilities: tuple[float, ...] = ()
    """Of each class, by its number; nothing where the model is no classifier."""
    class_names: tuple[str, ...] = ()
    """As the data calls them; nothing where it has no names for them."""

    @property
    def ranked(self) -> list[int]:
        """The numbers of the classes, the most probable first; of equal ones, the first."""
        return sorted(range(len(self.probabilities)), key=lambda number: -self.probabilities[number])

    def called(self, number: int) -> str:
        """A class by its name, else by its number."""
        return self.class_names[number] if self.class_names else str(number)

    def as_json(self) -> dict[str, Any]:
        if not self.probabilities:
            return {"input": self.input, "output": self.output.tolist()}
        best = self.ranked[0]
        return {
            "input": self.input,
            "class": self.class_names[best] if self.class_names else best,
            "probability": self.probabilities[best],
            "scores": {self.called(number): probability for number, probability in enumerate(self.probabilities)},
        }


def predict(folder: str | Path, inputs: str | Path | Sequence[str | Path], device: str | None = None) -> list[Prediction]:
    """What the weights of a run say of images and arrays in files, from the folder alone. A file with a batch axis gives a prediction a row.

    Without `device`, on that of the run where it is there, else on the best that is.

    Raises `UsageError` for what is no run folder or a file that is not there, `DataError` for what the model cannot read.
    """
    from specbuilder.training.inputs import read
    from specbuilder.training.judging import answers, decided

    folder = Path(folder)
    paths = [inputs] if isinstance(inputs, str | PathLike) else list(inputs)
    if not paths:
        raise UsageError.of("SB0901", "no inputs are named", help="name image files, or .npy, .npz and .safetensors files")
    run, spec = load_run(folder), spec_of(folder)
    stored, recorded = read_json(folder / "plan.json"), _decisions(folder)
    plan = _plan(folder, spec, stored)
    samples = read(paths, plan, spec.graph)
    decisions = decided(plan, spec.graph, recorded, device, elsewhere=True)
    outputs = answers(run.model, plan, spec.graph, samples, decisions, recorded, folder)
    return [_prediction(sample.name, output, plan) for sample, output in zip(samples, outputs, strict=True)]


def _prediction(name: str, output: Tensor, plan: Plan) -> Prediction:
    if plan.loss.kind != CLASSIFIER or output.ndim != 1:
        return Prediction(input=name, output=output)
    assert plan.facts is not None
    names = plan.facts.features[plan.target].class_names
    probabilities = tuple(output.double().softmax(0).tolist())
    return Prediction(input=name, output=output, probabilities=probabilities, class_names=names if len(names) == len(probabilities) else ())


# The plan again -------------------------------------------------------------------------------------------------------


def _decisions(folder: Path) -> dict[str, Any]:
    path = folder / "decisions.json"
    recorded = read_json(path)
    try:
        if isinstance(recorded["device"]["value"], str) and isinstance(recorded["threads"]["value"], int):
            return recorded
    except (KeyError, TypeError):
        pass
    raise DataError.of("SB0902", f"{path} is damaged: it does not say on which device and on how many threads the run was")


def _facts(folder: Path, stored: Mapping[str, Any]) -> Any:
    try:
        return facts_of(stored)
    except ValueError as error:
        raise DataError.of("SB0902", f"{folder / 'plan.json'} is damaged: {error}") from error


def _plan(folder: Path, spec: Spec, stored: Mapping[str, Any]) -> Plan:
    """The plan of the run, without its data."""
    facts, diagnostics = _facts(folder, stored), Diagnostics()
    plan = plan_for(spec.tree, spec.graph, facts, diagnostics, own_data=stored["data"].get("dataset") is None)
    raise_found(diagnostics)
    if plan is None:
        raise DataError.of("SB0902", f"{folder / 'plan.json'} is damaged: the spec beside it makes no plan of it")
    return plan


__all__ = ["Prediction", "evaluate_run", "predict"]
