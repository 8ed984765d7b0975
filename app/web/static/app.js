// What every page has: requests that carry the page's token, notices, confirmation, times, live parts.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";
const texts = JSON.parse(meta("texts") || "{}");
export const language = document.documentElement.lang;

/** A text in the reader's language; {name} is filled in from values. */
export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Tell those who hear the page, not see it, what has changed. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** A notice that goes away by itself; kind: "", "good", "bad". */
export function notify(message, kind = "") {
  const notice = document.createElement("div");
  notice.className = `notice ${kind}`;
  notice.textContent = message;
  document.getElementById("toasts").append(notice);
  setTimeout(() => notice.remove(), kind === "bad" ? 12000 : 5000);
}

export class ApiError extends Error {
  constructor(status, problem) {
    super(t(`error.${problem.code}`) === `error.${problem.code}` ? problem.detail : t(`error.${problem.code}`));
    this.status = status;
    this.code = problem.code;
    this.problem = problem;
  }
}

export const tokenHeaders = () => ({ "X-CSRF-Token": meta("csrf-token") });

/** Call the JSON API as this page's user. Gives the parsed answer, or null where there is none; throws ApiError. */
export async function api(method, url, body, options = {}) {
  const headers = { Accept: "application/json", ...tokenHeaders() };
  if (body !== undefined && !(body instanceof FormData)) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  const answer = await fetch(url, { method, headers, body, ...options });
  return read(answer.status, await answer.text());
}

/** An answer of the API as fetch or XMLHttpRequest had it. */
export function read(status, text) {
  if (status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
  let content = null;
  try { content = text ? JSON.parse(text) : null; } catch { /* a proxy's own page */ }
  if (status >= 200 && status < 300) return content;
  throw new ApiError(status, content ?? { code: "internal_error", detail: t("failed", { status }) });
}

/** Ask before something that cannot be undone. */
export function confirmed(question) {
  const dialog = document.getElementById("confirm");
  dialog.querySelector("#confirm-text").textContent = question;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

/** Numbers, sizes and durations as the server writes them. */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return `${unit === 0 || count >= 100 ? count.toFixed(0) : count.toFixed(1)} ${units[unit]}`;
}

export function duration(value) {
  if (value === null || value === undefined) return "–";
  if (value && value < 0.1) return "< 0.1 s";
  if (value < 10) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/**
 * Server-sent events while the page is seen: hidden pages give their connection back, of which a browser has six.
 * url(after): the address; handlers: by event name, get the parsed data; done(): the stream has ended for good.
 */
export function listen(url, handlers, done = () => {}) {
  let source = null;
  let after = 0;
  let over = false;
  const stop = () => { source?.close(); source = null; };
  const start = () => {
    if (source || over || document.hidden) return;
    source = new EventSource(url(after));
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        after = Number(event.lastEventId) || after;
        if (handle(JSON.parse(event.data)) === false) { over = true; stop(); done(); }
      });
    }
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) { stop(); setTimeout(start, 5000); }
    });
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", start);
  start();
}

/** Times as the reader's clock and language have them. */
const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const moment = new Date(time.dateTime);
    time.title = moment.toLocaleString(language);
    time.textContent = format.format(moment);
    time.dataset.local = "";
  }
}

/** Parts with data-live="URL" are replaced by what the server sends when it has changed, unless someone works in them. */
function liveParts(root) {
  const parts = [...root.querySelectorAll("[data-live]"), ...(root.matches?.("[data-live]") ? [root] : [])];
  for (const part of parts) {
    if (part.dataset.listening !== undefined) continue;
    part.dataset.listening = "";
    listen(() => part.dataset.live, {
      html: (data) => {
        htmx.swap(part, data.html, { swapStyle: "innerHTML" });
        ready(part);
        if (data.say) announce(data.say);
        return !data.over;
      },
    });
  }
}

function ready(root) {
  localTimes(root);
  liveParts(root);
}

function remember(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`;
}

function clicked(event) {
  const target = event.target.closest("[data-copy], [data-lang], [data-theme-choice], #menu");
  if (!target) return;
  if (target.id === "menu") {
    const open = document.getElementById("sidebar").classList.toggle("open");
    target.setAttribute("aria-expanded", String(open));
  } else if (target.dataset.copy !== undefined) {
    copy(target);
  } else if (target.dataset.lang) {
    remember("lang", target.dataset.lang);
    location.reload();
  } else {
    chooseTheme(target.dataset.themeChoice);
  }
}

function chooseTheme(choice) {
  remember("theme", choice);
  document.documentElement.dataset.theme = choice;
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
  }
  document.dispatchEvent(new Event("themechange"));
}

async function copy(button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: button.dataset.copy, readOnly: true });
    button.after(area);
    area.select();
    document.execCommand("copy"); // over plain HTTP there is no other way
    area.remove();
  }
  button.textContent = t("copied");
  announce(t("copied"));
  setTimeout(() => { button.textContent = label; }, 1500);
}

document.addEventListener("click", clicked);
document.addEventListener("htmx:configRequest", (event) => Object.assign(event.detail.headers, tokenHeaders()));
document.addEventListener("htmx:confirm", async (event) => {
  const question = event.target.dataset?.confirm;
  if (!question) return;
  event.preventDefault();
  if (await confirmed(question)) event.detail.issueRequest(true);
});
document.addEventListener("htmx:afterSwap", (event) => ready(event.target));
document.addEventListener("htmx:load", (event) => ready(event.detail.elt));
document.addEventListener("notice", (event) => notify(event.detail.message, event.detail.kind));
document.addEventListener("htmx:sendError", () => notify(t("offline"), "bad"));
document.addEventListener("htmx:responseError", (event) => {
  if (!event.detail.xhr.getResponseHeader("HX-Trigger")) notify(t("failed", { status: event.detail.xhr.status }), "bad");
});
ready(document);
