// The chat page: each message goes to the models of both sides at once.
"use strict";

const $ = (id) => document.getElementById(id);
const sides = ["left", "right"].map((id) => ({
  model: $(id).querySelector("select"), talk: $(id).querySelector(".talk"), messages: [],
}));
let running = null; // the AbortController of what is being answered

function status(text, kind) {
  $("status").textContent = text;
  $("status").className = "pill " + (kind || "");
}

function headers() {
  const h = { "Content-Type": "application/json" };
  if ($("key").value) h.Authorization = "Bearer " + $("key").value;
  return h;
}

// problem returns the message of a response that is an error.
async function problem(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return "HTTP " + response.status;
  }
}

async function connect() {
  let response;
  try {
    response = await fetch("/v1/models", { headers: headers() });
  } catch {
    return status("not reachable", "failed");
  }
  if (response.status === 401) {
    $("key-row").hidden = false;
    return status("needs a key", "failed");
  }
  if (!response.ok) return status(await problem(response), "failed");
  const models = (await response.json()).data;
  sides.forEach((side, i) => {
    side.model.replaceChildren(...models.map((m) => new Option(m.id, m.id)));
    side.model.selectedIndex = Math.min(i, models.length - 1);
  });
  if (!models.some((m) => m.chats)) $("kind").value = "text";
  status("ready", "ready");
}

// add appends a line to a side and returns it.
function add(side, kind, text) {
  const line = document.createElement("div");
  line.className = kind;
  line.textContent = text;
  side.talk.append(line);
  return line;
}

// events yields the data of server-sent events.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (part.startsWith("data: ")) yield part.slice("data: ".length);
    }
  }
}

function request(side, text) {
  const common = {
    model: side.model.value, stream: true, stream_options: { include_usage: true },
    temperature: Number($("temperature").value), max_tokens: Number($("tokens").value),
  };
  if ($("kind").value === "text") return ["/v1/completions", { ...common, prompt: text }];
  const system = $("system").value ? [{ role: "system", content: $("system").value }] : [];
  return ["/v1/chat/completions", { ...common, messages: [...system, ...side.messages] }];
}

async function answer(side, text, signal) {
  side.messages.push({ role: "user", content: text });
  add(side, "asked", text);
  const line = add(side, "answer", "");
  const note = add(side, "note", "…");
  const began = performance.now();
  let end = "", tokens = 0;
  try {
    const [path, body] = request(side, text);
    const response = await fetch(path, { method: "POST", headers: headers(), body: JSON.stringify(body), signal });
    if (!response.ok) throw new Error(await problem(response));
    for await (const data of events(response.body)) {
      if (data === "[DONE]") break;
      const part = JSON.parse(data);
      if (part.error) throw new Error(part.error.message);
      if (part.usage) tokens = part.usage.completion_tokens;
      for (const c of part.choices) {
        line.textContent += c.text ?? c.delta?.content ?? "";
        end = c.finish_reason ?? end;
      }
    }
    const seconds = (performance.now() - began) / 1000;
    note.textContent = `${tokens} tokens in ${seconds.toFixed(1)} s` + (end === "length" ? ", cut off" : "");
  } catch (error) {
    note.textContent = error.name === "AbortError" ? "stopped" : error.message;
    if (error.name !== "AbortError") note.className = "note error";
  }
  side.messages.push({ role: "assistant", content: line.textContent });
  note.dataset.done = "true";
}

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("message").value;
  if (!text.trim() || running) return;
  $("message").value = "";
  running = new AbortController();
  $("send").disabled = true;
  $("stop").disabled = false;
  await Promise.all(sides.map((side) => answer(side, text, running.signal)));
  running = null;
  $("send").disabled = false;
  $("stop").disabled = true;
  $("message").focus();
});
$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
});
$("settings").addEventListener("submit", (event) => event.preventDefault());
$("stop").addEventListener("click", () => running?.abort());
$("clear").addEventListener("click", () => {
  running?.abort();
  for (const side of sides) {
    side.messages = [];
    side.talk.replaceChildren();
  }
});
$("key").addEventListener("change", connect);
connect();
