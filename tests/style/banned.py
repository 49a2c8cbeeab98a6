"""What code of this project does not call, why, and what it does instead. A table; check.py applies it."""

import dataclasses
import re

CLOCKS = ("src/runtime/", "src/net/epoll_loop", "src/observe/system_time", "src/app/")
NUMBERS = "accepts signs, blanks or trailing text, and half of them cannot report an error"
CHANCE = "cannot be repeated by a test or the simulator"
NOW = "a decision that asks for the time cannot be tested or simulated"
SLEEP = "what sleeps is slow on one machine and wrong on the next"
AWAIT = "wait for the event itself, with a deadline"
PARSE = "parse_unsigned() of base/ascii.hpp"


@dataclasses.dataclass(frozen=True)
class Ban:
    name: str
    pattern: re.Pattern
    reason: str
    instead: str
    allowed: tuple = ()  # beginnings of paths
    where: tuple = ("src/",)


def call(name):
    return re.compile(rf"(?<![\w.>])(?:std::|::)?{name}\s*\(")


def ban(name, reason, instead, pattern=None, allowed=(), where=("src/",)):
    return Ban(name, pattern or call(name), reason, instead, allowed, where)


BANS = [
    *(ban(name, NUMBERS, PARSE, call(name), where=("src/", "tests/"))
      for name in ("strtol", "strtoul", "strtoll", "strtoull", "atoi", "atol", "atoll")),
    *(ban(name, NUMBERS, "std::from_chars, and check that all was read")
      for name in ("strtod", "strtof", "atof", "stoi", "stoul", "stod")),
    ban("sscanf", NUMBERS, "a parser in wire/ with its tests, or " + PARSE, call("sscanf"), where=("src/", "tests/")),
    *(ban(name, CHANCE, "a Prng (base/prng.hpp) that the caller is given", call(name), where=("src/", "tests/"))
      for name in ("rand", "srand", "drand48")),
    ban("random", CHANCE, "a Prng (base/prng.hpp) that the caller is given", re.compile(r"(?<![\w.>])(?:::)?random\s*\(\s*\)")),
    ban("random_device", CHANCE, "a seed that app/ draws once and passes down", re.compile(r"\brandom_device\b"), allowed=("src/app/",)),
    ban("clock::now", NOW, "take an Instant, or Scheduler::now()", re.compile(r"\b\w*clock::now\b"), allowed=CLOCKS),
    *(ban(name, NOW, "take an Instant, or Scheduler::now()", allowed=CLOCKS) for name in ("gettimeofday", "clock_gettime", "time")),
    ban("sleep", SLEEP, AWAIT,
        re.compile(r"\b(?:sleep_for|sleep_until)\b|(?<![\w.>])(?:::)?(?:usleep|nanosleep|sleep)\s*\("), where=("src/", "tests/")),
    ban("std::thread", "what runs on which thread is decided in one place", "a coroutine on the worker's loop; threads begin in app/",
        re.compile(r"\bstd::j?thread\b(?!::)"), allowed=("src/app/", "src/observe/")),
    ban("detach", "nobody waits for what was detached, so it outlives what it refers to", "own it and join it",
        # The log's writer may be held by a stalled disk longer than anybody should wait for the end of the process.
        re.compile(r"\.\s*detach\s*\("), allowed=("src/observe/access_log.cpp",), where=("src/", "tests/", "bench/")),
    ban("std::regex", "slow, allocates, and takes exponential time for some inputs", "a parser by hand, or a comparison",
        re.compile(r"\bstd::regex\b|#\s*include\s*<regex>")),
    ban("iostream", "has state, locale and static initialisation that nobody asked for", "{fmt}, or log_message() of observe/message.hpp",
        re.compile(r"#\s*include\s*<iostream>|\bstd::c(?:out|err|in)\b")),
    ban("throw", "nothing on the request path throws: errors are values", "std::unexpected, or fail() of base/error.hpp",
        re.compile(r"\bthrow\b"), allowed=("src/config/", "src/app/")),
    ban("getenv", "a setting that no configuration shows", "an option that config/ fills", call("getenv"), allowed=("src/app/",)),
    ban("name", "says that something is there, not what it is", "a noun of the field",
        re.compile(r"\b(?:class|struct)\s+\w*(?:Manager|Helper|Util|Utils|Impl)\b"), where=("src/", "tests/", "bench/")),
]

PYTHON_BANS = [
    ban("time.sleep", SLEEP, AWAIT, re.compile(r"\btime\.sleep\s*\("), where=("tests/",)),
]
