//! What names in shared memory begin with: the user, the directory, the endpoint, the life.

use pycrust_protocol::name::{EndpointName, hash};
use rustix::process::getuid;

/// What every prefix of this user begins with.
pub(crate) fn user_prefix() -> String {
    format!("pyc{}_", getuid().as_raw())
}

/// Whether `prefix` is one of a worker that serves `name`. It may see the directory under another path, and its user by
/// another number, as in a container.
pub(crate) fn is_prefix_of(prefix: &str, name: &EndpointName) -> bool {
    name_in(prefix) == Some(&format!("{:08x}", name_hash(name)))
}

/// The part of a life's prefix that stands for the endpoint's name; `None` if it is no such prefix.
pub(crate) fn name_in(prefix: &str) -> Option<&str> {
    let hex = |part: &str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<_> = prefix.split('_').collect();
    let [user, directory, name, generation, ""] = parts[..] else { return None };
    let uid = user.strip_prefix("pyc")?;
    let valid = !uid.is_empty() && uid.bytes().all(|byte| byte.is_ascii_digit());
    (valid && [directory, name, generation].into_iter().all(hex)).then_some(name)
}

pub(crate) fn name_hash(name: &EndpointName) -> u32 {
    hash(name.as_str().as_bytes()) as u32
}
