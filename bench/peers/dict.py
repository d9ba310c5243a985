"""A dict look-up per call: the least that any policy check in Python costs. Prints seconds for argv[1] iterations."""

import sys
import time

SCOPES = {("agent", tool): True for tool in ("a", "b", "c", "d", "e", "f", "read_file", "write_file")}


def allowed(agent: str, tool: str) -> bool:
    return SCOPES.get((agent, tool), False)


def main() -> None:
    n = int(sys.argv[1])
    begun = time.perf_counter()
    for i in range(n):
        allowed("agent", "read_file" if i & 1 else "delete_file")
    print(time.perf_counter() - begun)


main()
