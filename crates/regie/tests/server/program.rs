//! The program itself, as an operator or an outsider runs it beside a server.

use crate::common::Harness;
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Child, Command},
};

/// The binary, to be given arguments.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_regie"))
}
/// Runs it with `--json`: exit code, and its JSON (what it said, where that is none).
pub fn regie(args: &[&str]) -> (i32, Value) {
    let output = program().arg("--json").args(args).output().unwrap();
    let said =
        || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| json!({ "said": said() }));
    (output.status.code().unwrap(), json)
}
/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
/// The verifier key of a server's log, as an argument.
pub fn key(harness: &Harness) -> String {
    harness.app.log.verifiers().remove(0).to_string()
}

/// A process that is ended with the test.
pub struct Ended(pub Child);
impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
