// Puts server-rendered sections where they belong; every text of a model's or a person's goes in as text.
"use strict";

const element = (id) => document.getElementById(id);
const line = element("line");
const form = element("try");
const waiting = new Map();
let live = null;
let running = null;

// A hidden page follows nothing: a browser has six connections for all of its pages.
function follow() {
  live?.close();
  live = null;
  if (document.hidden) return;
  live = new EventSource("/page/live");
  live.onopen = () => tell("live", "good");
  live.onerror = () => tell("not connected, trying again", "bad");
  for (const section of ["models", "requests", "setup", "banks"]) {
    live.addEventListener(section, (event) => {
      waiting.set(section, JSON.parse(event.data));
      showWaiting();
    });
  }
}

function tell(words, kind) {
  line.textContent = words;
  line.className = `chip ${kind}`;
}

// What somebody is selecting stays until they have done so; focus, scroll and what is open outlast an update.
function showWaiting() {
  const selection = getSelection();
  for (const [section, html] of waiting) {
    const box = element(section);
    if (!selection.isCollapsed && box.contains(selection.anchorNode)) continue;
    waiting.delete(section);
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    const open = [...box.querySelectorAll("details[open] > summary")].map((each) => each.dataset.key);
    const top = box.querySelector(".scroll")?.scrollTop ?? 0;
    box.innerHTML = html;
    for (const each of box.querySelectorAll("[data-key]")) {
      if (each.dataset.key === focused) each.focus({ preventScroll: true });
      if (open.includes(each.dataset.key)) each.parentElement.open = true;
    }
    box.querySelector(".scroll")?.scrollTo(0, top);
  }
}

async function show(box, asked) {
  try {
    const response = await asked;
    if (response.ok) box.innerHTML = await response.text();
    else box.textContent = await errorOf(response);
  } catch {
    box.textContent = "The service does not answer: is it running?";
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

function post(path, body, signal) {
  return fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
}

async function send() {
  const { text, workspace, mode } = request();
  const metadata = { mode, ...(workspace && { workspace }) };
  const body = { model: form.dataset.model, stream: true, metadata, messages: [{ role: "user", content: text }] };
  const state = element("answer-state");
  running = new AbortController();
  for (const id of ["answer", "thoughts", "answered-by"]) element(id).textContent = "";
  element("answer-box").hidden = false;
  element("thinking").hidden = true;
  element("stop").hidden = false;
  state.className = "faint";
  state.textContent = "Waiting for the model.";
  try {
    const response = await post("/v1/chat/completions", body, running.signal);
    if (!response.ok) throw new Error(await errorOf(response));
    const [role, why] = ["role", "reason"].map((name) => response.headers.get(`x-router-${name}`));
    if (role) element("answered-by").textContent = `${role}: ${why}`;
    await readChunks(response.body, (chunk) => {
      if (chunk.error) throw new Error(chunk.error.message);
      const { content, reasoning_content: thought } = chunk.choices?.[0]?.delta ?? {};
      if (thought) element("thinking").hidden = false;
      element("thoughts").append(thought ?? "");
      element("answer").append(content ?? "");
      if (content || thought) state.textContent = content ? "Answering." : "Thinking.";
    });
    state.textContent = "The answer is whole.";
  } catch (error) {
    const stopped = error.name === "AbortError";
    const broken = error instanceof TypeError;
    state.className = stopped ? "faint" : "bad";
    state.textContent = stopped ? "Stopped." : broken ? "The connection broke: is the service running?" : error.message;
  } finally {
    running.abort();
    running = null;
    element("stop").hidden = true;
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

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  show(element("decision"), post("/page/try", request()));
});
element("send").addEventListener("click", () => { if (form.reportValidity() && !running) send(); });
element("stop").addEventListener("click", () => running?.abort());
element("requests").addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-request]");
  if (!link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  await show(element("past-decision"), fetch(link.href));
  element("past").showModal();
});
element("setup").addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
});
document.documentElement.classList.toggle("no-copy", !navigator.clipboard);
document.addEventListener("visibilitychange", follow);
document.addEventListener("selectionchange", showWaiting);
follow();
