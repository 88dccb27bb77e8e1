"""The router as a LangGraph graph. `build_router_graph()` compiles it; `Deps` is what a run needs."""

from graphs.deps import Deps
from graphs.router import build_router_graph
from graphs.state import RouterInput, RouterOutput

__all__ = ["Deps", "RouterInput", "RouterOutput", "build_router_graph"]
