#!/bin/sh
# Prints docs/configuration.md: what each program says of its settings.
set -eu
cd "$(dirname "$0")/../.."
cat <<'INTRODUCTION'
# Configuration

Written by `make docs` from the programs' own declarations.

Every key can be given as a flag, as an environment variable, or as a line `VARIABLE=value` in the file that `--config-file`
names: the form of systemd's `EnvironmentFile` and of compose's `env_file`. A flag goes before an environment variable, that
before the file, that before the default. An empty variable counts as not set. Mistakes are found at the start, and name the
key and the value.

A secret has no flag for its value, since flags stand in the process list. Give it by its variable, or give the path of a file
that holds it: `--NAME-file`, or the variable with `_FILE`. Secrets are never logged.
INTRODUCTION
for program in producer consumer kpi-service feed-simulator dev-broker; do
    echo
    ".build/release/$program" --help-markdown
done
