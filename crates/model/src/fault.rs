//! What is wrong with a booking, field by field. A refusal names every fault, never only the first.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One fault of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Path of the field in the request: `targeting[0].values`.
    pub field: String,
    /// Stable machine word: `missing`, `too_long`, `unknown`, `contradiction` ...
    pub code: String,
    /// What to do about it, in plain words.
    pub message: String,
}

/// Every fault found so far; an empty list is a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// No faults yet.
    pub fn new() -> Faults {
        Faults::default()
    }
    /// Adds one.
    pub fn add(&mut self, field: impl Into<String>, code: &str, message: impl Into<String>) {
        self.0.push(Fault { field: field.into(), code: code.into(), message: message.into() });
    }
    /// Adds one when `bad`.
    pub fn when(&mut self, bad: bool, field: impl Into<String>, code: &str, message: impl Into<String>) {
        if bad {
            self.add(field, code, message);
        }
    }
    /// Text present and at most `max` characters, without control characters.
    pub fn text(&mut self, field: &str, text: &str, max: usize) {
        if text.trim().is_empty() {
            self.add(field, "missing", "Please fill this in.");
        }
        self.optional_text(field, text, max);
    }
    /// Like [`Faults::text`], but may be empty.
    pub fn optional_text(&mut self, field: &str, text: &str, max: usize) {
        let count = text.chars().count();
        if count > max {
            self.add(field, "too_long", format!("At most {max} characters; this has {count}."));
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            self.add(field, "control_character", "Contains a control character; please retype it.");
        }
    }
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// `Ok` when nothing was found.
    pub fn into_result(self) -> Result<(), Faults> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}{}: {}", fault.field, fault.message)?;
        }
        Ok(())
    }
}
impl std::error::Error for Faults {}
