"""The bare prototype on langgraph-openai-serve: four nodes, of which the third calls ChatOllama and the others do
nothing. Runs in an environment of its own; see `benchmarks/peers/langgraph_openai_serve.txt`.
"""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI
from langchain_ollama import ChatOllama
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph_openai_serve import GraphConfig, GraphRegistry, LanggraphOpenaiServe

model = ChatOllama(model="qwen2.5-coder:32b", base_url=os.environ["OLLAMA_BASE_URL"])


async def _nothing(_: MessagesState) -> dict[str, Any]:
    return {}


async def _answer(state: MessagesState) -> dict[str, Any]:
    return {"messages": [await model.ainvoke(state["messages"])]}


graph: Any = StateGraph(MessagesState)
for name, node in {"route": _nothing, "read": _nothing, "answer": _answer, "remember": _nothing}.items():
    graph.add_node(name, node)
for before, after in (
    (START, "route"),
    ("route", "read"),
    ("read", "answer"),
    ("answer", "remember"),
    ("remember", END),
):
    graph.add_edge(before, after)

app = FastAPI()
registry = GraphRegistry(
    graphs={"cline-memory-router": GraphConfig(graph=graph.compile(), description="Answers with one model.")}
)
LanggraphOpenaiServe(registry=registry, app=app).bind_openai_api()
