"""`.venv/bin/python -m tests.delivery --database postgres --seconds 600 --seed 7`"""

import argparse
import secrets
import signal
import sys
import time

from .mutations import prove
from .run import deliver


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.delivery", description="Count every broken promise.")
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--seconds", type=float, default=60, help="of load, for each database")
    parser.add_argument("--seed", type=int, help="of the load and the faults; without one, any, which is printed")
    parser.add_argument("--rate", type=float, default=20, help="deeds a second")
    parser.add_argument("--prove", nargs="*", metavar="MUTATION", help="break promises on purpose and look for red")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # and take the service and its database along
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    if options.prove is not None:
        return min(prove(options.prove, seed), 1)
    broken = 0
    for database in ["sqlite", "postgres"] if options.database == "both" else [options.database]:
        begun = time.monotonic()
        report = deliver(database, options.seconds, seed, options.rate)
        print(f"{database}, {time.monotonic() - begun:.0f} s, {report}", flush=True)
        broken += len(report.violations)
    return min(broken, 1)


sys.exit(main())
