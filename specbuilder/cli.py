"""The command line: parses arguments, prints, exits; the only place that does.

Every command imports what it needs when it runs, so that `validate` answers before torch could have been found on the disk. argparse, since importing
typer alone would take 80 ms of the 200 that `validate` has.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TextIO

if TYPE_CHECKING:
    from specbuilder.api import Run, Spec
    from specbuilder.diagnostics import Diagnostic
    from specbuilder.plan.plan import Plan

INTERRUPTED = 130
_EXECUTES = "The emitted model and own kinds, of which RUN holds copies, are executed: use run folders of people whom you trust."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    if sys.stdout is None or sys.stderr is None:
        # Closed by whoever started this (`>&-`): there is nobody to tell.
        nobody = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process
        sys.stdout, sys.stderr = sys.stdout or nobody, sys.stderr or nobody
    try:
        code = _answer(argv)
        # Here and not when the interpreter ends, where a pipe that nobody reads any more would be a traceback.
        sys.stdout.flush()
        return code
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # The reader went away (`| head`): nothing more can be said, and nothing is wrong.
            _silence(sys.stdout)
            return 0
        if not _is_of_output(error):
            raise
        print(f"specbuilder: the output cannot be written: {error.strerror}", file=sys.stderr)
        _silence(sys.stdout)
        return 2


def _is_of_output(error: OSError) -> bool:
    """Whether it was raised by a line of this file, which writes nothing but the output."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code.co_filename == __file__


def _answer(argv: Sequence[str] | None) -> int:
    # A command that reads, answers and ends makes no garbage worth collecting, and the collector would take a quarter of its time.
    gc.disable()
    arguments = _parser().parse_args(argv)
    from specbuilder.diagnostics import InternalError, SpecbuilderError

    try:
        return arguments.command(arguments)
    except SpecbuilderError as error:
        _fail(error, as_json=getattr(arguments, "json", False))
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except InternalError as error:
        if os.environ.get("SPECBUILDER_DEBUG"):
            raise
        print(f"{error}\nSet SPECBUILDER_DEBUG=1 to see the traceback.", file=sys.stderr)
        return 1


# Arguments -----------------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """argparse, with a suggestion for a mistyped command or option."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """As argparse has it, but a command itself answers for the options that it does not know, so that what it suggests and shows is its own."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown and not self._subparsers_actions():
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        from specbuilder.diagnostics import did_you_mean

        words = [word for word in message.replace("'", " ").split() if word.strip(",")]
        commands = {name: parser for action in self._subparsers_actions() for name, parser in action.choices.items()}
        known = [*self._option_string_actions, *commands, *(option for parser in commands.values() for option in parser._option_string_actions)]
        wrong = next((word for word in words if word.startswith("--") or "invalid choice" in message), "")
        if "invalid choice" in message:
            wrong = message.split("'")[1]
            message = f"there is no command `{wrong}`" if wrong and self.prog == "specbuilder" else message
        help = did_you_mean(wrong, known) if wrong else None
        self.exit(2, f"specbuilder: {message}{f'; {help}' if help else ''}\n{self.format_usage()}")

    def _subparsers_actions(self) -> list[Any]:
        return [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]


