"""The command line from outside: what a user types, sees and gets as exit code.

Most rows run in a process of their own. Whole outputs are golden files; rows with torch are few, since each costs seconds.
"""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from specbuilder import cli
from specbuilder.api import parse
from tests.conftest import Golden

ROOT = Path(__file__).parent.parent.parent
BAD = "specbuilder: 1\nname: bad\nmodel:\n  inputs:\n    x: float32[B, 4]\n  nodes:\n    - lineer: 10\n"
BROKEN_PROMISE = BAD.replace("lineer", "linear") + "expect: {parameters: 1}\n"
RIGHT = BAD.replace("lineer", "linear")


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """A command turns the garbage collector off for its short life; the tests go on."""
    yield
    gc.enable()


class Answer(NamedTuple):
    code: int
    out: str
    err: str


def specbuilder(*arguments: str, folder: Path = ROOT, **environment: str) -> Answer:
    """Runs the command as a user does, without a terminal."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment}
    done = subprocess.run(
        [sys.executable, "-m", "specbuilder", *arguments], cwd=folder, env=env, capture_output=True, encoding="utf-8", check=False, timeout=120
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)


def written(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


# Exit codes and what is said -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        ("validate right.yaml", 0, "right.yaml: valid; 50 parameters, x float32[B, 4] -> output float32[B, 10]\n", ""),
        ("validate nope.yaml", 2, "", "error[SB0901]: there is no file nope.yaml\n\nnope.yaml: 1 error\n"),
        ("validate rihgt.yaml", 2, "", "error[SB0901]: there is no file rihgt.yaml\n  = help: did you mean `right.yaml`?\n\nrihgt.yaml: 1 error\n"),
        ("summary nope.yaml", 2, "", "error[SB0901]: there is no file nope.yaml\n\n"),
        ("validate promise.yaml", 6, "", None),
        ("validate bad.yaml", 3, "", None),
        ("summary bad.yaml", 3, "", None),
        ("emit bad.yaml", 3, "", None),
        ("run bad.yaml", 3, "", None),
        ("emit promise.yaml", 6, "", None),
        ("run right.yaml", 3, "", None),
        (
            "kinds nothing_like_it",
            2,
            "",
            "error[SB0904]: there is no kind called `nothing_like_it`\n  = help: `specbuilder kinds` lists them all\n\n",
        ),
        ("kinds Conv2d", 2, "", "error[SB0904]: there is no kind called `Conv2d`\n  = help: did you mean `conv2d`?\n\n"),
        ("validate right.yaml --set epochs", 2, "", None),
        ("validate right.yaml --epochs abc", 3, "", None),
        (
            "validate right.yaml --set train.epochs=3 --set train.epochs=4",
            2,
            "",
            "error[SB0903]: `train.epochs` is set twice, to `3` and to `4`\n  = help: keep one of them\n\nright.yaml: 1 error\n",
        ),
        (
            "summary right.yaml --set train.epochs=3 --epochs 5",
            2,
            "",
            "error[SB0903]: `--epochs` and `--set train.epochs` both say how long the run is\n  = help: keep one of them\n\n",
        ),
        ("summary /dev/zero", 2, "", "error[SB0901]: /dev/zero is no file\n  = help: name a spec, a .yaml or .json file\n\n"),
        (
            "init --like ../specs/digits",
            2,
            "",
            "error[SB0907]: the package carries no spec `../specs/digits`\n  = help: it carries cnn, digits, mlp\n\n",
        ),
        ("init --like nope", 2, "", "error[SB0907]: the package carries no spec `nope`\n  = help: it carries cnn, digits, mlp\n\n"),
    ],
)
def test_exit_code_and_words(arguments: str, code: int, out: str, err: str | None, tmp_path: Path) -> None:
    written(tmp_path, right=RIGHT, bad=BAD, promise=BROKEN_PROMISE)
    answer = specbuilder(*arguments.split(), folder=tmp_path)
    assert (answer.code, answer.out) == (code, out)
    assert answer.err != "" or code == 0
    if err is not None:
        assert answer.err == err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.yaml", "promise.yaml", "right.yaml"], "nothing is written"


WARNED = """\
specbuilder: 1
name: warned
vars: {width: 3}
model:
  inputs: {x: "float32[B, 4]"}
  nodes:
    - linear: 8
    - relu:
      from: x
