// The only script that a notebook file may come to hold: it asks the kernel for the front end, once a page.
// The front end itself travels as a message, so that no notebook grows by a bundle of it.
const BUNDLE = "@BUNDLE@";
const loaded = (globalThis.pycrustLiveViews ??= new Map());

// Must not wait: anywidget holds every message to a model back until `initialize` has returned.
const front = (model) => {
  if (loaded.has(BUNDLE)) return Promise.resolve(loaded.get(BUNDLE));
  return new Promise((resolve, reject) => {
    const ask = () => model.send({ kind: "code" });
    const again = setInterval(ask, 3000);
    const take = async (message, buffers) => {
      if (message?.kind !== "code" || !buffers?.length) return;
      model.off("msg:custom", take);
      clearInterval(again);
      const url = URL.createObjectURL(new Blob([buffers[0]], { type: "text/javascript" }));
      try {
        loaded.set(BUNDLE, await import(url));
        resolve(loaded.get(BUNDLE));
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
  let store;
  return {
    initialize({ model }) {
      store = front(model).then((module) => module.connect(model));
    },
    render({ model, el }) {
      el.textContent = "Waiting for the kernel to send the live view…";
      let gone = false;
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