def _parser() -> argparse.ArgumentParser:
    from specbuilder import __version__

    parser = _Parser(
        prog="specbuilder",
        description="A network and its training run as one readable text: checked completely, compiled to plain PyTorch, run reproducibly.",
    )
    parser.add_argument("--version", action="version", version=f"specbuilder {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)

    validate = _command(commands, "validate", _validate, "check specs completely, without torch")
    validate.add_argument("specs", nargs="+", metavar="SPEC", help="a .yaml or .json file")
    _overrides(validate)
    _strict(validate)
    validate.epilog = "`--variant all` checks the spec as it is and with every one of its variants."
    _json(validate)

    summary = _command(commands, "summary", _summary, "print nodes, types, parameters and FLOPs")
    _spec(summary)
    _overrides(summary)
    _strict(summary)
    _json(summary)

    emit = _command(commands, "emit", _emit, "print the model as a plain PyTorch file")
    _spec(emit)
    _overrides(emit)
    _strict(emit)
    emit.add_argument("-o", "--output", metavar="FILE", type=Path, help="write it to FILE instead")
    _json(emit)

    run = _command(commands, "run", _run, "train to the end of the plan; without a spec, the digits that the package carries")
    run.add_argument("spec", nargs="?", metavar="SPEC", help="a .yaml or .json file; default: the digits spec of the package")
    _overrides(run)
    _strict(run)
    run.add_argument("--device", default="auto", metavar="DEVICE", help="auto (default), cpu, cuda, cuda:1, mps")
    run.add_argument("--synthetic", action="store_true", help="made-up samples of the right types instead of the data, to try a spec without it")
    run.add_argument("--runs", default="runs", metavar="FOLDER", help="where run folders go; default: runs")
    _json(run)

    resume = _command(commands, "resume", _resume, "go on with a run from its last good checkpoint")
    resume.add_argument("run", metavar="RUN", type=Path, help="a run folder, such as runs/digits/1")
    _changes_of_values(resume)
    resume.add_argument("--device", default=None, metavar="DEVICE", help="another device than that of the run")
    resume.add_argument("--allow-plan-change", action="store_true", help="let the run become longer or shorter, as --epochs says")
    resume.add_argument("--no-fallback", action="store_true", help="do not go back to an older checkpoint where the last one is damaged")
    resume.add_argument("--verify", action="store_true", help="make the steps before the checkpoint again first, and compare every bit")
    _json(resume)

    runs = _command(commands, "runs", _runs, "list the runs of a folder")
    runs.add_argument("folder", nargs="?", default="runs", metavar="FOLDER", help="default: runs")
    _json(runs)

    evaluated = _command(commands, "eval", _eval, "loss and metrics of the weights that a run left, over a part of its data")
    evaluated.add_argument("run", metavar="RUN", type=Path, help="a run folder, such as runs/digits/1")
    evaluated.add_argument("--split", metavar="NAME", help="the part: train, validation, test; default: test, else validation, else train")
    evaluated.add_argument("--device", default=None, metavar="DEVICE", help="another device than that of the run")
    evaluated.epilog = _EXECUTES
    _json(evaluated)

    predicted = _command(commands, "predict", _predict, "what the weights that a run left say of images and arrays")
    predicted.add_argument("run", metavar="RUN", type=Path, help="a run folder, such as runs/digits/1")
    predicted.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="an image (png, jpg, ...) or arrays (.npy, .npz, .safetensors), one sample or many"
    )
    predicted.add_argument("--device", default=None, metavar="DEVICE", help="default: that of the run where it is there, else the best that is")
    predicted.epilog = _EXECUTES
    _json(predicted)

    value = _command(commands, "explain-value", _explain_value, "say where a value comes from: the text, a default, a variant, the command line")
    _spec(value)
    value.add_argument("path", metavar="PATH", help="such as train.optimizer.lr or model.nodes.logits.out_features")
    _overrides(value)
    _json(value)

    kinds = _command(commands, "kinds", _kinds, "list what a spec can name, or explain one kind")
    kinds.add_argument("name", nargs="?", metavar="NAME", help="a kind, such as conv2d")
    _own_kinds(kinds)
    _json(kinds)

    schema = _command(commands, "schema", _schema, "print the JSON Schema of specs, for editors")
    _own_kinds(schema)

    init = _command(commands, "init", _init, "write a first spec to start from")
    init.add_argument("file", nargs="?", default="spec.yaml", metavar="FILE", type=Path, help="default: spec.yaml")
    init.add_argument("--like", default="digits", metavar="NAME", help="which carried spec to start from: digits (default), cnn, mlp")
    return parser


def _command(commands: Any, name: str, command: Callable[[Any], int], help: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".", allow_abbrev=False)
    parser.set_defaults(command=command)
    return parser


