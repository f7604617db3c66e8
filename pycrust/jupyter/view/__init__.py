"""What stands behind the live view: publisher, wire form, static forms and the bundled front end.

`src` holds the front end's source, `dist` what `npm run build` makes of it, `loader.js` the few lines that
travel in the widget's state.
"""
