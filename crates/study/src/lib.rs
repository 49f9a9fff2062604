//! Study of other platforms' ad archives.