def _spec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", help="a .yaml or .json file")


def _changes_of_values(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", dest="changes", help="change a value, such as train.epochs=3; may be repeated"
    )
    parser.add_argument("--epochs", metavar="N", help="the same as --set train.epochs=N, and no `steps`")


def _overrides(parser: argparse.ArgumentParser) -> None:
    _changes_of_values(parser)
    parser.add_argument("--variant", metavar="NAME", help="one of the spec's `variants`; what --set says comes on top of it")
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="FOLDER",
        dest="roots",
        help="where included files may lie besides the spec's folder; may be repeated",
    )
    _own_kinds(parser)


def _strict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="a warning is an error: exit 3, and nothing is written")


def _own_kinds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kinds", action="append", default=[], metavar="FILE", dest="own_kinds", help="a Python file with kinds of your own; may be repeated"
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def _changes(arguments: argparse.Namespace) -> dict[str, str]:
    from specbuilder.diagnostics import UsageError

    changes: dict[str, str] = {}
    for change in arguments.changes:
        path, equals, value = change.partition("=")
        if not equals or not path:
            raise UsageError.of("SB0903", f"--set wants PATH=VALUE, but this is `{change}`", help="such as --set train.epochs=3")
        if path in changes:
            raise UsageError.of("SB0903", f"`{path}` is set twice, to `{changes[path]}` and to `{value}`", help="keep one of them")
        changes[path] = value
    if arguments.epochs is not None:
        from specbuilder.language.override import OwnOption

        if (length := next((path for path in ("train.epochs", "train.steps") if path in changes), None)) is not None:
            raise UsageError.of("SB0903", f"`--epochs` and `--set {length}` both say how long the run is", help="keep one of them")
        changes["train.epochs"] = OwnOption.of("--epochs", arguments.epochs)
        changes["train.steps"] = OwnOption.of("--epochs", "null")
    return changes


# Commands ------------------------------------------------------------------------------------------------------------


def _load(arguments: argparse.Namespace, path: str) -> Spec:
    return _load_variant(arguments, path, arguments.variant)


def _load_variant(arguments: argparse.Namespace, path: str, variant: str | None) -> Spec:
    from specbuilder.api import load

    return load(path, variant=variant, set=_changes(arguments), roots=arguments.roots, kinds=arguments.own_kinds, strict=arguments.strict)


def _validate(arguments: argparse.Namespace) -> int:
    """Checks every file, or every variant of every file, and exits with the worst code."""
    from specbuilder.diagnostics import SpecbuilderError

    worst, answers = 0, []
    for path in arguments.specs:
        shown: set[Diagnostic] = set()
        for variant in _variants(arguments, path):
            called = path or '""'
            title = called if variant is None else f"{called}, variant {variant}"
            try:
                spec = _load_variant(arguments, path, variant)
            except SpecbuilderError as error:
                worst = max(worst, error.exit_code)
                answers.append(_verdict(path, error.diagnostics, variant=variant))
                if not arguments.json:
                    _say([found for found in error.diagnostics if found not in shown])
                    print(f"{title}: {_counted(error.diagnostics)}", file=sys.stderr)
                shown |= {*error.diagnostics}
                continue
            answers.append(_verdict(path, spec.warnings, spec, variant=variant))
            if not arguments.json:
                _say([found for found in spec.warnings if found not in shown])
                print(f"{title}: valid; {_in_short(spec)}")
                if arguments.variant is None and spec.variants:
                    print(f"{path}: this is the base; `--variant all` checks {', '.join(spec.variants)} as well")
            shown |= {*spec.warnings}
    if arguments.json:
        print(json.dumps(answers[0] if len(answers) == 1 else answers, indent=2))
    return worst


