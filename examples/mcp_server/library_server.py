"""An MCP server of a library: what is on the shelf, and loans that a person confirms."""

from pathlib import Path
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp.types import ToolAnnotations
from pydantic import BaseModel

library = MCPServer("library")


class Loan(BaseModel):
    """What the librarian decides."""

    days: int


def terms(title: str) -> Elicit[Loan]:
    """Asks the librarian for how long a book may be lent."""
    return Elicit(f"For how many days may {title} be lent?", Loan)


@library.tool(annotations=ToolAnnotations(read_only_hint=True))
def copies(title: str) -> int:
    """Returns how many copies of a book are on the shelf."""
    return {"Dune": 2}.get(title, 0)


@library.tool()
def lend(title: str, loan: Annotated[Loan, Resolve(terms)]) -> str:
    """Lends a book."""
    with Path("loans.txt").open("a") as loans:
        loans.write(f"{title} for {loan.days} days\n")
    return f"lent {title} for {loan.days} days"


if __name__ == "__main__":
    library.run("stdio")
