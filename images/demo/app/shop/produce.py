"""Send reports and emails through Celery: `python -m shop.produce --long 20 --short 500`."""

import argparse
import json
import time

from shop.celery import app
from shop.ledger import counts, forget
from shop.tasks import make_report, send_email


def parse(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m shop.produce", description=__doc__)
    parser.add_argument("--long", type=int, default=0, metavar="N", help="reports to send")
    parser.add_argument("--short", type=int, default=0, metavar="N", help="emails to send")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a report (default: 2)")
    parser.add_argument("--forget", action="store_true", help="first forget all counts")
    parser.add_argument("--counts", action="store_true", help="print all counts as JSON")
    return parser.parse_args(arguments)


def send(long, short, seconds):
    """Send all tasks over one connection; the number sent and the time it took."""
    begin = time.perf_counter()
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(long):
            make_report.apply_async(kwargs={"seconds": seconds}, producer=producer)
        for _ in range(short):
            send_email.apply_async(producer=producer)
    took = round(time.perf_counter() - begin, 3)
    return {"sent_long": long, "sent_short": short, "took_seconds": took}


def tell(facts):
    """One line of JSON on standard output."""
    print(json.dumps(facts), flush=True)  # noqa: T201 - a command's answer


def main():
    """Do what the command line asks; one line of JSON for each."""
    wanted = parse()
    if wanted.forget:
        forget()
    if wanted.long or wanted.short:
        tell(send(wanted.long, wanted.short, wanted.seconds))
    if wanted.counts:
        tell(counts())


if __name__ == "__main__":
    main()
