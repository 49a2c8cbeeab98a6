"""The scenarios of the bench of balancing, as data: what the servers are like, how much of what they can do is asked of them, and how
long a request takes. `named` also knows variations, with other numbers of servers and workers: `slow/100`, `equal/2w`."""

import dataclasses
import re

from ideal_queue import Behaviour

SECOND_US = 1_000_000
PLAIN = Behaviour()
ODD = 1  # the place of the odd server in a pattern: neither the first nor the last to be tried by who goes through a list


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    pattern: tuple[Behaviour, ...]  # of the servers, repeated for more of them
    load: float  # the share of what all slots together can serve
    mean_us: float = 10_000
    has_odd: bool = True
    retries: str = "broken"  # what is tried again: nothing, broken (connections), errors (also answers of 500)
    count: int = 10
    workers: int = 1

    @property
    def servers(self) -> list[Behaviour]:
        return [self.pattern[i % len(self.pattern)] for i in range(self.count)]

    @property
    def odd(self) -> frozenset[str]:
        """Names of the servers that the scenario is about."""
        return frozenset(str(i) for i in range(self.count) if self.has_odd and i % len(self.pattern) == ODD)

    @property
    def rate_per_s(self) -> float:
        return self.load * sum(server.slots * server.speed for server in self.servers) / self.mean_us * SECOND_US

    @property
    def warm_up_s(self) -> float:
        """Not counted: queues fill, connections are made, and who learns does so."""
        return 1 + 8 * self.mean_us / SECOND_US

    def length_s(self, seconds: float) -> float:
        """With the warm-up. Long services take longer to show what becomes of them."""
        return self.warm_up_s + seconds * (1 + 2 * self.mean_us / SECOND_US)

    @property
    def warming_us(self) -> tuple[int, int]:
        """From when to when a server is warming up after its restart."""
        server = self.pattern[ODD]
        return (server.warm_from_us, server.warm_from_us + server.warm_us)


def one_of(count: int, odd: Behaviour) -> tuple[Behaviour, ...]:
    return tuple(odd if i == ODD else PLAIN for i in range(count))


# Speeds whose mean is 1, so that a draw is what an average server takes for it.
UNEQUAL = tuple(Behaviour(speed=round(speed * 10 / 22, 4)) for speed in (1, 2, 4, 1, 2, 4, 1, 2, 4, 1))
FAILING = one_of(10, Behaviour(fail_us=1000))
RESTARTING = Behaviour(restart_at_us=3 * SECOND_US, restart_us=SECOND_US // 2, warm_factor=4.0, warm_us=4 * SECOND_US)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("equal", "equal servers, 80 % load", one_of(10, PLAIN), 0.80, has_odd=False),
        Scenario("speeds", "speeds 1 : 2 : 4, 75 % load", UNEQUAL, 0.75, has_odd=False),
        Scenario("slow", "one of ten is five times slower, 60 % load", one_of(10, Behaviour(speed=0.2)), 0.60),
        Scenario(
            "stall",
            "one of ten stalls for 500 ms every 3 s, 60 % load",
            one_of(10, Behaviour(stall_us=SECOND_US // 2, stall_period_us=3 * SECOND_US)),
            0.60,
        ),
        Scenario("failing", "one of ten answers with 500 after 1 ms, no retries, 60 % load", FAILING, 0.60, retries="nothing"),
        Scenario("failing-retried", "one of ten answers with 500 after 1 ms, which is retried, 60 % load", FAILING, 0.60, retries="errors"),
        Scenario("restart", "one of ten restarts for 500 ms and warms up for 4 s, 60 % load", one_of(10, RESTARTING), 0.60),
        # 0.25 ms on twelve slots: 4000 requests a second.
        Scenario(
            "distant", "one of three is 50 ms away, 4,000 requests/s", one_of(3, Behaviour(delay_us=50_000)), 1 / 12, mean_us=250, count=3
        ),
    )
}
DEFAULT = (*SCENARIOS, "equal/3", "equal/100", "equal/1000", "slow/100", "equal/2w", "slow/2w")


def named(name: str) -> Scenario:
    """BASE, BASE/SERVERS, BASE/WORKERSw, or BASE/SERVERS/WORKERSw. The rate stays where it is with more servers: a request takes
    longer instead. KeyError where there is none of that name."""
    base, *changes = name.split("/")
    scenario = SCENARIOS[base]
    for change in changes:
        found = re.fullmatch(r"([1-9]\d{0,3})(w?)", change)
        if not found:
            raise KeyError(name)
        count = int(found.group(1))
        if found.group(2):
            scenario = dataclasses.replace(scenario, workers=count, title=f"{scenario.title}; {count} workers")
        else:
            mean_us = scenario.mean_us * max(count / scenario.count, 1)
            scenario = dataclasses.replace(scenario, count=count, mean_us=mean_us, title=f"{scenario.title}; {count:,} servers")
    return dataclasses.replace(scenario, name=name)
