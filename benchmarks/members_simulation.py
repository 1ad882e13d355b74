"""Simulation of 20 to 200 members of one run: `python benchmarks/members_simulation.py [--output FILE]`.

The decisions are those of the package (shares of the slots, allotments of the budget); clock, service and costs are
simulated. Members join and die, the limit is lowered and raised again, and the budget runs out. The plot is in
docs/design/members.md.
"""

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

from tests.batch.simulated_members import Simulation

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "members"

import matplotlib.pyplot as plt  # noqa: E402 - the backend comes first

PHASE_S = 30.0
CEILING_PER_MEMBER = 100_000
"""Budget in micro-USD per member; higher lengthens the run until it is reached."""
SETTLING_S = 3.0
"""Seconds after a lowered limit in which calls in flight may still exceed it."""


@dataclass(frozen=True)
class Result:
    """The result of one number of members."""

    members: int
    excess: int
    used: float
    left_over: float
    stopped_s: float


def limits(members: int, seed: int = 0) -> Simulation:
    """Return a run whose members join and die while its limit is quartered and restored."""
    draws = random.Random(seed)
    run = Simulation(slots=4 * members, seed=seed)
    run.join(members)

    def change(run: Simulation) -> None:
        if draws.random() < 0.01:
            run.join()
        elif draws.random() < 0.01:
            run.kill()

    for slots in (4 * members, members, 4 * members):
        run.slots = slots
        run.run(PHASE_S, change)
    return run


def budget(members: int, seed: int = 0) -> Simulation:
    """Return a run that spends its budget."""
    run = Simulation(slots=4 * members, ceiling=CEILING_PER_MEMBER * members, seed=seed)
    run.join(members)
    while not run.stopped and run.now < 20 * PHASE_S:
        run.step()
    run.run(1)
    return run


def result(members: int) -> Result:
    """Simulate both runs of a number of members."""
    limited, spending = limits(members), budget(members)
    settled = [(calls, slots) for at, calls, slots in limited.in_flight if not PHASE_S < at < PHASE_S + SETTLING_S]
    late = [calls / slots for at, calls, slots in limited.in_flight if at > 3 * PHASE_S - 5]
    ceiling = CEILING_PER_MEMBER * members
    return Result(
        members,
        max(calls - slots for calls, slots in settled),
        sum(late) / len(late),
        1 - spending.billed / ceiling,
        spending.stopped_at or float("nan"),
    )


def draw(members: int, path: Path) -> None:
    """Write both runs of a number of members as an SVG."""
    limited, spending = limits(members), budget(members)
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 5.4), layout="constrained")
    times = [at for at, _, _ in limited.in_flight]
    above.plot(times, [calls for _, calls, _ in limited.in_flight], linewidth=0.8, label="calls at the service")
    above.plot(times, [slots for _, _, slots in limited.in_flight], color="grey", linestyle=":", label="limit")
    above.set(ylabel="calls in flight", xlabel="seconds", ylim=(0, None), xlim=(0, times[-1]))
    above.set_title(f"{members} members that join and die; the limit is lowered and raised again", fontsize=10)
    above.legend(loc="lower right", fontsize=8)
    times = [at for at, _, _ in spending.spent]
    below.plot(times, [granted / 1e6 for _, _, granted in spending.spent], linewidth=0.8, label="granted")
    below.plot(times, [billed / 1e6 for _, billed, _ in spending.spent], linewidth=0.8, label="billed")
    below.axhline((spending.ceiling or 0) / 1e6, color="grey", linestyle=":", label="budget")
    below.set(ylabel="USD", xlabel="seconds", ylim=(0, None), xlim=(0, times[-1]))
    below.set_title(f"{members} members with random costs until the budget is reached", fontsize=10)
    below.legend(loc="lower right", fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[20, 60, 200])
    parser.add_argument("--output", type=Path, default=Path("docs/design/members.svg"))
    chosen = parser.parse_args()
    print("| members | calls above the limit | used slots at the end | budget left over | budget reached after |")
    print("|---|---|---|---|---|")
    for each in map(result, chosen.members):
        cells = (each.members, max(0, each.excess), f"{each.used:.0%}", f"{each.left_over:.2%}")
        print("| " + " | ".join(map(str, (*cells, f"{each.stopped_s:.0f} s"))) + " |")
    draw(chosen.members[0], chosen.output)


if __name__ == "__main__":
    main()
