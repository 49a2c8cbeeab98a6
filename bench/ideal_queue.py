"""The bound beside the contenders: one queue, first come, first served, before all slots of all servers; whoever is at its head takes
the free slot that serves it soonest. No proxy can do it, because requests wait at the servers rather than before them.

It knows what each server is like at the moment, not what will become of it: it sends nothing to one that stalls, that is down or
that answers with errors. What is under way when a server restarts ends as if nothing had happened. The times of a server are the
ones that simulated_server.cpp computes, to the microsecond: with one server both say the same."""

import dataclasses
import heapq
from collections.abc import Iterable

from arrivals import Answer, Request


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """What a simulated server is like: the fields of ServerBehaviour in simulated_server.hpp, which says what each means."""

    slots: int = 4
    speed: float = 1.0
    delay_us: int = 0
    stall_us: int = 0
    stall_period_us: int = 0
    fail_us: int = 0
    restart_at_us: int = 0
    restart_us: int = 0
    warm_factor: float = 1.0
    warm_us: int = 0

    def words(self) -> str:
        """For the file that bench_servers reads; what is as by default is left out."""
        fields = dataclasses.fields(self)
        return " ".join(f"{field.name}={getattr(self, field.name)}" for field in fields if getattr(self, field.name) != field.default)

    @property
    def warm_from_us(self) -> int:
        return self.restart_at_us + self.restart_us

    def slowness(self, start_us: int) -> float:
        """How much longer than its draw a service takes that starts now."""
        age_us = start_us - self.warm_from_us
        if self.restart_us == 0 or not 0 <= age_us < self.warm_us:
            return 1 / self.speed
        return (1 + (self.warm_factor - 1) * (1 - age_us / self.warm_us)) / self.speed

    def available_from(self, time_us: int) -> int:
        """The first moment from then on at which a service can start."""
        if self.restart_at_us <= time_us < self.warm_from_us:
            time_us = self.warm_from_us
        if self.stall_us:
            in_period_us = time_us % self.stall_period_us
            if in_period_us >= self.stall_period_us - self.stall_us:
                time_us += self.stall_period_us - in_period_us
        return time_us

    def end_of(self, start_us: int, draw_us: int) -> int:
        """When a service ends that starts at a moment at which it can; stalls that interrupt it are added."""
        work_us = self.fail_us or round(draw_us * self.slowness(start_us))
        if not self.stall_us:
            return start_us + work_us
        awake_us = self.stall_period_us - self.stall_us
        before_us = awake_us - start_us % self.stall_period_us
        if work_us < before_us:
            return start_us + work_us
        stalls, rest_us = divmod(work_us - before_us, awake_us)
        return start_us + before_us + self.stall_us + stalls * self.stall_period_us + rest_us


class Kind:
    """All servers that are alike, as one with the slots of all of them."""

    def __init__(self, behaviour: Behaviour, servers: list[int]):
        self.behaviour = behaviour
        self.server = str(servers[0])
        self.free_at_us = [0] * (behaviour.slots * len(servers))

    def ready_us(self, now_us: int) -> int:
        return self.behaviour.available_from(max(now_us, self.free_at_us[0]))

    def cost_us(self, request: Request, start_us: int) -> float:
        return self.behaviour.delay_us + request.draw_us * self.behaviour.slowness(start_us)

    def serve(self, request: Request, start_us: int) -> int:
        end_us = self.behaviour.end_of(start_us, request.draw_us)
        heapq.heapreplace(self.free_at_us, end_us)
        return end_us + self.behaviour.delay_us


def serve(trace: Iterable[Request], servers: Iterable[Behaviour]) -> list[Answer]:
    """The answers of the ideal queue to this trace. The name in an answer is that of the first of all servers that are alike."""
    alike: dict[Behaviour, list[int]] = {}
    for index, behaviour in enumerate(servers):
        alike.setdefault(behaviour, []).append(index)
    kinds = [Kind(behaviour, indices) for behaviour, indices in alike.items() if not behaviour.fail_us]
    answers = []
    for request in trace:
        # Whoever came before has taken an earlier slot, so that the queue keeps its order.
        ready = [kind.ready_us(request.due_us) for kind in kinds]
        start_us = min(ready)
        free = [kind for kind, moment in zip(kinds, ready, strict=True) if moment == start_us]
        best = min(free, key=lambda kind: kind.cost_us(request, start_us))
        answers.append(Answer(request.due_us, best.serve(request, start_us) - request.due_us, 200, best.server))
    return answers
