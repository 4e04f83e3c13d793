"""Looks for a secret in a process's memory.

memory.py PID FILE [guarded]  exits 1 and prints the mappings that hold the file's first line, or its bytes from the 8th on
(the allocator overwrites the first ones of what was freed). guarded: where it is not dumped, locked and wiped in a child it may be.
"""
import re
import sys

pid, guarded = sys.argv[1], sys.argv[3:] == ["guarded"]
secret = open(sys.argv[2], "rb").read().split(b"\n")[0]
assert len(secret) >= 24
found = []
with open(f"/proc/{pid}/smaps") as smaps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
    for mapping in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", smaps.read())[1:]:
        head, flags = mapping.splitlines()[0], mapping.split("VmFlags:")[1].split()
        start, end = (int(n, 16) for n in head.split()[0].split("-"))
        if "[v" in head or "r" not in head.split()[1] or end - start > 1 << 30:
            continue
        memory.seek(start)
        try:
            content = memory.read(end - start)
        except OSError:
            continue
        if (secret in content or secret[8:] in content) and not (guarded and {"dd", "lo", "wf"} <= set(flags)):
            found.append(head)
print("\n".join(found))
sys.exit(bool(found))
