"""The part of docs/lifecycle.md that comes from the table of edges; `python -m tests.tidy.lifecycle_page` writes it."""

from moorage.lifecycle.edges import EDGES
from moorage.model.record import AgentState
from tests.tidy.tree import ROOT

PAGE = ROOT / "docs" / "lifecycle.md"
BEGIN, END = "<!-- from operator/moorage/lifecycle/edges.py -->\n", "<!-- end -->\n"


def rendered() -> str:
    """The diagram and the table of all edges."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {AgentState.RUNNING}: a new agent"]
    lines += [f"    [*] --> {AgentState.ARCHIVED}: a new agent that is filled from a snapshot"]
    lines += [f"    {edge.before} --> {edge.after}" for edge in EDGES]
    last = sorted({edge.after for edge in EDGES} - {edge.before for edge in EDGES})
    lines += [f"    {state} --> [*]" for state in last]
    lines += ["```", "", "| from | to | when |", "|---|---|---|"]
    lines += [f"| {edge.before} | {edge.after} | {edge.why} |" for edge in EDGES]
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with that part brought up to date."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{rendered()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
