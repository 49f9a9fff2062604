//! One function for each public parser, to be given any bytes (docs/FUZZING.md). Each must come back, whatever the
//! bytes, and holds what a parser promises beside: what was read is written the same way again, and is read the same.
//!
//! Plain functions, so that the suite runs them on stable over `fuzz/corpus`, and libFuzzer over what it finds. Refuses
//! to write anything.

mod asked;
mod kept;
mod world;

pub use asked::{
    beacon, booking_body, command, configuration, creative, decision_request, image, open_bandit, targeting,
};
pub use kept::{checkpoint, click_id, event, frame, tables, ticket_bytes, ticket_text};
pub use world::{KEY, TICKET, checkpoint_of_world, set_up};

/// A parser under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name: the folder in `fuzz/corpus`, the program in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// What takes the bytes. A panic is a bug.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident)*) => {
        /// Every target, in order of name.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $name }),*];
    };
}
targets! {
    beacon booking_body checkpoint click_id command configuration creative decision_request event frame image
    open_bandit tables targeting ticket_bytes ticket_text
}
