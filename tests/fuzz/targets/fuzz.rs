//! libFuzzer's loop around the target that `PYCRUST_FUZZ_TARGET` names.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<pycrust_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("PYCRUST_FUZZ_TARGET").unwrap_or_default();
    pycrust_fuzz::target(&name).unwrap_or_else(|| panic!("PYCRUST_FUZZ_TARGET={name:?} is no target"))
});

fuzz_target!(|data: &[u8]| TARGET(data));
