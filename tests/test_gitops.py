"""The example of a configuration in Git: its workflow is run on a pull request, its ConfigMap is mounted and swapped.

The one rule: every line of the workflow that is not another project's is run as it stands.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from portbroker.app import running
from portbroker.compile import compile_snapshot
from portbroker.config.load import load
from portbroker.reload import Reloader, reloading

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "gitops"
WORKFLOW = yaml.safe_load((EXAMPLE / ".github" / "workflows" / "portbroker.yml").read_text())
STEPS: dict[str, str] = {
    step["name"]: step["run"] for step in WORKFLOW["jobs"]["configuration"]["steps"] if "run" in step
}
GH = '#!/bin/sh\nprintf "%s\\n" "$@" > "$RUNNER_TEMP/said"\nfor last; do :; done\ncat "$last" >> "$RUNNER_TEMP/said"\n'
"""In the place of GitHub's own command, which would need GitHub: it keeps what it was told to say."""


class PullRequest:
    """A repository with the example on its main branch, and a change of it."""

    def __init__(self, directory: Path) -> None:
        self.work = directory / "work"
        self.temp = directory / "temp"
        self.temp.mkdir()
        shutil.copytree(EXAMPLE, self.work)
        tools = directory / "tools"
        tools.mkdir()
        (tools / "gh").write_text(GH)
        (tools / "gh").chmod(0o700)
        path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.variables = {
            "PATH": path, "HOME": str(directory), "RUNNER_TEMP": str(self.temp), "GITHUB_BASE_REF": "main",
            "PULL_REQUEST": "7", "GIT_CONFIG_NOSYSTEM": "1",
        }  # fmt: skip
        for command in (
            "git init -q -b main",
            "git config user.email a@example.com && git config user.name A && git config commit.gpgsign false",
            "git add . && git commit -q -m one",
            "git update-ref refs/remotes/origin/main HEAD",
        ):
            assert self.run(command).returncode == 0

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script], cwd=self.work, env=self.variables, capture_output=True,
            text=True, timeout=60,
        )  # fmt: skip

    def replace(self, file: str, old: str, new: str) -> None:
        text = (self.work / file).read_text()
        assert old in text
        (self.work / file).write_text(text.replace(old, new))


@pytest.fixture
def pull_request(tmp_path: Path) -> PullRequest:
    return PullRequest(tmp_path)


def test_the_workflow_has_no_step_that_is_not_run_here() -> None:
    assert list(STEPS) == [
        "Install PortBroker", "It can be served", "It does what its tests say", "What it changes for callers", "Say so",
    ]  # fmt: skip


def test_a_good_change_passes_and_its_comment_says_what_it_means(pull_request: PullRequest) -> None:
    pull_request.replace("teams/search.yaml", "gpt-5-mini", "gpt-5.2")
    outcomes = [pull_request.run(STEPS[name]) for name in list(STEPS)[1:]]
    assert [outcome.returncode for outcome in outcomes] == [0] * 4, [outcome.stderr for outcome in outcomes]
    assert outcomes[0].stdout.count("::notice ") == 2  # no key of any provider is needed
    assert outcomes[1].stdout == "4 passed, 0 failed\n4 of 4 rules reached\n"
    said = (pull_request.temp / "said").read_text()
    assert said.startswith("pr\ncomment\n7\n")
    assert "- **changed** search-rerank: gpt-5.2 at OpenAI, was gpt-5-mini\n" in said


def test_a_change_that_means_nothing_to_callers_passes_and_says_so(pull_request: PullRequest) -> None:
    pull_request.replace("teams/search.yaml", "# The search", "# This search")
    assert pull_request.run(STEPS["What it changes for callers"]).returncode == 0
    assert "\nNothing.\n" in (pull_request.work / "diff.md").read_text()


def test_a_file_that_cannot_be_served_fails_at_its_line(pull_request: PullRequest) -> None:
    pull_request.replace("teams/search.yaml", "provider: OpenAI, model: gpt-5-mini}", "provider: OpenIA, model: m}")
    checked = pull_request.run(STEPS["It can be served"])
    assert checked.returncode == 1
    assert checked.stdout.startswith("::error file=teams/search.yaml,line=6,col=20::")
    assert pull_request.run(STEPS["What it changes for callers"]).returncode != 0
    assert "### This configuration cannot be served" in (pull_request.work / "diff.md").read_text()


