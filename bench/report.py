"""Results of one run, printed as a table: each server's figures and what they are of the first one's."""

from collections.abc import Sequence
from dataclasses import dataclass

from .harness import Served, own_cpu_seconds, percentile


@dataclass(frozen=True)
class Load:
    """What one server did under one load. `per_second`: what was counted; latencies in seconds."""

    server: str
    per_second: float
    latencies: Sequence[float]
    server_cpu: float
    client_cpu: float

    @property
    def p50(self) -> float:
        return percentile([*self.latencies], 0.5) * 1e3

    @property
    def p99(self) -> float:
        return percentile([*self.latencies], 0.99) * 1e3


class Meter:
    """Processor time of a server and of this load generator, from here on."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._server, self._own = served.cpu_seconds, own_cpu_seconds()

    def shares(self, seconds: float) -> tuple[float, float]:
        """Of one core each, over so many seconds: the server's, and ours."""
        server = (self._served.cpu_seconds - self._server) / seconds
        return server, (own_cpu_seconds() - self._own) / seconds


def show(title: str, unit: str, loads: Sequence[Load]) -> None:
    """Print a table; ratios are to the first row. The last but one column: what each costs the server."""
    print(f"\n{title}\n\n| | {unit} | ratio | p50 / p99 ms | server CPU | µs of it each | load CPU |")
    print("|---|---|---|---|---|---|---|")
    first = loads[0].per_second
    for load in loads:
        rate, each = load.per_second, load.server_cpu / load.per_second * 1e6
        print(
            f"| {load.server} | {rate:,.0f} | {rate / first:.2f} | {load.p50:.1f} / {load.p99:.1f} "
            f"| {load.server_cpu:.0%} | {each:.1f} | {load.client_cpu:.0%} |"
        )
