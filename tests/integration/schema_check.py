#!/usr/bin/env python3
"""Validates every configuration under examples/ against `steelyard config schema`, and two broken ones that must fail.

Usage: schema_check.py PATH_OF_STEELYARD
"""
import json
import pathlib
import re
import subprocess
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """YAML 1.2's idea of booleans, as editors and Steelyard have it: `off` is text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))

BROKEN = {
    "unknown key": {"listeners": [{"bind": "0.0.0.0:80"}], "pools": {"a": {"servers": ["a:1"], "weigth": 1}}},
    "no pools": {"listeners": [{"bind": "0.0.0.0:80"}]},
    "flat with unknown key": {"backend_servers": [{"host": "a", "port": 1}], "proxy_prot": 1},
}


def main() -> int:
    schema = json.loads(subprocess.run([sys.argv[1], "config", "schema"], check=True, capture_output=True, text=True).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    examples = pathlib.Path(__file__).resolve().parents[2] / "examples"
    files = sorted(file for file in examples.rglob("*") if file.suffix in (".yaml", ".json") and file.parent.name != "packets")
    failures = 0 if files else 1
    for file in files:
        for error in validator.iter_errors(yaml.load(file.read_text(encoding="utf-8"), Loader)):
            print(f"{file}: {error.json_path}: {error.message}")
            failures += 1
    for name, broken in BROKEN.items():
        if validator.is_valid(broken):
            print(f"accepted although it is broken: {name}")
            failures += 1
    print(f"{len(files)} examples, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