def test_a_change_that_breaks_a_teams_promise_fails_its_test(pull_request: PullRequest) -> None:
    pull_request.replace("providers/anthropic.yaml", "priority: 1", "priority: 3")
    tested = pull_request.run(STEPS["It does what its tests say"])
    assert tested.returncode == 1
    assert "haiku goes to Anthropic first" in tested.stdout


# Kubernetes


def manifests() -> tuple[dict[str, Path], dict[str, Any]]:
    """The files of the ConfigMap by their keys, and the pod."""
    kustomization = yaml.safe_load((EXAMPLE / "kubernetes" / "kustomization.yaml").read_text())
    (generator,) = kustomization["configMapGenerator"]
    pairs = (entry.split("=") for entry in generator["files"])
    deployment = yaml.safe_load((EXAMPLE / "kubernetes" / "gateway.yaml").read_text())
    return {key: EXAMPLE / "kubernetes" / file for key, file in pairs}, deployment["spec"]["template"]["spec"]


class Mount:
    """A volume as the kubelet writes it: a directory for each version, behind links that are swapped."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files, pod = manifests()
        self.items = next(v["configMap"]["items"] for v in pod["volumes"] if "configMap" in v)
        self._version = 0

    def write(self, **replaced: tuple[str, str]) -> None:
        """Mount the files, one or the other with a text replaced."""
        self._version += 1
        version = self.directory / f"..2026_{self._version}"
        for item in self.items:
            text = self.files[item["key"]].read_text()
            old, new = replaced.get(item["key"].replace(".", "_"), ("", ""))
            path = version / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(old, new) if old else text)
        (self.directory / "..data_tmp").symlink_to(version.name)
        os.replace(self.directory / "..data_tmp", self.directory / "..data")
        for name in {item["path"].partition("/")[0] for item in self.items}:
            if not (self.directory / name).is_symlink():
                (self.directory / name).symlink_to(f"..data/{name}")


def test_the_mounted_tree_is_that_of_the_repository() -> None:
    files, pod = manifests()
    (volume,) = [volume["configMap"] for volume in pod["volumes"] if "configMap" in volume]
    mounted = {item["path"] for item in volume["items"]}
    assert {item["key"] for item in volume["items"]} == set(files)
    assert mounted == {str(path.resolve().relative_to(EXAMPLE)) for path in files.values()}
    loaded = load(EXAMPLE / "portbroker.yaml", environ={})
    assert mounted == {"portbroker.yaml", *loaded.included}


def test_the_directory_is_mounted_and_not_a_file_of_it() -> None:
    _, pod = manifests()
    (container,) = pod["containers"]
    assert not [mount for mount in container["volumeMounts"] if "subPath" in mount]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "configuration"]
    assert container["args"] == ["serve", f"{mount['mountPath']}/portbroker.yaml"]
    assert pod["terminationGracePeriodSeconds"] > 30


async def test_a_merge_is_served_within_a_second_of_the_swap(tmp_path: Path) -> None:
    mount = Mount(tmp_path)
    mount.write()
    loaded = load(tmp_path / "portbroker.yaml")
    snapshot = compile_snapshot(loaded)
    assert loaded.included == load(EXAMPLE / "portbroker.yaml").included
    async with running(snapshot, host="127.0.0.1", port=0, max_body=1024) as listening:
        async with reloading(Reloader(tmp_path / "portbroker.yaml", loaded, snapshot, listening)):
            await asyncio.sleep(0.15)  # until the kernel watches: nothing tells when that is
            for model in ("gpt-5.2", "gpt-5-nano"):
                mount.write(teams_search=("gpt-5-mini", model))
                async with asyncio.timeout(1.5):
                    while True:
                        rules = listening.gateway.snapshot.models.rules
                        if any(target.model.text == model for rule in rules for target in rule.targets):
                            break
                        await asyncio.sleep(0.01)
