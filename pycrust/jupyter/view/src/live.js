// Entry point: one store for each widget model, any number of views of it.
import { History } from "./base/history.js";
import { State, condition, events, points } from "./base/state.js";
import { Dashboard } from "./dashboard.js";

/** How often an open view tells the kernel that somebody still looks. */
const ALIVE_MS = 5000;
/** A page out of sight for this long is treated as closed. */
const HIDDEN_MS = 60_000;
/** After a silence this long the kernel may have forgotten what the page watches. */
const FORGOTTEN_MS = 5000;
/** How often the age of the last message is looked at. */
const WATCH_MS = 500;

/**
 * @param {any} model anywidget's model
 */
export function connect(model) {
  const me = crypto.randomUUID?.() ?? String(Math.random());
  const state = new State();
  const history = new History();
  /** @type {Set<Dashboard>} */
  const views = new Set();
  let numbers = 0;
  // The kernel that knew this model has ended: no message can come any more.
  let ended = false;
  // The server is out of reach: messages may come again.
  let cut = false;
  let watching = false;
  let heard = performance.now();
  /** @type {ReturnType<typeof setInterval>[]} */
  let timers = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let leaving;

  const say = (/** @type {string} */ kind, more = {}) => {
    if (!ended && !cut) model.send({ ...more, kind, view: me });
  };
  const draw = () => {
    const silentMs = performance.now() - heard;
    const known = state.endpoint !== null;
    const now = condition({ known, ended, cut, serving: state.endpoint?.serving ?? false, silentMs });
    for (const view of views) view.draw(state.endpoint, history, now, silentMs);
  };

  const watch = () => {
    if (watching) return;
    watching = true;
    say("hello");
    for (const view of views) view.inspector.watch();
    timers = [
      setInterval(() => say(state.endpoint === null ? "hello" : "alive"), ALIVE_MS),
      setInterval(draw, WATCH_MS),
    ];
  };
  const leave = () => {
    if (!watching) return;
    watching = false;
    timers.forEach(clearInterval);
    say("goodbye");
  };
  const seen = () => {
    clearTimeout(leaving);
    if (views.size === 0) return;
    if (document.hidden) leaving = setTimeout(leave, HIDDEN_MS);
    else watch();
  };

  model.on("msg:custom", (/** @type {any} */ message, /** @type {DataView[]} */ buffers) => {
    if (message?.kind === "code") return;
    if (message?.view !== undefined) {
      // An answer to one page's inspector; with several views in that page, each takes what it asked for.
      if (message.view === me) for (const view of views) if (view.number === message.to) view.inspector.take(message, buffers ?? []);
      return;
    }
    for (const list of Array.isArray(message?.lists) ? message.lists : []) {
      if (list?.view === me) for (const view of views) if (view.number === list.to) view.inspector.take(list, []);
    }
    const result = state.take(message);
    if (result === "gap") {
      say("hello");
      return;
    }
    if (result !== "changed" || state.endpoint === null) return;
    // The kernel may have forgotten what this page watches: it stopped, or dropped a page that was silent.
    if (message.kind === "snapshot" && heard > 0 && performance.now() - heard > FORGOTTEN_MS) {
      for (const view of views) view.inspector.watch();
    }
    heard = performance.now();
    history.add(state.endpoint, points(message), events(message));
    draw();
  });
  const end = () => {
    ended = true;
    draw();
  };
  // Said of a model whose kernel was restarted, and of one that the kernel closed.
  for (const event of ["comm:close", "comm_live_update", "destroy"]) model.on(event, end);
  // A kernel that dies by itself says nothing to its models; JupyterLab's own connection tells.
  const kernel = model.widget_manager?.kernel;
  const onStatus = (/** @type {unknown} */ _, /** @type {string} */ status) => {
    if (["restarting", "autorestarting", "terminating", "dead"].includes(status)) end();
  };
  const onConnection = (/** @type {unknown} */ _, /** @type {string} */ status) => {
    const before = cut;
    cut = status !== "connected";
    if (before && !cut && watching) say("hello");
    draw();
  };
  kernel?.statusChanged?.connect(onStatus);
  kernel?.connectionStatusChanged?.connect(onConnection);
  addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", seen);

  return {
    /**
     * Shows the live view in `el`; gives what to call when it goes.
     * @param {HTMLElement} el
     */
    show(el) {
      numbers += 1;
      const number = numbers;
      const view = new Dashboard(el, number, (message) => say(String(message.kind), { ...message, to: number }));
      views.add(view);
      seen();
      view.inspector.watch();
      draw();
      return () => {
        say("unwatch", { to: number });
        views.delete(view);
        view.remove();
        if (views.size === 0) leave();
      };
    },
  };
}
