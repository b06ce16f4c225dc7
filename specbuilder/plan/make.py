"""SpecTree + TypedGraph + DataFacts to Plan: fills every default, binds data to model, and refuses what cannot work.

Facts may be missing (only the data can tell): then everything that needs them waits, and the same pass runs again when the data has been opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from specbuilder.catalogue.contract import Average, DataFacts, Dataset, Feature, Kind, Loss, Metric, Optimizer, Refusal, Schedule, Transform
from specbuilder.catalogue.declared import fields_of
from specbuilder.catalogue.fields import check
from specbuilder.catalogue.schedules.curves import Constant
from specbuilder.diagnostics import Diagnostics, Related, Span, did_you_mean
from specbuilder.graph.count import batch_symbol
from specbuilder.graph.graph import TypedGraph
from specbuilder.graph.promises import check_forms
from specbuilder.graph.variables import Variables
from specbuilder.language.document import OPTIONS
from specbuilder.language.settings import TRAIN_KINDS, TRANSFORM_LISTS, DataSettings, Settings, Statistics, TrainSettings
from specbuilder.language.tree import DataTree, Entry, SpecTree, TrainTree, Use
from specbuilder.language.uses import finish, report_problems
from specbuilder.language.values import Undefined, key_at, resolve, span_at, text_at
from specbuilder.plan.binding import bind_names, match
from specbuilder.plan.control import (
    ControlProblem,
    average_steps,
    check_early_stopping,
    checkpoint_of,
    duration_problems,
    early_stopping_of,
    evaluated_part,
    feeding_problems,
    micro_batch_of,
    monitor_of,
    monitor_remarks,
)
from specbuilder.plan.durations import DurationProblem, in_steps, parse_duration
from specbuilder.plan.limits import limits
from specbuilder.plan.plan import STREAMS, CheckpointPlan, EarlyStopping, Length, Monitor, Origin, Pipeline, Plan, Seeds, span_of
from specbuilder.plan.schedule import check_durations, schedule_steps
from specbuilder.plan.splits import SplitProblem, split_counts
from specbuilder.shapes import Dim, DimError, Poly, TensorType, equal, is_floating, parse_type, substitute

AnySettings = TypeVar("AnySettings", bound=Settings)


def make_plan(
    tree: SpecTree, graph: TypedGraph, variables: Variables, diagnostics: Diagnostics, *, facts: DataFacts | None = None, own_data: bool = False
) -> Plan | None:
    """The plan, or None where the spec has none or it is wrong. `facts` come from opened data; `own_data`: the caller brings the data."""
    if tree.train is None or tree.data is None:
        return None
    return _Maker(tree, tree.data, tree.train, graph, variables, diagnostics, facts, own_data).plan()


def check_settings(tree: SpecTree, variables: Variables, diagnostics: Diagnostics) -> None:
    """What can be said of everything beside the model when the model is wrong: values are checked, nothing is bound."""
    uses: list[Use] = []
    average: Average | None = None
    if tree.data is not None:
        uses += [*([tree.data.dataset] if tree.data.dataset else []), *(use for listed in tree.data.transforms.values() for use in listed)]
    if tree.train is not None:
        uses += [use for listed in tree.train.uses.values() for use in listed]
    for use in uses:
        kind = make_kind(use, variables, diagnostics)
        if isinstance(kind, Schedule):
            _durations_are_right(kind, use, diagnostics)
        if isinstance(kind, Optimizer):
            _fields_agree(kind, use, diagnostics)
        average = kind if isinstance(kind, Average) else average
    if tree.data is not None:
        data = _settings(DataSettings, tree.data.settings, "data", tree.data.span, variables, diagnostics)
        if data is not None:
            _feeding_is_right(data, tree.data, diagnostics)
    if tree.train is not None:
        train = _settings(TrainSettings, tree.train.settings, "train", tree.train.span, variables, diagnostics)
        if train is not None:
            _evaluate_is_right(train, tree.train, diagnostics)
            _control_is_right(train, average, tree.train, diagnostics)
            _seeds(train, tree.train, diagnostics)
    check_forms(tree, variables, diagnostics)
    variables.check_all()


def make_kind(use: Use, variables: Variables, diagnostics: Diagnostics) -> Kind | None:
    """The kind of a use outside the model, its deferred fields evaluated over the variables."""
    if use.instance is not None or use.cls is None or use.is_wrong:
        return use.instance
    try:
        values = {name: resolve(entry.value, variables, variables.names, diagnostics) for name, entry in use.fields.items()}
    except Undefined:
        return None
    return finish(use, use.cls, values, diagnostics)


def _settings(
    cls: type[AnySettings], entries: Mapping[str, Entry], owner: str, span: Span, variables: Variables, diagnostics: Diagnostics
) -> AnySettings | None:
    """The plain keys of a section. Literals were checked when they were decoded, so only what was deferred can be news."""
    try:
        values = {name: resolve(entry.value, variables, variables.names, diagnostics) for name, entry in entries.items()}
    except Undefined:
        return None
    settings, problems = check(cls, values, owner=owner)
    news = [problem for problem in problems if (entry := entries.get(str(problem.location[0]))) is not None and entry.is_deferred]
    report_problems(news, entries, span, diagnostics)
    return settings


def _seeds(train: TrainSettings, tree: TrainTree, diagnostics: Diagnostics) -> Seeds:
    if isinstance(train.seed, int):
        return Seeds(default=train.seed, streams={})
    for name in train.seed:
        if name not in ("default", *STREAMS):
            span = key_at(tree.settings["seed"].node, name)
            help = did_you_mean(name, ("default", *STREAMS)) or f"the streams are {_listed(STREAMS)}, and `default` is all others"
            diagnostics.error("SB0701", f"there is no stream of random numbers called `{name}`", span, help=help)
    streams = {name: seed for name, seed in train.seed.items() if name != "default"}
    return Seeds(default=train.seed.get("default", 0), streams=streams)


def _evaluate_is_right(train: TrainSettings, tree: TrainTree, diagnostics: Diagnostics) -> bool:
    if train.evaluate is None or parse_duration(train.evaluate) is not None:
        return True
    message = f"`evaluate` wants a duration such as `2 epochs`, `500 steps` or `10%`, but this is `{train.evaluate}`"
    diagnostics.error("SB0707", message, tree.settings["evaluate"].span)
    return False


def _feeding_is_right(data: DataSettings, tree: DataTree, diagnostics: Diagnostics) -> bool:
    """Whether batches can be fed and divided as written."""
    problems = list(feeding_problems(data))
    for problem in problems:
        diagnostics.error(problem.code, problem.message, tree.settings[problem.path[0]].span, help=problem.help)
    return not problems


def _control_is_right(train: TrainSettings, average: Average | None, tree: TrainTree, diagnostics: Diagnostics) -> bool:
    """Whether the durations beside the schedule are any."""
    problems = list(duration_problems(train, average))
    for problem in problems:
        diagnostics.error(problem.code, problem.message, _place(problem, tree), help=problem.help)
    return not problems


def _place(problem: ControlProblem, tree: TrainTree) -> Span:
    """Where the keys of `train` that are to blame are written; the section itself where none is."""
    key, *inner = problem.path or ("",)
    if (used := tree.uses.get(key)) and used:
        entry = used[0].fields.get(inner[0]) if inner else None
        return entry.span if entry is not None else used[0].span
    return span_at(tree.settings[key].node, tuple(inner)) if key in tree.settings else tree.span


def _durations_are_right(schedule: Schedule, use: Use | None, diagnostics: Diagnostics) -> bool:
    """A duration that is none can be told before the length of the run is known."""
    try:
        check_durations(schedule)
    except DurationProblem as problem:
        _report_duration(problem, use, diagnostics)
        return False
    return True


def _fields_agree(optimizer: Optimizer, use: Use | None, diagnostics: Diagnostics) -> bool:
    """Whether its fields suit one another: its rule says so when it writes the constructor."""
    assert use is not None
    try:
        optimizer.source()
    except Refusal as refusal:
        entry = use.fields.get(refusal.field or "")
        diagnostics.error(refusal.code, refusal.message, entry.key if entry else use.span, help=refusal.help)
        return False
    return True


def _origin(written: Span | None) -> Origin:
    if written is None:
        return "default"
    return "command line" if written.source.name in OPTIONS else "spec"


def _report_duration(problem: DurationProblem, use: Use | None, diagnostics: Diagnostics) -> None:
    assert use is not None, "the default schedule has no durations"
    entry = use.fields.get(problem.field)
    diagnostics.error("SB0707", problem.message, entry.span if entry else use.span, help=problem.help)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


@dataclass(slots=True)
class _Maker:
    """One making of a plan."""

    tree: SpecTree
    data: DataTree
    train: TrainTree
    graph: TypedGraph
    variables: Variables
    diagnostics: Diagnostics
    facts: DataFacts | None
    own_data: bool
    is_unlike_data: bool = False
    """Whether an input is declared with another dtype than the data has, or for one batch size, so that nothing can be said of what the model gives."""

    def plan(self) -> Plan | None:
        data = _settings(DataSettings, self.data.settings, "data", self.data.span, self.variables, self.diagnostics)
        train = _settings(TrainSettings, self.train.settings, "train", self.train.span, self.variables, self.diagnostics)
        dataset = self._one(self.data.dataset, Dataset)
        transforms = {name: self._all(self.data.transforms.get(name, ()), Transform) for name in TRANSFORM_LISTS}
        loss = self._one(self._lone("loss"), Loss)
        optimizer = self._one(self._lone("optimizer"), Optimizer)
        if optimizer is not None and not _fields_agree(optimizer, self._lone("optimizer"), self.diagnostics):
            optimizer = None
        schedule = self._one(self._lone("schedule"), Schedule) if "schedule" in self.train.uses else Constant()
        average = self._one(self._lone("average"), Average)
        metrics = self._metrics()
        seeds = _seeds(train, self.train, self.diagnostics) if train is not None else None
        timing = train is not None and _evaluate_is_right(train, self.train, self.diagnostics)
        timing &= train is not None and _control_is_right(train, average, self.train, self.diagnostics)
        is_fed = data is not None and _feeding_is_right(data, self.data, self.diagnostics)
        micro_batch = self._micro_batch(data, loss) if data is not None and loss is not None and is_fed else None
        is_trainable = self._is_trainable()
        timing &= schedule is not None and _durations_are_right(schedule, self._lone("schedule"), self.diagnostics)
        facts = self._facts(data, dataset) if data is not None and (dataset is not None or self.own_data) else None
        if data is None or facts is None:
            return None
        parts = self._parts(data, facts)
        length = self._length(data, train, parts, schedule, average) if train is not None and schedule is not None and parts and timing else None
        control = (
            self._control(train, data, facts, parts, metrics) if train is not None and parts and timing and None not in metrics.values() else None
        )
        bound = self._bind(data, facts)
        if bound is None or any(None in listed for listed in transforms.values()):
            return None
        pipeline = Pipeline(feature=self._transformed(facts, bound), **{name: tuple(kinds) for name, kinds in transforms.items()})  # type: ignore[arg-type]
        sizes = self._fit(facts, bound, pipeline)
        is_usable = self._limits_hold(facts, bound)
        is_usable &= sizes is None or self._statistics_fit(data, facts, pipeline)
        is_usable &= length is None or self._batches_work(data, facts, length, sizes or {})
        target, output = self._target(facts, bound), self._output()
        types = self._loss_types(loss, facts, target, output, sizes) if loss and target and output else None
        is_judged = types is not None and self._metrics_fit(metrics, types)
        if train is None or seeds is None or optimizer is None or schedule is None or loss is None or length is None or sizes is None:
            return None
        if control is None or micro_batch is None or (average is None and "average" in self.train.uses):
            return None
        if target is None or output is None or types is None or not (is_judged and is_usable and is_trainable):
            return None
        return Plan(
            name=self.tree.name,
            data=data,
            train=train,
            dataset=None if self.own_data else dataset,
            facts=facts,
            bindings=bound,
            target=target,
            output=output,
            pipeline=pipeline,
            loss=loss,
            loss_types=types,
            optimizer=optimizer,
            schedule=schedule,
            average=average,
            micro_batch_size=micro_batch,
            monitor=control[0],
            early_stopping=control[1],
            checkpoint=control[2],
            metrics=metrics,  # type: ignore[arg-type]  # None was refused above
            seeds=seeds,
            sizes={name: dim for name, dim in sizes.items() if isinstance(dim, int)},
            length=length,
            origins=self._origins(),
        )

    # Settings and kinds ----------------------------------------------------------------------------------------------

    def _lone(self, key: str) -> Use | None:
        return next(iter(self.train.uses.get(key, ())), None)

    def _one(self, use: Use | None, cls: type[Any]) -> Any:
        return None if use is None else make_kind(use, self.variables, self.diagnostics)

    def _all(self, uses: Collection[Use], cls: type[Any]) -> list[Any]:
        return [make_kind(use, self.variables, self.diagnostics) for use in uses]

    def _metrics(self) -> dict[str, Metric | None]:
        uses = self.train.uses.get("metrics", ())
        counts = Counter(use.title for use in uses)
        found: dict[str, Metric | None] = {}
        for use in uses:
            if counts[use.title] > 1 and use.title in found:
                self.diagnostics.error("SB0304", f"two metrics are called `{use.title}`", use.span, help="delete one of them")
            found[use.title] = self._one(use, Metric)
        return found

    def _origins(self) -> dict[str, Origin]:
        written: dict[str, Span] = {}
        for section, settings, uses in (
            ("data", self.data.settings, self.data.transforms),
            ("train", self.train.settings, self.train.uses),
        ):
            written |= {f"{section}.{name}": entry.span for name, entry in settings.items()}
            written |= {f"{section}.{name}": used[0].span if used else self.train.span for name, used in uses.items()}
        every = [f"data.{name}" for name in (*fields_of(DataSettings), *TRANSFORM_LISTS)]
        every += [f"train.{name}" for name in (*fields_of(TrainSettings), *TRAIN_KINDS)]
        return {path: _origin(written.get(path)) for path in every}

    def _is_trainable(self) -> bool:
        """Whether the network has a parameter that moves."""
        owned = [(node, name) for node in self.graph.nodes for name in node.owned]
        if any(name not in node.frozen for node, name in owned):
            return True
        if owned:
            message, help = (
                "every parameter of the network is frozen, so there is nothing to train",
                "delete `freeze` where something is to be learnt",
            )
        else:
            message, help = "the network has no parameters, so there is nothing to train", "add a layer that learns, such as `linear`"
        self.diagnostics.error("SB0712", message, self.train.span, help=help)
        return False

    # Data meets model ------------------------------------------------------------------------------------------------

    def _facts(self, data: DataSettings, dataset: Dataset | None) -> DataFacts | None:
        """What is known of the data: opened, or stated by the dataset, or declared under `features`."""
        facts = self.facts or (dataset.facts() if dataset is not None and not self.own_data else None)
        if data.features is None:
            return facts
        declared: dict[str, TensorType] = {}
        for name, text in data.features.items():
            try:
                declared[name] = parse_type(text)
            except DimError as error:
                span = text_at(self.data.settings["features"].node, (name,), error.start, error.end)
                self.diagnostics.error("SB0502", error.message, span, help="a type is dtype and sizes, such as `float32[B, 3, 32, 32]`")
                return None
        if facts is None:
            return None
        return facts if self._agrees(declared, facts) else None

    def _agrees(self, declared: Mapping[str, TensorType], facts: DataFacts) -> bool:
        node = self.data.settings["features"].node
        for name, type in declared.items():
            if name not in facts.features:
                help = did_you_mean(name, facts.features) or _features_help(facts)
                self.diagnostics.error("SB0801", f"the data has no feature `{name}`", key_at(node, name), help=help)
                return False
            given = facts.features[name].type
            if (problem := match(type, given, {})) is not None:
                self.diagnostics.error("SB0801", f"`{name}` is declared as {type}, but the data has {given}: {problem}", span_at(node, (name,)))
                return False
        return True

    def _bind(self, data: DataSettings, facts: DataFacts) -> dict[str, str] | None:
        inputs = self.graph.input_types
        written = data.bind or {}
        entry = self.data.settings.get("bind")
        is_right = True
        for name, feature in written.items():
            assert entry is not None
            if name not in inputs:
                help = did_you_mean(name, inputs) or f"its input{'s are' if len(inputs) > 1 else ' is'} {_listed(inputs)}"
                self.diagnostics.error("SB0702", f"the model has no input `{name}`", key_at(entry.node, name), help=help)
                is_right = False
            elif feature not in facts.features:
                help = did_you_mean(feature, facts.features) or _features_help(facts)
                self.diagnostics.error("SB0801", f"the data has no feature `{feature}`", span_at(entry.node, (name,)), help=help)
                is_right = False
        bound = bind_names(inputs, {name: feature.is_target for name, feature in facts.features.items()}, written)
        for name in inputs:
            if name not in bound:
                span = next(written.span for written in self.tree.model.inputs if written.name == name)
                help = f"{_features_help(facts)}; say which one with `data: {{bind: {{{name}: ...}}}}`"
                self.diagnostics.error("SB0702", f"no feature of the data is known to be the input `{name}`", span, help=help)
                is_right = False
        return bound if is_right else None

    def _target(self, facts: DataFacts, bound: Mapping[str, str]) -> str | None:
        left = [name for name in facts.features if name not in bound.values()]
        # Beside the feature that the data calls its target, others may be there for nothing.
        named = [name for name in left if facts.features[name].is_target]
        if 1 in (len(left), len(named)):
            return left[0] if len(left) == 1 else named[0]
        span = loss.span if (loss := self._lone("loss")) else self.train.span
        if not left:
            self.diagnostics.error("SB0703", "the data has no feature left to compare with: all are inputs of the model", span)
        else:
            help = "this version takes the only feature that no input of the model reads"
            self.diagnostics.error("SB0703", f"the loss could compare with any of {_listed(left)}", span, help=help)
        return None

    def _output(self) -> str | None:
        outputs = list(self.graph.outputs)
        if len(outputs) == 1:
            return outputs[0]
        span = loss.span if (loss := self._lone("loss")) else self.train.span
        self.diagnostics.error(
            "SB0703",
            f"the model has {len(outputs)} outputs, and this version trains on one: {_listed(outputs)}",
            span,
            help="keep one of them in `outputs`",
        )
        return None

    def _transformed(self, facts: DataFacts, bound: Mapping[str, str]) -> str:
        """The feature that transforms change: the first that the model reads."""
        return next(name for name in facts.features if name in bound.values())

    def _fit(self, facts: DataFacts, bound: Mapping[str, str], pipeline: Pipeline) -> dict[str, Dim] | None:
        """Whether all that arrives fits the inputs of the model, after the transforms of each route; the sizes that it fixes."""
        found: dict[str, Dim] | None = None
        routes = {"training": ("prepare", "augment"), "evaluation": ("prepare", "inference")}
        for route, lists in routes.items():
            sizes: dict[str, Dim] = {}
            for name, type in self.graph.input_types.items():
                feature = bound[name]
                raw = given = facts.features[feature].type
                changed: Use | None = None
                if feature == pipeline.feature:
                    transformed = self._transform(given, lists)
                    if transformed is None:
                        return None
                    given, changed = transformed
                if (problem := match(type, given, sizes)) is not None:
                    self._no_fit(name, type, feature, raw, given, problem, changed, route)
                    return None
            if not self._requirements_hold(sizes, route):
                return None
            found = found or sizes
        return found

    def _no_fit(
        self, name: str, wanted: TensorType, feature: str, raw: TensorType, given: TensorType, problem: str, changed: Use | None, route: str
    ) -> None:
        """Blames the transform that changed the type where the data itself would fit, else the declared input."""
        self.is_unlike_data |= wanted.dtype != given.dtype or any(isinstance(batch, int) for batch in wanted.shape[:1])
        span = next(written.type_span for written in self.tree.model.inputs if written.name == name)
        if changed is not None and match(wanted, raw, {}) is None:
            message = f"`{name}` wants {wanted}, but in {route} `{changed.title}` leaves {given}: {problem}"
            help = f"the data itself fits: it gives {raw}"
            self.diagnostics.error("SB0704", message, changed.span, help=help, related=(Related(span=span, message="wanted here"),))
            return
        through = f" in {route}" if changed is not None else ""
        help = f"declare `{name}: {given}`" if changed is None else None
        self.diagnostics.error("SB0704", f"`{name}` wants {wanted}, but the data gives `{feature}` {given}{through}: {problem}", span, help=help)

    def _statistics_fit(self, data: DataSettings, facts: DataFacts, pipeline: Pipeline) -> bool:
        """Whether `normalize` can be done: to floating-point numbers, with as many statistics as there are channels."""
        if data.normalize == "none":
            return True
        entry = self.data.settings["normalize"]
        raw = facts.features[pipeline.feature].type
        transformed = self._transform(raw, ("prepare",))
        assert transformed is not None, "what cannot be transformed was refused before"
        type, _ = transformed
        if not is_floating(type.dtype):
            self.diagnostics.error("SB0711", f"`normalize` wants floating-point numbers, but `{pipeline.feature}` is {type}", entry.key)
            return False
        if not isinstance(data.normalize, Statistics):
            return True
        channels = type.shape[1] if type.rank > 1 else 1
        is_right = True
        for name in ("mean", "std"):
            given = getattr(data.normalize, name)
            if isinstance(given, tuple) and not equal(channels, len(given)):
                wanted = "1 channel" if channels == 1 else f"{channels} channels"
                message = f"`{name}` has {len(given)} number{'' if len(given) == 1 else 's'}, but `{pipeline.feature}` {type} has {wanted}"
                help = "write one number for each channel, or a single one for all"
                self.diagnostics.error("SB0711", message, span_at(entry.node, (name,)), help=help)
                is_right = False
        return is_right

    def _limits_hold(self, facts: DataFacts, bound: Mapping[str, str]) -> bool:
        """Whether the numbers that the data states are numbers that the inputs take."""
        is_right = True
        for name, limit in limits(self.graph).items():
            feature = facts.features[bound[name]]
            if feature.classes is not None and feature.classes > limit.below:
                stated = self.data.dataset.fields.get("classes") if self.data.dataset is not None else None
                span = key_at(stated.node, bound[name]) if stated is not None else self._dataset_span()
                message = f"`{bound[name]}` has the values 0 to {feature.classes - 1}, but {limit}"
                self.diagnostics.error("SB0706", message, span, related=(Related(span=limit.node.span, message="taken here"),))
                is_right = False
        return is_right

    def _transform(self, type: TensorType, lists: Collection[str]) -> tuple[TensorType, Use | None] | None:
        """The type after the transforms of these lists, and the last of them that changed it."""
        changed: Use | None = None
        for name in lists:
            for use in self.data.transforms.get(name, ()):
                kind = make_kind(use, self.variables, self.diagnostics)
                assert isinstance(kind, Transform)
                try:
                    before, type = type, kind.infer(type)
                    changed = use if type != before else changed
                except Refusal as refusal:
                    entry = use.fields.get(refusal.field or "")
                    self.diagnostics.error(refusal.code, refusal.message, entry.span if entry else use.span, help=refusal.help)
                    return None
        return type, changed

    def _requirements_hold(self, sizes: Mapping[str, Dim], route: str) -> bool:
        for requirement in self.graph.requirements:
            value = substitute(requirement.dim, dict(sizes))
            if isinstance(value, int) and value < requirement.minimum:
                said = ", ".join(f"{name} = {size}" for name, size in sizes.items() if isinstance(size, int))
                self.diagnostics.error("SB0705", f"the model needs {requirement}, but in {route} the data gives {said}", self._dataset_span())
                return False
        return True

    # Loss, metrics, length -------------------------------------------------------------------------------------------

    def _dataset_span(self) -> Span:
        return self.data.dataset.span if self.data.dataset is not None else self.data.span

    def _loss_types(
        self, loss: Loss, facts: DataFacts, target: str, output: str, sizes: Mapping[str, Dim] | None
    ) -> tuple[TensorType, TensorType] | None:
        use = self._lone("loss")
        assert use is not None
        feature = facts.features[target]
        judged = self.graph.output_types[output]
        if self.is_unlike_data or (sizes is None and any(isinstance(dim, Poly) for dim in judged.shape[1:])):
            return None  # what the model gives depends on data that does not fit
        judged = TensorType(judged.dtype, tuple(substitute(dim, dict(sizes or {})) for dim in judged.shape))
        try:
            loss.infer(judged, feature.type)
        except Refusal as refusal:
            entry = use.fields.get(refusal.field or "")
            chain = (f"output `{output}` {judged} and target `{target}` {feature.type}",)
            help = (_loss_help(judged, target, feature) if refusal.port == "target" or judged.rank > 2 else None) or refusal.help
            self.diagnostics.error(refusal.code, refusal.message, entry.span if entry else use.span, help=help, chain=chain)
            return None
        if not self._classes_agree(loss, judged, output, target, feature, use):
            return None
        return judged, feature.type

    def _classes_agree(self, loss: Loss, judged: TensorType, output: str, target: str, feature: Feature, use: Use) -> bool:
        scored = loss.classes(judged)
        if feature.classes is None or scored is None or equal(scored, feature.classes):
            return True
        span = self._where_classes(output, use)
        help = f"let the last layer give {feature.classes}"
        self.diagnostics.error("SB0706", f"the model scores {scored} classes, but `{target}` has {feature.classes}", span, help=help)
        return False

    def _where_classes(self, output: str, use: Use) -> Span:
        """The number that made the classes: the last layer with weights on the way to the output."""
        made_by = {value: node for node in self.graph.nodes for value in node.outputs}
        node = made_by.get(self.graph.outputs[output])
        while node is not None and not node.parameters:
            before = next(node.arriving(), None)
            node = made_by.get(before) if before is not None else None
        if node is None:
            return use.span
        written = next((written.body for written in self.tree.model.nodes if written.span == node.span and isinstance(written.body, Use)), None)
        field = written.fields.get(written.cls.primary or "") if written is not None and written.cls is not None else None
        return field.span if field is not None else node.span

    def _metrics_fit(self, metrics: Mapping[str, Metric | None], types: tuple[TensorType, TensorType]) -> bool:
        is_right = True
        for use in self.train.uses.get("metrics", ()):
            metric = metrics[use.title]
            if metric is None:
                is_right = False
                continue
            try:
                metric.check(*types)
            except Refusal as refusal:
                self.diagnostics.error(refusal.code, refusal.message, use.span, help=refusal.help)
                is_right = False
        return is_right

    def _parts(self, data: DataSettings, facts: DataFacts) -> dict[str, int] | None:
        """Samples of each part after splitting."""
        if "train" not in facts.parts:
            self.diagnostics.error("SB0801", "the data has no part `train`", self._dataset_span())
            return None
        try:
            return split_counts(facts.parts, data.split or {})
        except SplitProblem as problem:
            node = self.data.settings["split"].node
            span = node.span if problem.part is None else key_at(node, problem.part)
            self.diagnostics.error("SB0708", problem.message, span, help=problem.help)
            return None

    def _length(
        self, data: DataSettings, train: TrainSettings, parts: Mapping[str, int], schedule: Schedule, average: Average | None
    ) -> Length | None:
        span, last_batch = span_of(train, data, parts["train"])
        if span.steps_per_epoch == 0:
            message = f"a batch of {data.batch_size} never fills from {parts['train']} samples, and `drop_last` leaves out what is not full"
            help = f"at most `batch_size: {parts['train']}`, or no `drop_last`"
            self.diagnostics.error("SB0709", message, self.data.settings["batch_size"].span, help=help)
            return None
        every = parse_duration(train.evaluate) if train.evaluate is not None else None
        default = span.steps_per_epoch if train.steps is None else max(1, round(span.steps * 0.05))
        try:
            steps = schedule_steps(schedule, span)
        except DurationProblem as problem:
            _report_duration(problem, self._lone("schedule"), self.diagnostics)
            return None
        try:
            averaging = average_steps(average, span) if average is not None else None
        except ControlProblem as problem:
            self._refused(problem)
            return None
        return Length(
            parts=parts,
            steps=span.steps,
            steps_per_epoch=span.steps_per_epoch,
            last_batch=last_batch,
            evaluate_every=max(1, in_steps(every, span)) if every else default,
            schedule=steps,
            average=averaging,
        )

    # What accompanies the steps --------------------------------------------------------------------------------------

    def _refused(self, problem: ControlProblem) -> None:
        self.diagnostics.error(problem.code, problem.message, _place(problem, self.train), help=problem.help)

    def _micro_batch(self, data: DataSettings, loss: Loss) -> int | None:
        try:
            return micro_batch_of(data, loss)
        except ControlProblem as problem:
            self.diagnostics.error(problem.code, problem.message, self.data.settings["micro_batch_size"].span, help=problem.help)
            return None

    def _control(
        self, train: TrainSettings, data: DataSettings, facts: DataFacts, parts: Mapping[str, int], metrics: Mapping[str, Any]
    ) -> tuple[Monitor | None, EarlyStopping | None, CheckpointPlan] | None:
        """Monitor, early stopping and checkpoints."""
        span, _ = span_of(train, data, parts["train"])
        try:
            monitor = monitor_of(train.monitor, metrics, evaluated_part(parts))
            early_stopping = early_stopping_of(train.early_stopping, span)
            check_early_stopping(early_stopping, monitor)
            checkpoint = checkpoint_of(train, span, monitor)
        except ControlProblem as problem:
            self._refused(problem)
            return None
        if monitor is not None:
            is_used = early_stopping is not None or checkpoint.best
            for remark in monitor_remarks(train.monitor, monitor, metrics, is_used=is_used):
                place = _place(remark, self.train) if remark.path else self._monitoring()
                self.diagnostics.warning(remark.code, remark.message, place, help=remark.help)
        return monitor, early_stopping, checkpoint

    def _monitoring(self) -> Span:
        """Where the spec asks for something that goes by the monitor."""
        written = next(self.train.settings[key] for key in ("monitor", "early_stopping", "checkpoint") if key in self.train.settings)
        return written.key

    def _batches_work(self, data: DataSettings, facts: DataFacts, length: Length, sizes: Mapping[str, Dim]) -> bool:
        """Whether the model takes batches of all sizes that there will be. Batch norm cannot train on one sample, with one value for each channel."""
        batch = batch_symbol(self.graph)
        if batch is None:
            return True
        for part, count in length.parts.items():
            size = facts.batch_sizes.get(part, data.batch_size)
            is_whole = part == "train" and data.drop_last
            if part == "train" and not self._passes_work(data, count, size, batch, sizes):
                return False
            for rows in {min(size, count), size if is_whole else count % size or size}:
                problem = self._problem_with(rows, batch, sizes, is_training=part == "train")
                if problem is not None:
                    message = f"{_which_batch(part, rows, count, size)} has {_samples(rows)}: {problem}"
                    help = "take a larger `batch_size`" if rows == size else "take another `batch_size`"
                    if rows != size and part == "train":
                        help = "write `drop_last: true`, or take another `batch_size`"
                    self.diagnostics.error("SB0710", message, self.data.settings["batch_size"].span, help=help)
                    return False
        return True

    def _passes_work(self, data: DataSettings, count: int, size: int, batch: str, sizes: Mapping[str, Dim]) -> bool:
        """Whether the model trains on the passes that batches are divided into: what is left over of a batch is a smaller one."""
        micro = data.micro_batch_size
        if micro == "auto" or micro >= size:
            return True
        left = 0 if data.drop_last else count % size % micro
        for rows in (micro, left):
            problem = self._problem_with(rows, batch, sizes, is_training=True) if 0 < rows <= count else None
            if problem is not None:
                which = "every pass" if rows == micro else f"the last pass of an epoch, {_samples(count)} in batches of {size} and passes of {micro},"
                help = "take a larger `micro_batch_size`" if rows == micro else "write `drop_last: true`, or take another `micro_batch_size`"
                self.diagnostics.error("SB0710", f"{which} has {_samples(rows)}: {problem}", self.data.settings["micro_batch_size"].span, help=help)
                return False
        return True

    def _problem_with(self, rows: int, batch: str, sizes: Mapping[str, Dim], *, is_training: bool) -> str | None:
        """Why a batch of so many samples cannot be computed."""
        known = {**sizes, batch: rows}
        for node in self.graph.nodes if rows == 1 else ():
            try:
                node.kind.infer(*(_with_sizes(type, known) for type in node.types))
            except Refusal as refusal:
                if is_training or not refusal.in_training_only:
                    return refusal.message
        for requirement in self.graph.requirements:
            value = substitute(requirement.dim, known)
            if isinstance(value, int) and value < requirement.minimum:
                return f"the model needs {requirement}"
        return None


def _which_batch(part: str, rows: int, count: int, size: int) -> str:
    """What messages call a batch of `rows` samples of a part of `count`."""
    if rows == size:
        return "every batch" if part == "train" else f"every batch of `{part}`"
    return f"the last batch of {'an epoch' if part == 'train' else f'`{part}`'}, {_samples(count)} in batches of {size},"


def _samples(count: int) -> str:
    return "one sample" if count == 1 else f"{count} samples"


def _with_sizes(type: TensorType | tuple[TensorType, ...] | None, sizes: Mapping[str, Dim]) -> TensorType | tuple[TensorType, ...] | None:
    """The type with numbers for symbols."""
    if isinstance(type, tuple):
        return tuple(TensorType(each.dtype, tuple(substitute(dim, dict(sizes)) for dim in each.shape)) for each in type)
    return None if type is None else TensorType(type.dtype, tuple(substitute(dim, dict(sizes)) for dim in type.shape))


def _loss_help(judged: TensorType, target: str, feature: Feature) -> str | None:
    """What most likely helps where output and target do not match and both are of common kinds."""
    is_labels = not is_floating(feature.type.dtype) and feature.type.rank == 1
    if is_labels and judged.rank > 2:
        return "bring the output to [batch, classes] first, as `adaptive_avg_pool2d: 1` and `flatten` do"
    if is_labels and feature.type.dtype == "int64" and judged.rank == 2:
        return f"`{target}` holds class numbers; the loss for them is `cross_entropy`"
    return None


def _features_help(facts: DataFacts) -> str:
    return f"its features are {', '.join(f'`{name}` {feature.type}' for name, feature in facts.features.items())}"
