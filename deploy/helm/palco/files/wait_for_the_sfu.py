"""Ends when nobody is connected any more: what the pod does before its processes are told to stop."""

import re
import sys
import time
import urllib.request

EVERY_S = 2.0


def connected(page: str) -> float:
    """Sessions of all kinds that stand, as the sfu's metrics page says."""
    samples = re.findall(r'^palco_sfu_sessions\{.*state="connected".*\} (\S+)$', page, re.MULTILINE)
    return sum(map(float, samples))


def main(url: str) -> None:
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  (the URL is the chart's own)
                if connected(answer.read().decode()) == 0:
                    return
        except OSError:
            return  # no sfu any more, nobody to wait for
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main(sys.argv[1])
