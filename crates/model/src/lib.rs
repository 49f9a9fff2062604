//! The words of Regie.
