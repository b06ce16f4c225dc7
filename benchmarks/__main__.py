"""`python -m benchmarks [NAME...]`: runs the benchmarks and prints their tables. Times are measured here and never asserted in a test.

validate   whole processes: `specbuilder validate` against a process that only imports the usual libraries
scale      `validate` and `emit` over 10 to 10,000 nodes
limits     what hostile specs cost
checkpoints what keeping the state costs a run
steps      the training step against a tuned hand-written twin, interleaved, in one process
order      what the exact order of an epoch costs
"""

from __future__ import annotations

import sys

from benchmarks import checkpoints, limits, order, scale, steps, validate

NAMES = {
    "validate": validate.main,
    "scale": scale.main,
    "limits": limits.main,
    "steps": steps.main,
    "order": order.main,
    "checkpoints": checkpoints.main,
}


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        print(f"## {name}\n")
        NAMES[name]()
        print()


main()
