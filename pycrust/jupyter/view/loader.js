// The only script that a notebook file may come to hold: it asks the kernel for the front end, once a page.
// The front end itself travels as a message, so that no notebook grows by a bundle of it.
const BUNDLE = "@BUNDLE@";
/** @type {typeof globalThis & { pycrustLiveViews?: Map<string, typeof import("./src/live.js")> }} */
const page = globalThis;
page.pycrustLiveViews ??= new Map();
const loaded = page.pycrustLiveViews;

/**
 * What this script needs of a widget's model.
 * @typedef {object} Model
 * @property {(message: unknown) => void} send
 * @property {(event: string, listener: Listener) => void} on
 * @property {(event: string, listener: Listener) => void} off
 */
/** @typedef {(message: any, buffers: DataView<ArrayBuffer>[]) => void} Listener what takes a message of the kernel's */

/**
 * The front end. Must not wait: anywidget holds every message to a model back until `initialize` has returned.
 * @param {Model} model
 * @returns {Promise<typeof import("./src/live.js")>}
 */
const front = (model) => {
  const known = loaded.get(BUNDLE);
  if (known !== undefined) return Promise.resolve(known);
  return new Promise((resolve, reject) => {
    const ask = () => model.send({ kind: "code" });
    const again = setInterval(ask, 3000);
    /** @type {Listener} */
    const take = async (message, buffers) => {
      if (message?.kind !== "code" || !buffers?.length) return;
      model.off("msg:custom", take);
      clearInterval(again);
      const url = URL.createObjectURL(new Blob([buffers[0]], { type: "text/javascript" }));
      try {
        const module = await import(url);
        loaded.set(BUNDLE, module);
        resolve(module);
      } catch (failure) {
        reject(failure);
      } finally {
        URL.revokeObjectURL(url);
      }
    };
    model.on("msg:custom", take);
    ask();
  });
};

export default () => {
  /** @type {Promise<ReturnType<typeof import("./src/live.js").connect>>} */
  let store;
  return {
    /** @param {{ model: Model }} widget */
    initialize({ model }) {
      store = front(model).then((module) => module.connect(model));
    },
    /** @param {{ el: HTMLElement }} place */
    render({ el }) {
      el.textContent = "Waiting for the kernel to send the live view…";
      let gone = false;
      /** @type {(() => void) | undefined} */
      let leave;
      store
        .then((ready) => {
          if (!gone) leave = ready.show(el);
        })
        .catch((failure) => {
          el.textContent = `The live view could not start: ${failure}`;
        });
      return () => {
        gone = true;
        leave?.();
      };
    },
  };
};
