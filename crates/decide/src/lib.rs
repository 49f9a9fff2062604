//! The decision: one ad request in, one decision out. Refuses IO, a clock or randomness of its own, async, SQL, markup.
