#!/usr/bin/env python3
"""The rules of the house that a machine can check. Without arguments it looks at the whole tree; each finding says where, which
rule, why there is such a rule, and what to do instead. Ends with 1 if there are findings. Needs nothing but Python."""

import argparse
import ast
import dataclasses
import pathlib
import re
import subprocess
import sys

from banned import BANS, PYTHON_BANS
from cpp_text import code_only, functions

LINE_MAX = 140
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = {"src/": 400, "tests/": 1000, "bench/": 1000}
CPP = (".cpp", ".hpp")
TEXTS = (*CPP, ".py", ".sh", ".md", ".txt", ".yaml", ".yml", ".service")

# Which fuzz target reads what these files parse. A parser reads bytes of a client, a server or a file.
PARSERS = {
    "src/admin/json_body.hpp": "admin_body",
    "src/backend/range.hpp": "range",
    "src/backend/websocket.hpp": "websocket",
    "src/config/document.hpp": "config_loader",
    "src/config/load.hpp": "config_loader",
    "src/config/spelling.hpp": "config_loader",
    "src/config/types.hpp": "config_loader",
    "src/decide/policy/demand.hpp": "policy_demand",
    "src/decide/token/base64url.hpp": "token",
    "src/decide/token/claims.hpp": "token",
    "src/decide/token/key_set.hpp": "token",
    "src/decide/token/target.hpp": "token",
    "src/decide/token/token.hpp": "token",
    "src/load/replay.hpp": "load_inputs",
    "src/load/url.hpp": "load_inputs",
    "src/net/address.hpp": "config_loader",
    "src/upstream/state_text.hpp": "state_text",
    "src/wire/http/path.hpp": "path",
    "src/wire/http1/chunked_decoder.hpp": "chunked_decoder",
    "src/wire/http1/field_line.hpp": "request_parser",
    "src/wire/http1/parse.hpp": "request_parser",
    "src/wire/http1/request_line.hpp": "request_parser",
    "src/wire/json/scanner.hpp": "packet_message",
    "src/wire/packet/message.hpp": "packet_message",
    "src/wire/resp/reply.hpp": "redis_reply",
    "src/wire/resp/reply_reader.hpp": "redis_reply",
}
PARSES = re.compile(r"\b(?:parse|parse_\w+|decode|normalize_\w+|load_text)\(")
NO_PARSER = ("src/base/", "src/proxy/", "src/session/", "src/upstream/", "src/app/")  # they call parsers
LEFT_BEHIND = re.compile("|".join([r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bXX" + r"X\b", r"\bHA" + r"CK\b"]))
MACHINE_PATH = re.compile(r"(?:^|[\s\"'`(=])/(?:" + "|".join(["wo" + "rk", "ho" + "me", "ro" + "ot"]) + ")/")


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    file: str
    line: int
    rule: str
    why: str
    cure: str

    def __str__(self):
        return f"{self.file}:{self.line}: {self.rule}: {self.why}. {self.cure}."


class Tree:
    """The files that are checked: of git where there is one, so that nothing built or ignored counts."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=root, capture_output=True, text=True)
        if listed.returncode == 0:
            names = listed.stdout.splitlines()
        else:
            names = [str(path.relative_to(root)) for path in self.root.rglob("*") if path.is_file()]
        self.files = sorted(name for name in names if not name.startswith("build/") and (self.root / name).is_file())

    def read(self, name):
        return (self.root / name).read_text(encoding="utf-8", errors="replace")

    def those(self, *endings, under=""):
        return [name for name in self.files if name.endswith(endings) and name.startswith(under)]


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def read_levels(tree):
    """Each library of src/ and what it may include, in the order of CMakeLists.txt."""
    text = tree.read("CMakeLists.txt")
    levels = {}
    for match in re.finditer(r"^steelyard_library\((\w+)(?:\s+DEPENDS\s+([\w ]+?))?(?:\s+LIBRARIES\s[^)]*)?\)", text, re.M):
        levels[match[1]] = (match[2] or "").split()
    return levels


def check_includes(tree):
    levels = read_levels(tree)
    known = set(levels)
    names = list(levels)
    for name, below in levels.items():
        for other in below:
            if other not in names[:names.index(name)]:
                yield Finding("CMakeLists.txt", 1, "levels", f"{name} depends on {other}, which is not declared before it",
                              "Let the dependency point down")
    for file in tree.those(*CPP, under="src/"):
        library = file.split("/")[1]
        allowed = {library, *levels.get(library, [])} if library in levels else {"app", *levels.get("app", [])}
        text = tree.read(file)
        for match in re.finditer(r'^[ \t]*#\s*include\s+"([^"/]+)/[^"]+"', text, re.M):
            if match[1] in known and match[1] not in allowed:
                yield Finding(file, line_of(text, match.start()), "include",
                              f"{library}/ is understood and tested without {match[1]}/: it may include {', '.join(sorted(allowed))}",
                              "Move what is needed down, or pass it in")
        if library not in levels and file.count("/") > 1:
            yield Finding(file, 1, "include", f"the folder src/{library} is in no steelyard_library() line", "Declare it in CMakeLists.txt")


def check_banned(tree):
    for file in tree.those(*CPP):
        code = code_only(tree.read(file))
        yield from apply_bans(BANS, file, code)
    for file in tree.those(".py", under="tests/"):
        if not file.startswith("tests/style/"):
            yield from apply_bans(PYTHON_BANS, file, tree.read(file))


def apply_bans(bans, file, code):
    for ban in bans:
        if file.startswith(ban.where) and not (ban.allowed and file.startswith(ban.allowed)):
            for match in ban.pattern.finditer(code):
                yield Finding(file, line_of(code, match.start()), f"banned: {ban.name}", ban.reason, f"Instead: {ban.instead}")


def check_sizes(tree):
    for file in tree.those(*CPP, ".py"):
        text = tree.read(file)
        count = text.count("\n")
        bound = next((bound for beginning, bound in FILE_LINES_MAX.items() if file.startswith(beginning)), 1000)
        if count > bound:
            yield Finding(file, bound + 1, "file length", f"{count} lines, allowed are {bound}: a long file is more than one thing",
                          "Find the second thing and give it a file")
        for first, last in (python_functions(text) if file.endswith(".py") else functions(text)):
            if last - first + 1 > FUNCTION_LINES_MAX:
                yield Finding(file, first, "function length",
                              f"{last - first + 1} lines, allowed are {FUNCTION_LINES_MAX}: it does not fit a screen", "Name its parts")
    for file in tree.files:
        if file.endswith((*CPP, ".py", ".sh")) or file in ("dev", ".ci/run") or file.endswith("CMakeLists.txt"):
            for number, line in enumerate(tree.read(file).splitlines(), 1):
                if len(line) > LINE_MAX and "fail \"" not in line and "message(FATAL_ERROR" not in line:
                    yield Finding(file, number, "line length", f"{len(line)} columns, allowed are {LINE_MAX}",
                                  "Break it where a thought ends")


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno


def check_openings(tree):
    for file in tree.those(".hpp", under="src/"):
        text = tree.read(file)
        if not re.search(r"^#pragma once$", text, re.M):
            yield Finding(file, 1, "header", "without #pragma once it cannot be included twice",
                          "Add #pragma once below the opening paragraph")
        if not text.startswith("// "):
            yield Finding(file, 1, "header", "a reader learns first what a file is, what it is not, who owns it and on which thread",
                          "Open it with such a paragraph")


def check_one_definition(tree):
    """Two types of one name link without a word, and each file then works on its own idea of them."""
    seen = {}
    for file in tree.those(".hpp", under="src/"):
        text = code_only(tree.read(file))
        namespace = re.search(r"^namespace ([\w:]+) \{", text, re.M)
        for match in re.finditer(r"^(?:struct|class|enum class) (?:alignas\(\d+\) )?(\w+)(?!<)[^;{<]*\{", text, re.M):
            name = f"{namespace[1] if namespace else ''}::{match[1]}"
            if name in seen:
                yield Finding(file, line_of(text, match.start()), "one definition", f"{name} is defined in {seen[name]} too",
                              "Rename one of them, or give its folder a namespace of its own")
            seen.setdefault(name, file)


def check_left_behind(tree):
    for file in tree.files:
        if not file.endswith(TEXTS) and file not in ("dev", ".ci/run", "packaging/Dockerfile"):
            continue
        if "/corpus/" in file:
            continue
        text = tree.read(file)
        for match in LEFT_BEHIND.finditer(text):
            yield Finding(file, line_of(text, match.start()), "left behind", f"{match[0]} is work that nobody will find again",
                          "Do it, or write down where it is wanted")
        for match in MACHINE_PATH.finditer(text):
            yield Finding(file, line_of(text, match.start()), "machine path", f"{match[0].strip()} exists on somebody's machine only",
                          "Use a path within the project")


def check_parsers(tree):
    for file in tree.those(".hpp", under="src/"):
        declared = PARSES.search(code_only(tree.read(file))) and not file.startswith(NO_PARSER)
        if declared and file not in PARSERS:
            yield Finding(file, 1, "fuzzing", "it declares a parser that no fuzz target is known for",
                          "Write one, and add the pair to PARSERS in tests/style/check.py")
    for file, target in PARSERS.items():
        if file not in tree.files:
            yield Finding("tests/style/check.py", 1, "fuzzing", f"PARSERS names {file}, which is not there", "Mend the table")
        elif f"tests/fuzz/{target}_fuzz.cpp" not in tree.files or not tree.those("", under=f"tests/fuzz/corpus/{target}/"):
            yield Finding(file, 1, "fuzzing", f"its fuzz target {target} or its corpus is missing",
                          f"Add tests/fuzz/{target}_fuzz.cpp and tests/fuzz/corpus/{target}/")


def check_docs(tree):
    if "dev" not in tree.files:
        return
    table = subprocess.run([tree.root / "dev", "help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  ([a-z]+) .*  \S", table, re.M)
    pages = {name: tree.read(name) for name in tree.those(".md")}
    for command in commands:
        if not any(f"./dev {command}" in text for text in pages.values()):
            yield Finding("CONTRIBUTING.md", 1, "docs", f"no page mentions ./dev {command}, so nobody will find it",
                          "Say in a sentence what it is for")
    for name, text in pages.items():
        for match in re.finditer(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)", text):
            target = (tree.root / name).parent / match[1]
            if not target.exists():
                yield Finding(name, line_of(text, match.start()), "docs", f"the link to {match[1]} leads nowhere", "Mend it")
        for match in re.finditer(r"\./dev ([a-z]+)\b", text):
            if match[1] not in commands:
                yield Finding(name, line_of(text, match.start()), "docs", f"there is no command ./dev {match[1]}",
                              "./dev help lists what there is")


CHECKS = [check_includes, check_banned, check_sizes, check_openings, check_one_definition, check_left_behind, check_parsers, check_docs]


def findings(root):
    tree = Tree(root)
    return sorted({finding for check in CHECKS for finding in check(tree)})


def main():
    parser = argparse.ArgumentParser(description="Checks the rules of the house.")
    parser.add_argument("root", nargs="?", default=pathlib.Path(__file__).resolve().parents[2], help="of the source tree")
    found = findings(parser.parse_args().root)
    for finding in found:
        print(finding)
    print(f"style: {len(found)} findings" if found else "style: no findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