def _variants(arguments: argparse.Namespace, path: str) -> list[str | None]:
    """What to check of a file: one variant, or with `all` the base and every variant, each network once."""
    if arguments.variant is None:
        return [None]
    from specbuilder.diagnostics import SpecbuilderError
    from specbuilder.language.variants import ALL

    if arguments.variant != ALL:
        return [arguments.variant]
    from specbuilder.api import variants_of

    try:
        variants = variants_of(path, set=_changes(arguments), roots=arguments.roots, kinds=arguments.own_kinds)
    except SpecbuilderError:
        return [None]
    return [*([] if any(variants.values()) else [None]), *variants]


def _in_short(spec: Spec) -> str:
    from specbuilder.report.figures import plural

    inputs = ", ".join(f"{name} {type}" for name, type in spec.graph.input_types.items())
    outputs = ", ".join(f"{name} {type}" for name, type in spec.graph.output_types.items())
    needs = "".join(f"; needs {requirement}" for requirement in spec.graph.requirements)
    return f"{plural(spec.report.parameters, 'parameter')}, {inputs} -> {outputs}{needs}"


def _verdict(path: str, diagnostics: Sequence[Diagnostic], spec: Spec | None = None, *, variant: str | None = None) -> dict[str, Any]:
    from specbuilder.diagnostics import as_json

    verdict: dict[str, Any] = {"version": 1, "file": path, "variant": variant, "valid": spec is not None}
    if spec is not None:
        verdict |= {
            "variants": list(spec.variants),
            "parameters": spec.report.parameters,
            "inputs": {name: str(type) for name, type in spec.graph.input_types.items()},
            "outputs": {name: str(type) for name, type in spec.graph.output_types.items()},
            "requirements": [str(requirement) for requirement in spec.graph.requirements],
        }
    return verdict | {"diagnostics": [as_json(found) for found in diagnostics]}


def _counted(diagnostics: Sequence[Diagnostic]) -> str:
    from specbuilder.report.figures import plural

    counts = {severity: sum(found.severity == severity for found in diagnostics) for severity in ("error", "warning")}
    return ", ".join(plural(number, severity) for severity, number in counts.items() if number)


def _summary(arguments: argparse.Namespace) -> int:
    spec = _load(arguments, arguments.spec)
    if arguments.json:
        outline = {"version": 1, "name": spec.name, **_verdict(arguments.spec, spec.warnings, spec, variant=spec.variant), **spec.report.as_json()}
        print(json.dumps(outline, indent=2))
        return 0
    from specbuilder.report.summary import summary

    _say(spec.warnings)
    print(summary(spec.graph, spec.report, _width()))
    return 0


def _emit(arguments: argparse.Namespace) -> int:
    spec = _load(arguments, arguments.spec)
    if arguments.output is not None:
        _write(arguments.output, spec.source)
    if arguments.json:
        verdict = _verdict(arguments.spec, spec.warnings, spec, variant=spec.variant)
        print(json.dumps({**verdict, "class": spec.emission.class_name, "source": spec.source}, indent=2))
        return 0
    _say(spec.warnings)
    if arguments.output is None:
        print(spec.source, end="")
    return 0


