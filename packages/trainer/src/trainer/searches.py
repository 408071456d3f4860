"""Searches on disk: each a tag like a run's, with its trials.

    workspace/searches/N2C_11/search.json    what is searched: space, dataset, parent
    workspace/searches/N2C_11/base.toml      the settings that are not searched
    workspace/searches/N2C_11/study.db       optuna's own record (SQLite)
    workspace/searches/N2C_11/progress.json  how many trials, and the best
    workspace/searches/N2C_11/runs/trial_3   trial N2C_11#3, a run like any other

Whatever reads runs reads trials, by name, and a trial keeps its whole configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from corpuskit.config import check_name, dump_toml, family_of, to_mapping
from corpuskit.errors import BadSetting, Refused, unknown
from corpuskit.files import publish_folder, read_json, temporary_folder, write_file, write_json
from trainer import runs
from trainer.config import idle
from trainer.errors import BadRun
from trainer.identity import differences
from trainer.plan import Plan, Request, plan
from trainer.space import Space, space_of

__all__ = ["Search", "begin", "open_search"]

SCHEMA = 1
RATE = ("optim.warm_up", "optim.max_lr_scale")  # settings a rate's peak depends on


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search on disk."""

    folder: Path
    request: Request  # of each trial, but for what is searched
    space: Space
    dataset: str
    fingerprint: str  # of the dataset
    epochs: int  # of each trial
    in_full: Mapping[str, int]  # [train] keys that a trial has otherwise than a run in full
    created: str  # UTC

    @property
    def tag(self) -> str:
        """Its name."""
        return self.folder.name

    @property
    def workspace(self) -> Path:
        """The workspace around it."""
        return self.folder.parent.parent


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A search that can go on."""

    search: Search
    new: bool
    notes: tuple[str, ...]  # what the user should know before


def begin(request: Request, space: Space) -> Begun:
    """Make a search, or find the one that is the same: its space, data, parent and settings.

    `request` is what `trainer run` would be asked; `request.tag` is the search's own. How settings
    are drawn, which trials are ended early and how many there are may change between two calls.

    Raises
    ------
    Refused
        The tag is taken, or its search is another one.
    CorpuskitError
        What could not be trained.
    """
    workspace, tag = request.workspace, request.tag
    searched = {each.key for each in space.parameters}
    base = replace(request, tag=None, again=True)
    made = plan(base, check_rate=not searched & set(RATE))
    _check_acting(searched, to_mapping(made.config))
    question = _question(made, space)
    with runs.registry(workspace):
        name = _same(workspace, question, tag)
        new = name is None
        if name is None:
            name = tag or runs.next_tag(workspace, family_of(made.version.name))
            runs.check_free(workspace, name)
            with temporary_folder(workspace / "searches") as prepared:
                _write(prepared, made, space, question)
                publish_folder(prepared, workspace / "searches" / name)
    notes = tuple(note for note in made.notes if note.startswith("leak"))
    found = replace(open_search(workspace, name, request.device), space=space)
    return Begun(search=found, new=new, notes=notes)


def _check_acting(searched: set[str], config: Mapping[str, Any]) -> None:
    """Refuse to search what changes no number of any trial."""
    switches = {"model.prosody", "model.align"}  # what they switch on acts in some trials
    for key in sorted(searched & idle(config) - set(RATE)):
        switch = next((each for each in switches if key.startswith(f"{each}_")), None)
        if switch not in searched:
            now = f": {switch} is {config['model'][switch[6:]]!r}" if switch else ""
            raise BadSetting(
                f"{key} changes nothing with these settings{now}",
                f"search {switch} too, or --set it" if switch else "leave it out of [space]",
            )


def _same(workspace: Path, question: Mapping[str, Any], tag: str | None) -> str | None:
    """Return the search that asks the same, if there is one.

    Raises
    ------
    Refused
        There is a search `tag`, and it asks something else.
    """
    for name in [tag] if tag else runs.list_searches(workspace):
        known = _description(workspace / "searches" / name)
        if known is not None and known["question"] == question:
            return name
        if tag is not None and known is not None:
            changed = differences(known["question"], question)
            told = [f"{key} {old} -> {new}" for key, (old, new) in changed.items()]
            raise Refused(
                f"search {tag} is another one: {', '.join(told[:3])}", "search under another --tag"
            )
    return None


def _question(made: Plan, space: Space) -> dict[str, Any]:
    """Return what makes a search another one; the code may change between two trials."""
    parts = {name: part for name, part in made.parts.items() if name != "code"}
    return {**space.asked(), "run": parts, "epochs": made.config.train.epochs}


def _write(folder: Path, made: Plan, space: Space, question: Mapping[str, Any]) -> None:
    request, ancestor = made.request, made.ancestor
    config = to_mapping(made.config)
    in_trials = {"samples": 0, "save_every": made.config.train.epochs, "patience": 0}
    in_full = {key: config["train"][key] for key in in_trials}
    config["train"] |= in_trials
    write_file(folder / "base.toml", dump_toml(config).encode())
    parent = f"{ancestor.run.tag}@{ancestor.state.epoch}" if ancestor else None
    description = {
        "schema": SCHEMA,
        "created": runs.utc_now(),
        "question": question,
        "space": space.as_mapping(),
        "in_full": in_full,
        "request": {
            "spk": request.spk,
            "pretrain": parent,
            "keep_optim": request.keep_optim,
            "keep_leaks": request.keep_leaks,
        },
    }
    write_json(folder / "search.json", description)
    (folder / "runs").mkdir()


def _description(folder: Path) -> dict[str, Any] | None:
    path = folder / "search.json"
    if not path.is_file():
        return None
    try:
        mapping: dict[str, Any] = read_json(path)
    except (OSError, ValueError) as error:
        raise BadRun(f"search {folder.name}: search.json cannot be read ({error})") from None
    if mapping.get("schema") != SCHEMA:
        raise BadRun(
            f"search {folder.name} has schema {mapping.get('schema')}, this release reads {SCHEMA}"
        )
    return mapping


def open_search(workspace: Path, tag: str, device: str = "auto") -> Search:
    """Open a search for reading or going on.

    Raises
    ------
    UnknownName
        There is none of this tag.
    BadRun
        It is damaged.
    """
    check_name(tag, "search")
    folder = workspace / "searches" / tag
    told = _description(folder)
    if told is None:
        raise unknown("search", tag, runs.list_searches(workspace))
    base = str(folder / "base.toml")
    return Search(
        folder=folder,
        request=Request(workspace=workspace, model=base, device=device, **told["request"]),
        space=space_of(told["space"], f"search {tag}"),
        dataset=told["request"]["spk"],
        fingerprint=told["question"]["run"]["dataset"],
        epochs=told["question"]["epochs"],
        in_full=told["in_full"],
        created=told["created"],
    )
