"""The whole way, on a corpus that speaks itself, through the public commands alone.

    recordings -> two dataset versions -> their difference -> a pretrained run
    -> a fine-tuned run -> figures -> a converted recording

`just demo` runs this. Everything lands in ./demo; a second run goes on from what is there.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

HERE = Path("demo")
WORKSPACE = HERE / "workspace"
BIN = Path(sys.executable).parent
PRETRAINED, TUNED = "demo_multi_1", "N2C_1"
PRETRAIN_EPOCHS, TUNE_EPOCHS = 20, 50


def main() -> None:
    """Run every step; stop at the first that fails."""
    started = time.perf_counter()
    os.chdir(Path(__file__).resolve().parent.parent)
    os.environ["CORPUSKIT_WORKSPACE"] = str(WORKSPACE)
    say(f"export CORPUSKIT_WORKSPACE={WORKSPACE}")

    step("A small corpus: voice N with room noise, voice C with digitally silent gaps, four more")
    run("corpuskit demo demo")

    step("Two versions that differ in one threshold, and what it did")
    definition = "--config configs/datasets/demo.toml"
    run(f"corpuskit build N2C_2 {definition} --silence-thresh -80")
    run(f"corpuskit build N2C_4 {definition} --silence-thresh -100")
    run("corpuskit diff N2C_2 N2C_4")
    run("corpuskit verify N2C_4")

    step("Pretrain on four other voices, then fine-tune on N to C")
    run("corpuskit build demo_multi")
    train(PRETRAINED, f"trainer run --spk demo_multi --model tiny --epochs {PRETRAIN_EPOCHS}")
    train(TUNED, f"trainer run --spk N2C_4 --pretrain {PRETRAINED} --epochs {TUNE_EPOCHS}")
    run("trainer list")

    step("Convert a recording that no run has seen")
    sentence = unseen_sentence()
    spoken = HERE / "N2C" / "source" / f"{sentence}.wav"
    run(f"trainer convert {TUNED} {spoken} {HERE / 'converted.wav'}")

    step("The eval split: converted and unconverted against the real target")
    run(f"trainer evaluate {TUNED}")

    minutes = (time.perf_counter() - started) / 60
    print(f"\nDone in {minutes:.1f} minutes. Listen to sentence {sentence}:")
    print(f"  N, the source      {spoken}")
    print(f"  N as C, converted  {HERE / 'converted.wav'}")
    print(f"  C, the real target {HERE / 'N2C' / 'target' / f'{sentence}.wav'}")
    print("Look at:")
    print(f"  every eval sentence converted   {WORKSPACE / 'runs' / TUNED / 'samples'}")
    print(
        f"  the versions, line by line      {WORKSPACE / 'versions' / 'N2C_4' / 'manifest.jsonl'}"
    )
    print(f"  the curves                      tensorboard --logdir {WORKSPACE / 'runs'}")
    print("The commands are in .venv/bin: source .venv/bin/activate")


def step(title: str) -> None:
    """Head the commands that follow."""
    print(f"\n## {title}", flush=True)


def say(command: str) -> None:
    """Show a command as one would type it."""
    print(f"\n$ {command}", flush=True)


def run(command: str) -> None:
    """Show a command and run it; a failure ends the demo with the command's own message."""
    say(command)
    program, *arguments = shlex.split(command)
    status = subprocess.run([BIN / program, *arguments], check=False).returncode
    if status:
        sys.exit(f"demo: `{command}` failed with exit code {status}")


def train(tag: str, command: str) -> None:
    """Train a run, or go on with it, or leave it when a former demo finished it."""
    record = WORKSPACE / "runs" / tag / "run.json"
    if not record.exists():
        run(command)
    elif json.loads(record.read_text(encoding="utf-8"))["status"] == "finished":
        print(f"\n$ {command}\nRun {tag} is finished already.", flush=True)
    else:
        run(f"trainer resume {tag}")


def unseen_sentence() -> str:
    """Return the first sentence of N2C_4's eval split."""
    manifest = WORKSPACE / "versions" / "N2C_4" / "manifest.jsonl"
    pairs = map(json.loads, manifest.read_text(encoding="utf-8").splitlines())
    return str(next(pair["sentence"] for pair in pairs if pair["split"] == "eval"))


if __name__ == "__main__":
    main()