def _explain_value(arguments: argparse.Namespace) -> int:
    from specbuilder.api import explain_value
    from specbuilder.report import provenance

    found = explain_value(
        arguments.spec,
        arguments.path,
        variant=arguments.variant,
        set=_changes(arguments),
        roots=arguments.roots,
        kinds=arguments.own_kinds,
    )
    if arguments.json:
        print(json.dumps({"version": 1, "file": arguments.spec, "variant": arguments.variant, **provenance.as_json(found)}, indent=2))
    else:
        print(provenance.render(found, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    return 0


def _kinds(arguments: argparse.Namespace) -> int:
    from specbuilder.catalogue import lookup
    from specbuilder.catalogue.own import load_kinds
    from specbuilder.diagnostics import UsageError, did_you_mean
    from specbuilder.report import kinds

    load_kinds(arguments.own_kinds)
    families = list(kinds.TITLES)
    if arguments.name is None:
        if arguments.json:
            print(json.dumps({family: [kinds.as_json(kind) for kind in lookup.all_kinds(family)] for family in families}, indent=2))
        else:
            print(kinds.listing(families))
        return 0
    found = [kind for family in families if (kind := lookup.find(family, arguments.name)) is not None]
    if not found:
        known = [name for family in families for name in lookup.names(family)]
        aliases = {alias: name for family in families for alias, name in lookup.ALIASES[family].items()}
        plain = arguments.name.lower().replace("_", "")
        help = did_you_mean(arguments.name, known, aliases={arguments.name.lower(): aliases[plain]} if plain in aliases else None)
        raise UsageError.of("SB0904", f"there is no kind called `{arguments.name}`", help=help or "`specbuilder kinds` lists them all")
    if arguments.json:
        print(json.dumps([kinds.as_json(kind) for kind in found], indent=2))
    else:
        print("\n\n".join(kinds.page(kind) for kind in found))
    return 0


def _schema(arguments: argparse.Namespace) -> int:
    from specbuilder.catalogue.own import load_kinds
    from specbuilder.language.schema import make_schema

    load_kinds(arguments.own_kinds)
    print(json.dumps(make_schema(), indent=2))
    return 0


def _init(arguments: argparse.Namespace) -> int:
    from specbuilder.api import carried
    from specbuilder.diagnostics import UsageError

    text = carried(arguments.like).read_text(encoding="utf-8")
    if arguments.file.exists():
        raise UsageError.of("SB0905", f"{arguments.file} is there already, and nothing is written over it", help="name another file")
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("# yaml-language-server"))
    _write(arguments.file, body)
    print(f"wrote {arguments.file}; try `specbuilder validate {arguments.file}`, `summary`, `emit`, `run`")
    return 0


def _write(path: Path, text: str) -> None:
    from specbuilder.diagnostics import UsageError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError.of("SB0906", f"{path} cannot be written: {error.strerror}") from None


def _run(arguments: argparse.Namespace) -> int:
    from specbuilder.api import carried

    path = arguments.spec or str(carried("digits"))
    spec = _load(arguments, path)
    gc.enable()
    _say(spec.warnings)

    def train(host: _Terminal | None, stop: _Stop) -> Run:
        return spec.train(device=arguments.device, root=arguments.runs, synthetic=arguments.synthetic, host=host, stop=stop)

    return _trained(train, as_json=arguments.json)


def _resume(arguments: argparse.Namespace) -> int:
    from specbuilder.runs import resume

    gc.enable()

    def go_on(host: _Terminal | None, stop: _Stop) -> Run:
        return resume(
            arguments.run,
            device=arguments.device,
            set=_changes(arguments),
            allow_plan_change=arguments.allow_plan_change,
            fallback=not arguments.no_fallback,
            verify=arguments.verify,
            host=host,
            stop=stop,
        )

    return _trained(go_on, as_json=arguments.json)


def _trained(run_it: Callable[[Any, Any], Run], *, as_json: bool) -> int:
    """Runs, tells how it goes and what came of it, and exits with the code that says how it ended."""
    from specbuilder.diagnostics import CheckError

    terminal = None if as_json else _Terminal()
    stop = _Stop()
    broken = None
    try:
        with stop:
            run = run_it(terminal, stop)
    except CheckError as error:
        broken, run = error, getattr(error, "run", None)
        if run is None:
            raise
    finally:
        if terminal is not None:
            terminal.close()
    if as_json:
        figures = {"metrics": run.metrics, "weights": run.weights, "seconds": round(run.seconds, 3), "notes": run.notes}
        print(json.dumps({"version": 1, "folder": str(run.folder), "state": run.state, **figures}, indent=2))
    else:
        from specbuilder.report.run import ending

        _tell("\n".join(ending(run.folder, run.state, run.metrics, run.weights, run.seconds, type(run.model).__name__, run.notes)))
    if broken is not None:
        raise broken
    return INTERRUPTED if run.state == "interrupted" else 0


def _runs(arguments: argparse.Namespace) -> int:
    from specbuilder.runs import list_runs

    found = list_runs(arguments.folder)
    if arguments.json:
        print(json.dumps({"version": 1, "runs": [each.as_json() for each in found]}, indent=2))
        return 0
    from specbuilder.report.run import table

    print("\n".join(table([each.as_json() for each in found])) if found else f"no runs in {arguments.folder}")
    return 0


def _eval(arguments: argparse.Namespace) -> int:
    from specbuilder.runs import evaluate_run

    gc.enable()
    figures = evaluate_run(arguments.run, arguments.split, device=arguments.device)
    if arguments.json:
        split = next(iter(figures)).partition(".")[0]
        print(json.dumps({"version": 1, "folder": str(arguments.run), "split": split, "metrics": figures}, indent=2))
        return 0
    from specbuilder.report.run import evaluated

    print(evaluated(arguments.run, figures))
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from specbuilder.runs import predict

    gc.enable()
    found = [each.as_json() for each in predict(arguments.run, arguments.inputs, device=arguments.device)]
    if arguments.json:
        print(json.dumps({"version": 1, "folder": str(arguments.run), "predictions": found}, indent=2))
        return 0
    from specbuilder.report.predictions import table

    print("\n".join(table(found)))
    return 0


class _Stop:
    """The first Ctrl-C (or SIGTERM, or the end of the terminal) asks the loop to stop after its step; a second one stops at once."""

    SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self.requested

    def __enter__(self) -> Self:
        for number in self.SIGNALS:
            # `nohup` has SIGHUP ignored, and then the run outlives its terminal.
            if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        _tell("\nstopping after this step; once more to stop at once", sys.stderr)


class _Terminal:
    """Prints a run as it goes: lines that stay, and where there is a terminal a bar that moves. A run goes on where nobody can hear of it any more."""

    def __init__(self) -> None:
        self._steps = 0
        self._bar: Any = None

    def said(self, text: str) -> None:
        self._line(text)

    def started(self, folder: Path, plan: Plan, parameters: int, decisions: Any) -> None:
        from specbuilder.report.run import header

        assert plan.length is not None
        self._steps = plan.length.steps
        _tell("\n".join(header(plan, parameters, folder, decisions.as_json())))
        if sys.stdout.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeRemainingColumn(), transient=True
            )
            self._task = self._bar.add_task("training", total=self._steps)
            self._bar.start()

    def progress(self, step: int, steps: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def evaluated(self, row: Mapping[str, Any], timing: Mapping[str, Any]) -> None:
        from specbuilder.report.run import evaluation

        self._line(evaluation(row, timing, self._steps), step=row["step"])

    def _line(self, line: str, step: int | None = None) -> None:
        """A line that stays, above the bar where there is one, which stands at `step` then."""
        if self._bar is None:
            _tell(line)
            return
        try:
            if step is not None:
                self._bar.update(self._task, completed=step)
            self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        except OSError:
            _silence(sys.stdout)

    def close(self) -> None:
        bar, self._bar = self._bar, None
        if bar is None:
            return
        try:
            bar.stop()
        except OSError:
            _silence(sys.stdout)


# Printing ------------------------------------------------------------------------------------------------------------


def _tell(text: str, stream: TextIO | None = None) -> None:
    """Prints, and goes on in silence when the reader (`| head`) or the terminal is gone."""
    to = sys.stdout if stream is None else stream
    try:
        print(text, file=to, flush=True)
    except OSError:
        _silence(to)


def _silence(stream: TextIO) -> None:
    """What was not read, and all that follows, is written to nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 120


def _say(diagnostics: Sequence[Diagnostic]) -> None:
    from specbuilder.diagnostics import render_all

    if diagnostics:
        colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        print(render_all(diagnostics, colour=colour) + "\n", file=sys.stderr)


def _fail(error: Any, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"version": 1, "valid": False, "diagnostics": _verdict("", error.diagnostics)["diagnostics"]}, indent=2))
    else:
        _say(error.diagnostics)
