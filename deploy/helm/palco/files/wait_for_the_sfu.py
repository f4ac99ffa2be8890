"""Ends when the sfu has ended: signalling's preStop hook, since it serves those whom the sfu's drain waits for."""

import sys
import time
import urllib.error
import urllib.request

EVERY_S = 1.0


def answers(url: str) -> bool:
    """Whether anybody is there, whatever the answer; a busy one that takes its time counts as there."""
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310  (the URL is the chart's own)
            return True
    except (TimeoutError, urllib.error.HTTPError):
        return True
    except OSError as error:
        return isinstance(getattr(error, "reason", None), TimeoutError)


def main(url: str) -> None:
    while answers(url):
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main(sys.argv[1])
