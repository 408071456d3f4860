# `just` lists the recipes. Each sets up by itself when needed; all of them work in .venv.

set shell := ["bash", "-euo", "pipefail", "-c"]

python := env("PYTHON", "python3")
bin := justfile_directory() / ".venv/bin"

# List the recipes
default:
    @just --list --unsorted

# Make .venv and install both packages with pinned dependencies (again only when they change)
setup:
    #!/usr/bin/env bash
    set -euo pipefail
    wanted="$(cat constraints.txt packages/*/pyproject.toml | sha256sum)"
    [ "$(cat .venv/.installed 2>/dev/null || true)" = "$wanted" ] && exit 0
    {{python}} -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "Python 3.11 or newer is needed; point PYTHON at one: PYTHON=python3.12 just setup" >&2
        exit 2
    }
    echo "Installing into .venv (once; a few minutes) ..." >&2
    [ -x .venv/bin/python ] || {{python}} -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
        --editable 'packages/corpuskit[demo]' --editable packages/trainer --requirement requirements-dev.txt
    echo "$wanted" > .venv/.installed

# Speak a small corpus, build and compare versions, pretrain, fine-tune, evaluate, convert
demo *ARGS: setup
    {{bin}}/python scripts/demo.py {{ARGS}}

# Run the tests (those marked slow have their own recipe)
test *ARGS: setup
    {{bin}}/python -m pytest --numprocesses auto --dist worksteal -m "not slow" {{ARGS}}

# Run the slow tests, and one after another those that want all cores
test-slow *ARGS: setup
    {{bin}}/python -m pytest --numprocesses auto --dist worksteal -m "slow and not alone" {{ARGS}} || [ $? -eq 5 ]
    {{bin}}/python -m pytest -m "slow and alone" {{ARGS}} || [ $? -eq 5 ]  # 5: ARGS chose none of these

# Check formatting, style, types and the direction of imports
lint: setup
    {{bin}}/ruff format --check
    {{bin}}/ruff check
    {{bin}}/mypy packages/corpuskit/src packages/trainer/src
    {{bin}}/lint-imports

# Measure us against the honest alternatives, side by side
bench *ARGS: setup
    {{bin}}/python bench/build.py {{ARGS}}

# Measure how commands grow with the number of pairs
scale *ARGS: setup
    {{bin}}/python bench/scale.py {{ARGS}}

# Measure training steps against the loop people write
bench-train *ARGS: setup
    {{bin}}/python bench/train.py {{ARGS}}

# Measure how conversions sound, beside a classical baseline: just bench-sound SOURCE_DIR TARGET_DIR
bench-sound *ARGS: setup
    {{bin}}/python -m pip install --quiet --constraint constraints.txt pocketsphinx
    {{bin}}/python bench/sound.py {{ARGS}}

# Measure conversion, stage by stage and as a whole
bench-convert *ARGS: setup
    {{bin}}/python bench/convert.py {{ARGS}}

# Measure when the first sound of a conversion can be heard, by vocoder
bench-latency *ARGS: setup
    {{bin}}/python bench/latency.py {{ARGS}}
