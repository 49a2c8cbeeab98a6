"""The style rules find what they are for, and leave alone what only looks like it."""

import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import check  # noqa: E402
from cpp_text import code_only, functions  # noqa: E402

LEVELS = "steelyard_library(base)\nsteelyard_library(wire DEPENDS base)\nsteelyard_library(app DEPENDS wire base LIBRARIES CLI11::CLI11)\n"
HEADER = "// What it is.\n#pragma once\n"


@pytest.fixture
def tree(tmp_path):
    """A tree of these files, and the rules that it breaks as (file, line, rule)."""

    def build(files, levels=LEVELS):
        for name, text in {"CMakeLists.txt": levels, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        found = []
        made = check.Tree(tmp_path)
        for rule in check.CHECKS:
            if rule is not check.check_parsers:
                found += rule(made)
        return sorted((finding.file, finding.line, finding.rule) for finding in found)

    return build


def test_an_include_that_points_up_is_found_at_its_line(tree):
    assert tree({"src/wire/a.hpp": HEADER + '#include "base/b.hpp"\n#include "app/c.hpp"\n'}) == [("src/wire/a.hpp", 4, "include")]


def test_includes_of_what_is_declared_pass(tree):
    assert not tree({"src/app/a.cpp": '#include "wire/b.hpp"\n#include "base/b.hpp"\n#include <vector>\n',
                     "src/main.cpp": '#include "app/a.hpp"\n'})


def test_a_library_that_depends_on_a_later_one_is_found(tree):
    assert tree({}, "steelyard_library(base DEPENDS wire)\nsteelyard_library(wire)\n") == [("CMakeLists.txt", 1, "levels")]


def test_a_folder_without_a_library_is_found(tree):
    assert tree({"src/new/a.cpp": "int x;\n"}) == [("src/new/a.cpp", 1, "include")]


@pytest.mark.parametrize("code, rule", [
    ("int x = strtol(a, b, 10);", "banned: strtol"), ("auto x = std::atoi(text);", "banned: atoi"), ("sscanf(a, b);", "banned: sscanf"),
    ("int x = rand();", "banned: rand"), ("std::random_device d;", "banned: random_device"),
    ("auto t = std::chrono::steady_clock::now();", "banned: clock::now"), ("::clock_gettime(0, &t);", "banned: clock_gettime"),
    ("std::this_thread::sleep_for(1s);", "banned: sleep"), ("usleep(10);", "banned: sleep"), ("std::thread t(f);", "banned: std::thread"),
    ("t.detach();", "banned: detach"), ("std::regex r;", "banned: std::regex"), ("#include <iostream>", "banned: iostream"),
    ("throw 1;", "banned: throw"), ("class ConnectionManager {};", "banned: name"), ("auto* h = getenv(name);", "banned: getenv"),
])
def test_banned_calls_are_found(tree, code, rule):
    assert tree({"src/wire/a.cpp": f"int before;\n{code}\n"}) == [("src/wire/a.cpp", 2, rule)]


@pytest.mark.parametrize("code", [
    "// rand() is not called here", "const char* s = \"rand()\";", "int brand(int x);", "scheduler.time(3);", "prng.rand();",
    "auto x = R\"(throw)\";", "std::mt19937 random(1);",
    "std::thread::id owner;", "int operand(int rand);", "char c = '\"'; /* throw */ int throwing;",
])
def test_what_only_looks_like_it_passes(tree, code):
    assert not tree({"src/wire/a.cpp": f"{code}\n"})


def test_bans_have_their_places(tree):
    assert not tree({"src/app/a.cpp": "std::thread t(f); auto n = std::chrono::steady_clock::now(); throw 1;\n"})
    assert tree({"tests/unit/a_test.cpp": "std::this_thread::sleep_for(1s);\n"})[0][2] == "banned: sleep"
    assert tree({"tests/unit/a_test.py": "time.sleep(1)\n"})


def test_long_files_functions_and_lines_are_found(tree):
    body = "  f();\n" * 69
    found = tree({"src/wire/a.cpp": f"void g() {{\n{body}}}\n", "src/wire/b.cpp": "int x;\n" * 401, "src/wire/c.cpp": "/" * 141 + "\n"})
    assert found == [("src/wire/a.cpp", 1, "function length"), ("src/wire/b.cpp", 401, "file length"), ("src/wire/c.cpp", 1, "line length")]
    fitting = "  f();\n" * 68
    assert not [name for name, *_ in tree({"src/wire/a.cpp": f"void g() {{\n{fitting}}}\n"}) if name == "src/wire/a.cpp"]


@pytest.mark.parametrize("head", [
    "int f(int a = 3) {", "A::A(int b)\n    : b_(b), c_{b} {", "auto f() -> std::map<int, int> {", "bool operator==(A a, A b) {",
    "template <typename T>\nTask<void> f(T x) {", "class A {\n  int f() const {", "namespace a {\nint f() {",
])
def test_functions_are_seen(head):
    text = head + "\n" + "  f();\n" * 80 + "}\n"
    assert any(last - first >= 80 for first, last in functions(text))


@pytest.mark.parametrize("head", [
    "constexpr std::array<int, n(3)> table = {", "enum class A : std::uint8_t {", "namespace a {", "class A : public B {",
])
def test_what_is_no_function_is_not_measured(head):
    assert not functions(head + "\n" + "  a,\n" * 80 + "}\n")


def test_comments_and_literals_become_blanks_in_their_places():
    text = "a; // b\nx = \"c\\\"d\"; 1'000; R\"(e\n\")\" f /* g\n */ h\n"
    code = code_only(text)
    assert len(code) == len(text) and code.split() == ["a;", "x", "=", ";", "1'000;", "f", "h"] and code.count("\n") == 4


def test_headers_open_with_a_paragraph_and_once(tree):
    assert tree({"src/wire/a.hpp": "int x;\n"}) == [("src/wire/a.hpp", 1, "header")] * 2


def test_a_type_that_is_defined_twice_in_one_namespace_is_found(tree):
    one = HEADER + "namespace a {\nstruct Answer {\n};\n}\n"
    other = HEADER + "namespace b {\nstruct Answer {\n};\nstruct Later;\n}\n"
    assert tree({"src/base/a.hpp": one, "src/wire/b.hpp": one, "src/wire/c.hpp": other}) == [("src/wire/b.hpp", 4, "one definition")]


def test_what_is_left_behind_is_found(tree):
    mark = "TO" + "DO"
    assert tree({"src/wire/a.cpp": f"// {mark}: later\n", "docs/a.md": "see /ho" + "me/me/notes\n"}) == [
        ("docs/a.md", 1, "machine path"), ("src/wire/a.cpp", 1, "left behind")]


def test_a_parser_without_a_fuzz_target_is_found(tmp_path):
    (tmp_path / "src/wire").mkdir(parents=True)
    (tmp_path / "src/wire/new.hpp").write_text("bool parse_new(std::string_view text);\n")
    found = [finding for finding in check.check_parsers(check.Tree(tmp_path)) if finding.file == "src/wire/new.hpp"]
    assert len(found) == 1 and found[0].rule == "fuzzing"


def test_pages_name_every_command_and_none_that_is_not_there(tree, tmp_path):
    script = tmp_path / "dev"
    script.write_text("#!/bin/sh\necho '  build    makes it'\necho '  test [x]    tries it'\n")
    script.chmod(0o755)
    assert tree({"README.md": "Run ./dev build, [then](absent.md) ./dev tset.\n"}) == [
        ("CONTRIBUTING.md", 1, "docs"), ("README.md", 1, "docs"), ("README.md", 1, "docs")]


def test_a_finding_says_where_why_and_what_to_do():
    assert str(check.Finding("a.cpp", 3, "rule", "because", "Do it")) == "a.cpp:3: rule: because. Do it."


def test_the_script_ends_with_one_when_it_finds_something(tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(LEVELS)
    script = [sys.executable, check.__file__, str(tmp_path)]
    assert subprocess.run(script, capture_output=True, check=False).returncode == 1  # the parsers' table names what is not there
