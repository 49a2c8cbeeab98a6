#!/usr/bin/env python3
"""Measures steelyard against nginx, HAProxy and the relay that is the limit, side by side on this machine.

The proxy under test has core 0, the load generator with its backend core 1. Rows: see --help. Without rows all are measured,
which takes about ten minutes, and docs/benchmarks.md is written anew. No part of it may share the machine with anything else."""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import sys
import tempfile

import contenders
import machine
import processes
import report
import rows

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent


def main() -> int:
    arguments = parse_arguments()
    try:
        programs, families = find_programs(arguments.build)
        if os.cpu_count() < 2:
            raise processes.Failure("Two cores are needed, one for the proxy and one for the load.")
    except processes.Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    chosen = arguments.rows or list(rows.ROWS)
    if not arguments.output and not arguments.rows and not arguments.quick and "steelyard" in families:
        arguments.output = PROJECT / "docs/benchmarks.md"
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as directory:
        session = rows.Session(programs, families, pathlib.Path(directory), arguments.rounds, arguments.seconds)
        for row in chosen:
            print(f"{row}:", file=sys.stderr, flush=True)
            rows.ROWS[row](session)
    print(report.as_text(session.samples))
    facts = machine.facts(programs, arguments.rounds, arguments.seconds)
    if arguments.json:
        document = {"machine": facts, "samples": [dataclasses.asdict(sample) for sample in session.samples]}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(report.as_markdown(session.samples, facts))
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Steelyard beside nginx, HAProxy and the relay.", epilog="Only ratios within one run mean anything."
    )
    parser.add_argument("rows", nargs="*", metavar="row", help="among " + ", ".join(rows.ROWS) + " (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender has its turn (default 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one turn (default 1)")
    parser.add_argument("--quick", action="store_true", help="two rounds of half a second: does it run, rather than how fast")
    parser.add_argument("--output", type=pathlib.Path, help="Markdown file (default, for a full run only: docs/benchmarks.md)")
    parser.add_argument("--json", type=pathlib.Path, help="file for every single figure")
    parser.add_argument("--build", type=pathlib.Path, default=PROJECT / "build/release", help="build directory (default build/release)")
    arguments = parser.parse_args()
    for row in arguments.rows:
        if row not in rows.ROWS:
            parser.error(f"there is no row {row}; there are {', '.join(rows.ROWS)}")
    if arguments.quick:
        arguments.rounds, arguments.seconds = 2, 0.5
    return arguments


def find_programs(build: pathlib.Path) -> tuple[contenders.Programs, list[str]]:
    """Our own programs, and the families of contenders that can take part."""
    programs = contenders.Programs(build / "steelyard", build / "bench_relay", build / "bench_load")
    for program in (programs.relay, programs.load):
        if not program.exists():
            raise processes.Failure(f"{program} is missing: configure the build with -DSTEELYARD_BENCH=ON and build it.")
    places = {"steelyard": programs.steelyard, "nginx": contenders.NGINX, "haproxy": contenders.HAPROXY, "relay": programs.relay}
    for family, place in places.items():
        if not shutil.which(place):
            print(f"bench: {place} is missing, so that {family} does not take part.", file=sys.stderr)
    return programs, [family for family, place in places.items() if shutil.which(place)]


if __name__ == "__main__":
    sys.exit(main())
