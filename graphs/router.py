"""The wiring of the graph, and nothing else."""

from __future__ import annotations

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graphs.deps import Deps
from graphs.edges import ANSWER_NODES, to_answer
from graphs.nodes.analyse import analyse
from graphs.nodes.implement import implement
from graphs.nodes.quick_answer import quick_answer
from graphs.nodes.read_memory import read_memory
from graphs.nodes.remember import remember
from graphs.nodes.route import route
from graphs.state import RouterInput, RouterOutput, RouterState

RouterGraph = CompiledStateGraph[RouterState, Deps, RouterInput, RouterOutput]


def build_router_graph() -> RouterGraph:
    """Compile the graph: `route → read_memory → quick_answer | implement | analyse → remember`.

    Run it with `graph.ainvoke({"messages": [...]}, context=deps)`, or `graph.astream(…, stream_mode="custom")` for the
    events of `chains.events`.
    """
    graph: Any = StateGraph(RouterState, context_schema=Deps, input_schema=RouterInput, output_schema=RouterOutput)
    graph.add_node("route", route)
    graph.add_node("read_memory", read_memory)
    graph.add_node("quick_answer", quick_answer)
    graph.add_node("implement", implement)
    graph.add_node("analyse", analyse)
    graph.add_node("remember", remember)
    graph.add_edge(START, "route")
    graph.add_edge("route", "read_memory")
    graph.add_conditional_edges("read_memory", to_answer)
    for node in ANSWER_NODES.values():
        graph.add_edge(node, "remember")
    graph.add_edge("remember", END)
    compiled: RouterGraph = graph.compile(name="cline-memory-router")
    return compiled
