"""Claims of the literature for pools: the claim, the measurement, and why they differ.

    python benchmarks/literature.py                     # three rounds of all four: some minutes
    python benchmarks/literature.py frame_loop --rounds 5
    python benchmarks/literature.py control_loop --amount 60        # seconds

Contenders take turns, each in a new process. Figures are medians over the rounds; the spread is
half the width of the middle half.
"""

from __future__ import annotations

import argparse
import sys

import claims
from contenders import Contenders
from surroundings import busy, where


def report(name: str, all_of: Contenders) -> str:
    """One claim, with its figures."""
    claim = claims.load(name)
    rounds = len(all_of.rounds[name])
    return "\n".join(
        [
            f"## {claim.title}",
            "",
            f"Claimed: {claim.claimed}.",
            "",
            f"Measured, {rounds} round{'s' * (rounds != 1)}. {busy(all_of.share_of_others())}",
            "",
            claim.measured(all_of),
            "",
            f"Why: {claim.why}",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help=", ".join(claims.CLAIMS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--amount", type=float, help="seconds, or records, as each claim counts")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: must be at least 1")
    if unknown := set(options.claims) - set(claims.CLAIMS):
        parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(claims.CLAIMS)}")
    print(where(), end="\n\n")
    for name in options.claims or claims.CLAIMS:
        claim = claims.load(name)
        contenders = Contenders(claim.contenders)
        for turn in range(options.rounds):
            print(f"{turn + 1} of {options.rounds}: {name}", file=sys.stderr, flush=True)
            contenders.round(name, claim=options.amount or claim.amount)
        print(report(name, contenders), flush=True)


if __name__ == "__main__":
    main()
