"""An agent that writes a program and runs it where it can harm nothing."""

import asyncio

from holdfast import Agent
from holdfast.tools import list_files, read_file, run_python, run_shell, write_file

TASK = """Write a program that prints the first primes, and run it.

```python primes.py
print([n for n in range(2, 30) if all(n % d for d in range(2, n))])
```

Then run `python3 primes.py`.
"""

coder = Agent(
    name="sandboxed coder",
    system_prompt="You write programs in the workspace, run them, and report what they print.",
    tools=[list_files, read_file, write_file, run_shell, run_python],
)


async def main() -> None:
    """Prints what the agent reports."""
    print((await coder.run(TASK)).content)


if __name__ == "__main__":
    asyncio.run(main())
