//! Prints the module of a lock file: `module calculator.schema.json`.
#![allow(clippy::print_stdout, reason = "a program")]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which lock file?")?;
    let lock = pycrust_schema::Lock::parse(&std::fs::read_to_string(&path)?, &path)?;
    print!("{}", pycrust_schema::rust_module(&lock));
    Ok(())
}
