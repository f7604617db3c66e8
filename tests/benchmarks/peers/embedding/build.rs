//! The program finds the interpreter's library where the interpreter is that it was built for.

fn main() {
    pyo3_build_config::add_libpython_rpath_link_args();
}
