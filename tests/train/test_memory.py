"""What `keep_freed_memory` saves: pages that the system would have to give and clear again."""

import platform
import subprocess
import sys

# As a training step does: many large blocks that live together and are all freed at its end.
SCRIPT = """
import ctypes, resource, sys
from train.memory import keep_freed_memory

library, size = ctypes.CDLL(None), 4 * 2**20
library.malloc.restype = ctypes.c_void_p

def step():
    blocks = [ctypes.c_void_p(library.malloc(size)) for _ in range(8)]
    for block in blocks:
        library.memset(block, 1, size)
    for block in reversed(blocks):
        library.free(block)

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(3):
    step()
before = faults()
for _ in range(20):
    step()
print(faults() - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], check=True, capture_output=True, text=True)
    return int(done.stdout)


def test_freed_memory_is_used_again():
    assert platform.libc_ver()[0] == "glibc", "elsewhere there is nothing to save: leave this test out there"
    assert page_faults("leave") > 10 * page_faults("keep") + 1000