"""


@pytest.mark.parametrize("command", ["validate", "summary", "emit -o model.py", "run --device cpu"])
def test_strict_makes_errors_of_warnings_and_says_so(command: str, tmp_path: Path, golden: Golden) -> None:
    """Nothing is written then. Without it they are warnings."""
    written(tmp_path, warned=WARNED)
    answer = specbuilder(*command.split(), "warned.yaml", "--strict", folder=tmp_path)
    assert (answer.code, answer.out) == (3, "")
    counted = "warned.yaml: 2 errors\n" if command == "validate" else ""
    golden("cli/strict.txt", answer.err.removesuffix(counted))
    assert [path.name for path in tmp_path.iterdir()] == ["warned.yaml"]


def test_strict_in_json_and_without_it(tmp_path: Path) -> None:
    written(tmp_path, warned=WARNED)
    strict, plain = (specbuilder("validate", "warned.yaml", "--json", *option, folder=tmp_path) for option in (["--strict"], []))
    assert (strict.code, plain.code) == (3, 0)
    said = [(found["severity"], found["message"]) for answer in (strict, plain) for found in json.loads(answer.out)["diagnostics"]]
    suffix = " (an error because of `--strict`)"
    messages = ["the variable `width` is never used", "nothing reads `linear`, and it is no output"]
    assert said == [*(("error", message + suffix) for message in messages), *(("warning", message) for message in messages)]


def test_strict_has_nothing_to_say_of_what_is_right(tmp_path: Path) -> None:
    written(tmp_path, right=RIGHT)
    assert specbuilder("validate", "right.yaml", "--strict", folder=tmp_path) == specbuilder("validate", "right.yaml", folder=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        ([], "specbuilder: the following arguments are required: COMMAND"),
        (["validat", "a.yaml"], "specbuilder: there is no command `validat`; did you mean `validate`?"),
        (["validate"], "specbuilder: the following arguments are required: SPEC"),
        (["validate", "--jsn", "a.yaml"], "specbuilder: unrecognized arguments: --jsn; did you mean `--json`?"),
        (["run", "--devise", "cpu"], "specbuilder: unrecognized arguments: --devise"),
        (["schema", "--json"], "specbuilder: unrecognized arguments: --json"),
    ],
)
def test_wrong_use_is_exit_2(arguments: list[str], first: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.splitlines()[0].startswith(first)


def test_empty_path_is_named(tmp_path: Path) -> None:
    answer = specbuilder("validate", "", folder=tmp_path)
    assert answer.code == 2
    assert answer.err == 'error[SB0901]: the path of the spec is empty\n  = help: name a spec, a .yaml or .json file\n\n"": 1 error\n'


def test_epochs_are_shown_as_they_were_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", str(ROOT / "specs/digits.yaml"), "--epochs", "abc"]) == 3
    assert capsys.readouterr().err.startswith(
        'error[SB0203]: `epochs` wants a positive number, but this is the text "abc"\n --> --epochs:1:1\n  |\n1 | abc\n  | ^^^\n'
    )


def test_spec_is_read_from_a_pipe(tmp_path: Path) -> None:
    written(tmp_path, right=RIGHT)
    command = f"{sys.executable} -m specbuilder validate <(cat right.yaml)"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith(": valid; 50 parameters, x float32[B, 4] -> output float32[B, 10]\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["validate specs/digits.yaml", "kinds", "summary --json specs/cnn.yaml"])
def test_output_that_cannot_be_written_is_one_line(arguments: str, unbuffered: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "specbuilder", *arguments.split()], cwd=ROOT, env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "specbuilder: the output cannot be written: No space left on device\n")


def test_closed_output_is_no_mistake() -> None:
    command = f"{sys.executable} -m specbuilder summary specs/digits.yaml >&-"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_emit_as_json_holds_the_source_and_its_class(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(ROOT / "specs/digits.yaml")
    assert cli.main(["emit", path]) == 0
    source = capsys.readouterr().out
    assert cli.main(["emit", path, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["version"], answer["valid"], answer["source"]) == (1, True, source)
    assert f"class {answer['class']}(nn.Module):" in source


def test_several_specs_are_all_checked_and_the_worst_code_counts(tmp_path: Path) -> None:
    written(tmp_path, a_right=RIGHT, b_bad=BAD, c_promise=BROKEN_PROMISE)
    answer = specbuilder("validate", "a_right.yaml", "b_bad.yaml", "c_promise.yaml", folder=tmp_path)
    assert answer.code == 6
    assert answer.out == "a_right.yaml: valid; 50 parameters, x float32[B, 4] -> output float32[B, 10]\n"
    assert [line for line in answer.err.splitlines() if line.endswith("1 error")] == ["b_bad.yaml: 1 error", "c_promise.yaml: 1 error"]
    assert specbuilder("validate", "a_right.yaml", "b_bad.yaml", folder=tmp_path).code == 3


def test_absent_data_is_exit_5_and_leaves_nothing(tmp_path: Path) -> None:
    answer = specbuilder("run", str(ROOT / "specs/cnn.yaml"), "--epochs", "1", folder=tmp_path)
    assert answer.code == 5
    assert "error[SB0806]: CIFAR-10 is not in" in answer.err
    assert "`download: true`" in answer.err
    assert "`--synthetic`" in answer.err
    assert list(tmp_path.iterdir()) == []


# Goldens -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("validate_all.txt", ["validate", "specs/cnn.yaml", "specs/digits.yaml", "specs/mlp.yaml"]),
        ("validate_mlp.json", ["validate", "--json", "specs/mlp.yaml"]),
        ("summary_cnn.txt", ["summary", "specs/cnn.yaml"]),
        ("summary_digits.txt", ["summary", "specs/digits.yaml"]),
        ("summary_mlp.json", ["summary", "--json", "specs/mlp.yaml"]),
        ("emit_mlp.py.txt", ["emit", "specs/mlp.yaml"]),
        ("emit_cnn.py.txt", ["emit", "specs/cnn.yaml"]),
        ("kinds.txt", ["kinds"]),
        ("kinds_conv2d.txt", ["kinds", "conv2d"]),
        ("kinds_add.txt", ["kinds", "add"]),
        ("kinds_adamw.json", ["kinds", "--json", "adamw"]),
    ],
)
def test_output_is_as_it_was(
    name: str, arguments: list[str], golden: Golden, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    if name.endswith(".json"):
        json.loads(printed.out)
    golden(f"cli/{name}", re.sub(r"specbuilder \d+\.\d+\.\d+\S*", "specbuilder X.Y.Z", printed.out))


def test_schema_is_the_committed_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    assert capsys.readouterr().out == (ROOT / "schemas" / "spec.schema.json").read_text(encoding="utf-8")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert re.findall(r"^    ([a-z-]+)(?: |$)", said, re.MULTILINE) == [
        *("validate", "summary", "emit", "run", "resume", "runs", "eval", "predict", "explain-value", "kinds", "schema", "init")
    ]


# JSON ----------------------------------------------------------------------------------------------------------------


def test_json_of_a_bad_spec_carries_places(tmp_path: Path) -> None:
    written(tmp_path, bad=BAD)
    answer = specbuilder("validate", "--json", "bad.yaml", folder=tmp_path)
    assert (answer.code, answer.err) == (3, "")
    assert json.loads(answer.out) == {
        "version": 1,
        "file": "bad.yaml",
        "variant": None,
        "valid": False,
        "diagnostics": [
            {
                "code": "SB0205",
                "severity": "error",
                "message": "unknown kind of node `lineer`",
                "range": {"file": "bad.yaml", "line": 7, "column": 7, "end_line": 7, "end_column": 13},
                "path": "",
                "chain": [],
                "related": [],
                "help": "did you mean `linear`?",
                "fixes": [],
            }
        ],
    }


@pytest.mark.parametrize("command", ["summary", "run"])
def test_json_of_a_failure_is_json_too(command: str, tmp_path: Path) -> None:
    written(tmp_path, bad=BAD)
    answer = specbuilder(command, "--json", "bad.yaml", folder=tmp_path)
    assert (answer.code, answer.err) == (3, "")
    assert [found["code"] for found in json.loads(answer.out)["diagnostics"]] == ["SB0205"]


def test_json_of_several_specs_is_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, bad=BAD, right=RIGHT)
    assert cli.main(["validate", "--json", "right.yaml", "bad.yaml", "nope.yaml"]) == 3
    answers = json.loads(capsys.readouterr().out)
    assert [(each["file"], each["valid"], len(each["diagnostics"])) for each in answers] == [
        ("right.yaml", True, 0),
        ("bad.yaml", False, 1),
        ("nope.yaml", False, 1),
    ]


# Options -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ([], 6570),
        (["--set", "vars.width=32"], 64 * 32 + 32 + 32 * 16 + 16 + 16 * 10 + 10),
        (["--set", "vars.width=32", "--set", "model.nodes.logits.linear=5"], 64 * 32 + 32 + 32 * 16 + 16 + 16 * 5 + 5),
        (["--set", "model.nodes.1={linear: {out_features: 64, bias: false}}"], 6570 - 64),
    ],
)
def test_set_changes_what_is_checked(
    arguments: list[str], parameters: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "specs/mlp.yaml").read_text(encoding="utf-8")
    written(tmp_path, mlp=text[: text.index("data:")])
    assert cli.main(["validate", "--json", "mlp.yaml", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == parameters


@pytest.mark.parametrize("length", ["epochs: 30", "steps: 70"])
def test_epochs_take_the_place_of_either_length(length: str) -> None:
    text = (ROOT / "specs/mlp.yaml").read_text(encoding="utf-8").replace("epochs: 30", length)
    arguments = cli._parser().parse_args(["run", "mlp.yaml", "--epochs", "2"])
    plan = parse(text, set=cli._changes(arguments)).plan
    assert plan is not None
    assert plan.length is not None
    # 1,797 samples, 359 of them cut off for the test: 1,438 in 23 batches of 64, the last of which has 30.
    assert (plan.length.steps, plan.length.steps_per_epoch) == (46, 23)


def test_mistake_in_set_is_shown_in_the_option(tmp_path: Path) -> None:
    written(tmp_path, right=RIGHT)
    answer = specbuilder("validate", "right.yaml", "--set", "model.nodes.linear.linear=ten", folder=tmp_path)
    assert answer.code == 3
    assert "--> --set:1:27\n" in answer.err
    assert "1 | model.nodes.linear.linear=ten\n" in answer.err


# Variants, included files and where values come from -------------------------------------------------------------------

FAMILY = """\
specbuilder: 1
name: family
include: parts.yaml
vars: {width: 8}
variants:
  small: {width: 2}
  large: {width: 16, depth: 3}
