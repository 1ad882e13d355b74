"""Every command that the README shows exists."""

import re
from pathlib import Path

import yaml
from typer.testing import CliRunner

from pareta_batch.spec import Batch
from pareta_cli.app import app

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")


def test_every_pareta_pipeline_command_is_there() -> None:
    commands = set(re.findall(r"pareta-pipeline ([a-z-]+)", README))
    assert {"complete", "run", "status", "export", "sandbox"} <= commands
    for command in commands - {"sandbox"}:
        shown = CliRunner().invoke(app, [command, "--help"])
        assert shown.exit_code == 0, f"pareta-pipeline {command}: {shown.output}"


def test_every_make_target_is_there() -> None:
    for target in re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"make {target}"


def test_the_example_spec_is_one() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert Batch.model_validate(yaml.safe_load(example)).max_in_flight == 32
