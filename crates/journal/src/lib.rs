//! Append-only journal: append, read from a position, seal, recover. Refuses to know what an event means.
