// Tries a service's routes: reads openapi.json beside it and makes one form for each operation.
// Everything from the description or an answer is set as text, never as HTML.
"use strict";

const WORDS = {
  zh: { token: "访问令牌", language: "语言", send: "发送", body: "请求内容", needs: "需要权限", failed: "无法连接" },
  en: { token: "Access token", language: "Language", send: "Send", body: "Body", needs: "Needs scope", failed: "Cannot connect" },
};

const byId = (id) => document.getElementById(id);
const words = () => WORDS[byId("language").value === "en" ? "en" : "zh"];

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function newIntent() {
  // A UUIDv7: keys that begin with their time are the cheapest to look up (docs/api.md, "Once").
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const time = Date.now().toString(16).padStart(12, "0");
  return [time.slice(0, 8), time.slice(8), `7${hex.slice(0, 3)}`, `8${hex.slice(3, 6)}`, hex.slice(20)].join("-");
}

function exampleOf(parameter) {
  return parameter.name === "Idempotency-Key" ? newIntent() : "";
}

function fieldOf(parameter) {
  const input = element("input", {
    name: `${parameter.in}:${parameter.name}`,
    required: Boolean(parameter.required),
    value: exampleOf(parameter),
    placeholder: String(parameter.schema.examples?.[0] ?? parameter.schema.default ?? ""),
  });
  const hint = [parameter.description, parameter.schema.enum?.join(" | ")].filter(Boolean).join(" · ");
  return element("label", {}, `${parameter.name}${parameter.required ? " *" : ""}`, input, element("small", {}, hint));
}

function bodyOf(operation) {
  const types = operation.requestBody?.content ?? {};
  const content = types["application/json"];
  if (!content) {
    const accept = Object.keys(types).join(",");
    return accept ? [element("label", {}, words().body, element("input", { type: "file", name: "upload", accept }))] : [];
  }
  const text = JSON.stringify(content.example ?? {}, null, 2);
  const area = element("textarea", { name: "body", rows: Math.min(20, text.split("\n").length + 1), value: text });
  return [element("label", {}, words().body, area)];
}

// Headers that the page sets itself.
const OWN = new Set(["Accept-Language"]);

function formOf(path, method, operation) {
  const parameters = (operation.parameters ?? []).filter((parameter) => !OWN.has(parameter.name));
  const answer = element("pre", { hidden: true });
  const picture = element("img", { hidden: true, alt: "" });
  const form = element("form", {}, ...parameters.map(fieldOf), ...bodyOf(operation));
  form.append(element("button", { type: "submit" }, words().send), answer, picture);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer.hidden = false;
    answer.textContent = "…";
    picture.hidden = true;
    send(path, method, new FormData(form), picture).then((text) => { answer.textContent = text; });
  });
  return form;
}

function requestOf(path, data) {
  const query = new URLSearchParams();
  const headers = { "Accept-Language": byId("language").value };
  const token = byId("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  let target = path;
  let body;
  for (const [name, value] of data) {
    const [place, key] = name.split(/:(.*)/s);
    if (place === "body") {
      body = value;
      headers["Content-Type"] = "application/json";
    } else if (place === "upload") {
      body = value;
      headers["Content-Type"] = value.type;
    } else if (value === "") continue;
    else if (place === "path") target = target.replace(`{${key}}`, encodeURIComponent(value));
    else if (place === "query") query.set(key, value);
    else headers[key] = value;
  }
  return { target: query.size ? `${target}?${query}` : target, headers, body };
}

async function send(path, method, data, picture) {
  const { target, headers, body } = requestOf(path, data);
  try {
    const answer = await fetch(target, { method: method.toUpperCase(), headers, body, cache: "no-store" });
    const lines = [`${answer.status} ${answer.statusText}`];
    for (const [name, value] of answer.headers) lines.push(`${name}: ${value}`);
    if (answer.headers.get("Content-Type")?.startsWith("image/")) {
      // By its address, which the page's policy allows and the browser has just fetched.
      picture.src = target;
      picture.hidden = false;
      return lines.join("\n");
    }
    return `${lines.join("\n")}\n\n${shown(await answer.text())}`;
  } catch (error) {
    return `${words().failed}: ${error.message}`;
  }
}

function shown(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function operationOf(path, method, operation) {
  const scopes = (operation.security ?? []).flatMap((scheme) => Object.values(scheme).flat());
  const needs = scopes.length ? `${words().needs}: ${scopes.join(" ")}` : "";
  const summary = element("summary", {}, element("code", {}, `${method.toUpperCase()} ${path}`),
    element("span", {}, operation.summary ?? ""));
  const about = element("p", {}, [needs, operation.description].filter(Boolean).join(" · "));
  const details = element("details", {}, summary);
  // Forms are made when they are opened: a new Idempotency-Key for each, and a page that opens fast.
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(about, formOf(path, method, operation));
  });
  return details;
}

async function show() {
  for (const place of document.querySelectorAll("[data-word]")) place.textContent = words()[place.dataset.word];
  document.documentElement.lang = byId("language").value;
  const answer = await fetch("openapi.json", { headers: { "Accept-Language": byId("language").value } });
  const description = await answer.json();
  document.title = byId("title").textContent = description.info.title;
  const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => operationOf(path, method, operation)));
  byId("operations").replaceChildren(...operations);
}

byId("language").value = navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
byId("language").addEventListener("change", show);
show();
