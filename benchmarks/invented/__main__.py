"""Write the log of an invented company; see the package."""

import argparse
from pathlib import Path

from benchmarks.invented.write import COMPANIES, write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--company", choices=COMPANIES, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--untagged", action="store_true", help="without call-site tags")
    options = parser.parse_args()
    tagged = not options.untagged
    print(*write(options.company, options.out, requests=options.requests, seed=options.seed, tagged=tagged))


if __name__ == "__main__":
    main()
