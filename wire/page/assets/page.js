// Puts server-rendered sections where they belong; every text of a model's or a person's goes in as text.
"use strict";

const element = (id) => document.getElementById(id);
const line = element("line");
const form = element("try");
let running = null;

function listen() {
  const live = new EventSource("/page/live");
  live.onopen = () => { line.textContent = "live"; };
  live.onerror = () => { line.textContent = "not connected, trying again"; };
  for (const section of ["models", "setup", "requests", "banks"]) {
    live.addEventListener(section, (event) => {
      const box = element(section);
      const open = new Set([...box.querySelectorAll("details[open] > summary")].map((each) => each.textContent));
      box.innerHTML = JSON.parse(event.data);
      for (const summary of box.querySelectorAll("summary")) {
        if (open.has(summary.textContent)) summary.parentElement.open = true;
      }
    });
  }
}

async function showDecision(response) {
  const box = element("decision");
  if (response.ok) {
    box.innerHTML = await response.text();
  } else {
    box.textContent = await errorOf(response);
  }
}

async function errorOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `The service answered with status ${response.status}.`;
  }
}

function request() {
  const fields = new FormData(form);
  return { text: fields.get("text"), workspace: fields.get("workspace").trim(), mode: fields.get("mode") };
}

async function ask() {
  await showDecision(await post("/page/try", request()));
}

function post(path, body, signal) {
  return fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
}

async function send() {
  const { text, workspace, mode } = request();
  const answer = element("answer");
  const metadata = { mode, ...(workspace && { workspace }) };
  running = new AbortController();
  answer.textContent = "";
  element("answered-by").textContent = "";
  element("answer-box").hidden = false;
  element("stop").hidden = false;
  try {
    const body = { model: form.dataset.model, stream: true, metadata, messages: [{ role: "user", content: text }] };
    const response = await post("/v1/chat/completions", body, running.signal);
    if (!response.ok) {
      answer.textContent = await errorOf(response);
      return;
    }
    const role = response.headers.get("x-router-role");
    if (role) element("answered-by").textContent = `${role}: ${response.headers.get("x-router-reason")}`;
    await readChunks(response.body, (chunk) => {
      if (chunk.error) answer.append(`\n${chunk.error.message}`);
      const delta = chunk.choices?.[0]?.delta ?? {};
      answer.append(delta.content ?? "");
    });
  } catch (error) {
    if (error.name !== "AbortError") answer.append("\nThe connection broke: is the service running?");
  } finally {
    element("stop").hidden = true;
    running = null;
  }
}

async function readChunks(body, each) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const text of lines) {
      if (text.startsWith("data: ") && text !== "data: [DONE]") each(JSON.parse(text.slice(6)));
    }
  }
}

form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
element("send").addEventListener("click", () => { if (form.reportValidity() && !running) send(); });
element("stop").addEventListener("click", () => running?.abort());
element("requests").addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-request]");
  if (!link) return;
  event.preventDefault();
  await showDecision(await fetch(link.href));
  element("decision").scrollIntoView({ block: "nearest" });
});
listen();
