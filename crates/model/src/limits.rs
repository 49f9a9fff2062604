//! Everything has a limit, and it stands here with its number.

/// Longest name of anything that is booked, in characters.
pub const NAME_CHARS_MAX: usize = 200;
/// Longest free text (notes, reasons, legal texts), in characters.
pub const TEXT_CHARS_MAX: usize = 4_000;
/// Longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// Clauses in one targeting.
pub const CLAUSES_COUNT_MAX: usize = 32;
/// Values in one targeting clause.
pub const CLAUSE_VALUES_COUNT_MAX: usize = 2_000;
/// Longest targeting value or request attribute, in bytes.
pub const VALUE_BYTES_MAX: usize = 256;
/// Sizes of one placement.
pub const SIZES_COUNT_MAX: usize = 16;
/// Placements in one decision request.
pub const REQUEST_PLACEMENTS_COUNT_MAX: usize = 16;
/// Requests in one batch.
pub const BATCH_REQUESTS_COUNT_MAX: usize = 64;
/// Key-value pairs in one request.
pub const REQUEST_KEY_VALUES_COUNT_MAX: usize = 64;
/// Keywords, topics or segments in one request (each).
pub const REQUEST_VALUES_COUNT_MAX: usize = 64;
/// Events in one beacon.
pub const BEACON_EVENTS_COUNT_MAX: usize = 64;
/// Body of a decision request or beacon, in bytes.
pub const DELIVERY_BODY_BYTES_MAX: usize = 64 * 1024;
/// Body of a batch of decision requests, in bytes.
pub const BATCH_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Body of a booking command, in bytes.
pub const COMMAND_BODY_BYTES_MAX: usize = 1024 * 1024;
/// One uploaded file (image, HTML bundle), in bytes.
pub const UPLOAD_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Weight of one creative as served, in bytes, unless the placement says less.
pub const CREATIVE_WEIGHT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Frequency caps on one ad set.
pub const CAPS_COUNT_MAX: usize = 8;
/// Origins that one ad's content security policy may list.
pub const ORIGINS_COUNT_MAX: usize = 20;
/// Largest budget or amount: 10^12 currency units in micros would overflow nothing, but no booking needs it.
pub const AMOUNT_MICROS_MAX: i64 = 1_000_000_000_000_000;
/// Largest price per thousand or per action, in micros (one million units).
pub const PRICE_MICROS_MAX: i64 = 1_000_000_000_000;
/// Commands in one request.
pub const COMMANDS_COUNT_MAX: usize = 10_000;
/// Versions of one ad set that a decision draws from.
pub const VERSIONS_PER_AD_SET_COUNT_MAX: usize = 1_000_000;
/// How long an impression counts after its decision, in milliseconds (1 h).
pub const IMPRESSION_EXPIRY_MS: i64 = 3_600_000;
/// How long a click counts after its decision, in milliseconds (24 h).
pub const CLICK_EXPIRY_MS: i64 = 86_400_000;
/// How long a conversion counts after its click, in milliseconds (7 days).
pub const CONVERSION_WINDOW_MS: i64 = 7 * 86_400_000;
/// Conversions of one click that are counted (different actions or orders).
pub const CONVERSIONS_PER_CLICK_COUNT_MAX: usize = 16;
