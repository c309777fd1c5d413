"""A `curl` for machines without one: as much of it as our pages use. Fails on any error, as the real one is told to."""

import argparse
import sys
import urllib.error
import urllib.request


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="data")
    parser.add_argument("-i", dest="head", action="store_true")
    parser.add_argument("-X", dest="method")
    args = parser.parse_args()
    headers = dict(header.split(": ", 1) for header in args.headers)
    body = args.data.encode() if args.data is not None else None
    try:
        request = urllib.request.Request(args.url, body, headers, method=args.method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            if args.head:
                sys.stdout.write(f"HTTP/1.1 {answer.status}\n{answer.headers}")
            sys.stdout.write(answer.read().decode())
    except urllib.error.HTTPError as error:
        print(f"curl: {error.code}: {error.read().decode()}", file=sys.stderr)
        return 22
    return 0


if __name__ == "__main__":
    sys.exit(main())