model:
  inputs:
    x: float32[B, 4]
  nodes:
    - linear: $width
    - linear: $depth
"""


def family(folder: Path) -> None:
    written(folder, family=FAMILY, parts="specbuilder: 1\nvars: {depth: 1}\n", small=FAMILY.replace("small: {width: 2}", "small: {}"))


@pytest.mark.parametrize(
    ("arguments", "code", "out"),
    [
        (
            "validate family.yaml",
            0,
            (
                "family.yaml: valid; 49 parameters, x float32[B, 4] -> output float32[B, 1]\n"
                "family.yaml: this is the base; `--variant all` checks small, large as well\n"
            ),
        ),
        ("validate family.yaml --variant small", 0, "family.yaml, variant small: valid; 13 parameters, x float32[B, 4] -> output float32[B, 1]\n"),
        (
            "validate family.yaml --variant all",
            0,
            (
                "family.yaml: valid; 49 parameters, x float32[B, 4] -> output float32[B, 1]\n"
                "family.yaml, variant small: valid; 13 parameters, x float32[B, 4] -> output float32[B, 1]\n"
                "family.yaml, variant large: valid; 131 parameters, x float32[B, 4] -> output float32[B, 3]\n"
            ),
        ),
        # A variant that is the base is checked once.
        (
            "validate small.yaml --variant all",
            0,
            (
                "small.yaml, variant small: valid; 49 parameters, x float32[B, 4] -> output float32[B, 1]\n"
                "small.yaml, variant large: valid; 131 parameters, x float32[B, 4] -> output float32[B, 3]\n"
            ),
        ),
        (
            "validate family.yaml --variant large --set vars.width=1",
            0,
            "family.yaml, variant large: valid; 11 parameters, x float32[B, 4] -> output float32[B, 3]\n",
        ),
        ("validate family.yaml --variant lagre", 3, ""),
        ("summary family.yaml --variant lagre", 3, ""),
        ("emit family.yaml --variant all", 3, ""),
        ("run family.yaml --variant lagre", 3, ""),
        ("explain-value family.yaml vars.widht", 3, ""),
        ("explain-value nope.yaml vars.width", 2, ""),
        ("validate family.yaml --root nowhere", 2, ""),
        (
            "explain-value family.yaml vars.depth --variant large",
            0,
            (
                "vars.depth = 3, set by the variant `large`\n"
                " --> family.yaml:7:29\n  |\n7 |   large: {width: 16, depth: 3}\n  |                             ^ written here\n"
                " --> parts.yaml:2:15\n  |\n2 | vars: {depth: 1}\n  |               ^ instead of this, from an included file\n"
            ),
        ),
    ],
)
def test_families(arguments: str, code: int, out: str, tmp_path: Path) -> None:
    family(tmp_path)
    answer = specbuilder(*arguments.split(), folder=tmp_path)
    assert (answer.code, answer.out) == (code, out), answer.err
    assert (answer.err == "") == (code == 0)


def test_mistake_of_one_variant_fails_the_check_of_all(tmp_path: Path) -> None:
    written(tmp_path, a=FAMILY.replace("width: 2}", "width: 0}").replace("include: parts.yaml\n", "").replace("width: 8}", "width: 8, depth: 1}"))
    assert specbuilder("validate", "a.yaml", folder=tmp_path).code == 0
    answer = specbuilder("validate", "a.yaml", "--variant", "all", folder=tmp_path)
    assert answer.code == 3
    assert [line.partition(";")[0] for line in answer.out.splitlines()] == ["a.yaml: valid", "a.yaml, variant large: valid"]
    assert answer.err.splitlines()[-1] == "a.yaml, variant small: 1 error"


def test_mistake_that_all_variants_have_is_shown_once(tmp_path: Path) -> None:
    written(
        tmp_path, a=FAMILY.replace("include: parts.yaml\n", "").replace("width: 8}", "width: 8, depth: 1}").replace("linear: $depth", "lineer: 1")
    )
    answer = specbuilder("validate", "a.yaml", "--variant", "all", folder=tmp_path)
    assert answer.err.count("unknown kind of node `lineer`") == 1
    assert [line for line in answer.err.splitlines() if line.endswith("1 error")] == [
        *("a.yaml: 1 error", "a.yaml, variant small: 1 error", "a.yaml, variant large: 1 error")
    ]


def test_json_of_variants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    family(tmp_path)
    assert cli.main(["validate", "--json", "family.yaml", "--variant", "all"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [(each["variant"], each["parameters"], each["variants"]) for each in answers] == [
        (variant, parameters, ["small", "large"]) for variant, parameters in ((None, 49), ("small", 13), ("large", 131))
    ]
    assert cli.main(["explain-value", "--json", "family.yaml", "model.nodes.1.out_features", "--variant", "large"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {key: found[key] for key in ("version", "file", "variant", "path", "value", "origin", "expression")} == {
        "version": 1,
        "file": "family.yaml",
        "variant": "large",
        "path": "model.nodes.1.out_features",
        "value": 3,
        "origin": "text",
        "expression": "$depth",
    }


def test_root_opens_another_folder(tmp_path: Path) -> None:
    for name in ("library", "specs"):
        (tmp_path / name).mkdir()
    written(tmp_path / "library", parts="specbuilder: 1\nvars: {depth: 1}\n")
    written(tmp_path / "specs", a=FAMILY.replace("parts.yaml", "../library/parts.yaml"))
    assert specbuilder("validate", "specs/a.yaml", folder=tmp_path).code == 3
    answer = specbuilder("validate", "specs/a.yaml", "--root", "library", folder=tmp_path)
    assert (answer.code, answer.out.splitlines()[0]) == (0, "specs/a.yaml: valid; 49 parameters, x float32[B, 4] -> output float32[B, 1]")


# Terminals and pipes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_without_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    written(tmp_path, bad=BAD)
    answer = specbuilder("validate", "bad.yaml", folder=tmp_path, **environment)
    assert "\x1b" not in answer.out + answer.err


def on_terminal(*arguments: str, folder: Path, **environment: str) -> str:
    """What is printed to a terminal: both streams of the command lead to one."""
    import pty

    parent, child = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    env.pop("NO_COLOR", None) if "NO_COLOR" not in environment else None
    process = subprocess.Popen([sys.executable, "-m", "specbuilder", *arguments], cwd=folder, env=env, stdout=child, stderr=child, stdin=child)
    os.close(child)
    printed = b""
    try:
        while chunk := os.read(parent, 4096):
            printed += chunk
    except OSError:
        pass  # Linux answers EIO once the other side is closed.
    process.wait(timeout=60)
    os.close(parent)
    return printed.decode()


def test_colour_on_a_terminal_unless_it_is_declined(tmp_path: Path) -> None:
    written(tmp_path, bad=BAD)
    assert "\x1b[1;31merror[SB0205]\x1b[0m" in on_terminal("validate", "bad.yaml", folder=tmp_path)
    assert "\x1b" not in on_terminal("validate", "bad.yaml", folder=tmp_path, NO_COLOR="1")


@pytest.mark.parametrize("arguments", ["kinds", "schema", "validate --json specs/cnn.yaml", "emit specs/cnn.yaml"])
def test_reader_that_goes_away_is_no_failure(arguments: str) -> None:
    # With buffers, so that what is short is written only when the interpreter ends.
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "specbuilder", *arguments.split()],
        cwd=ROOT,
        env=env,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


# init and emit -------------------------------------------------------------------------------------------------------


def test_init_writes_a_spec_that_is_valid_and_writes_over_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init"]) == 0
    assert capsys.readouterr().out == "wrote spec.yaml; try `specbuilder validate spec.yaml`, `summary`, `emit`, `run`\n"
    text = (tmp_path / "spec.yaml").read_text(encoding="utf-8")
    assert "$schema" not in text, "the path to the schema is that of the repository"
    assert cli.main(["validate", "spec.yaml"]) == 0
    assert cli.main(["init", "--like", "mlp"]) == 2
    assert (tmp_path / "spec.yaml").read_text(encoding="utf-8") == text
    assert capsys.readouterr().err == ("error[SB0905]: spec.yaml is there already, and nothing is written over it\n  = help: name another file\n\n")
    assert cli.main(["init", "other.yaml", "--like", "mlp"]) == 0
    assert cli.main(["init", "no/such/folder.yaml"]) == 2
    assert cli.main(["emit", "other.yaml", "-o", "model.py"]) == 0
    capsys.readouterr()
    assert cli.main(["emit", "other.yaml"]) == 0
    assert capsys.readouterr().out == (tmp_path / "model.py").read_text(encoding="utf-8")


ALONE = """
import runpy, sys, torch
space = runpy.run_path(sys.argv[1])
(cls,) = [found for found in space.values() if isinstance(found, type) and issubclass(found, torch.nn.Module)]
model = cls().eval()
with torch.no_grad():
    out = model(torch.zeros(*map(int, sys.argv[2].split(","))))
print(tuple(out.shape), sum(parameter.numel() for parameter in model.parameters()), "specbuilder" in sys.modules)
"""


@pytest.mark.parametrize(("name", "shape", "parameters"), [("mlp", "3,1,8,8", 6570), ("cnn", "3,3,32,32", 2721354)])
def test_emitted_file_runs_without_specbuilder(name: str, shape: str, parameters: int, tmp_path: Path) -> None:
    assert cli.main(["emit", str(ROOT / f"specs/{name}.yaml"), "-o", str(tmp_path / "model.py")]) == 0
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(tmp_path / "model.py"), shape], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout == f"(3, 10) {parameters} False\n", done.stderr
