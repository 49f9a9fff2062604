//! What a version shows, as a document kept by its hash outside the journal; events carry only the hash.
//!
//! Macros in markup and landing addresses: `{CLICK_URL}`, `{CACHEBUSTER}`, `{PLACEMENT}`.

use crate::{Faults, limits::*};
use serde::{Deserialize, Serialize};
use std::fmt;

/// BLAKE3 hash of an object (creative document, asset). 64 hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ObjectHash(pub [u8; 32]);
impl ObjectHash {
    /// Hash of bytes.
    pub fn of(bytes: &[u8]) -> ObjectHash {
        ObjectHash(*blake3::hash(bytes).as_bytes())
    }
    /// Reads 64 hex digits.
    pub fn parse(text: &str) -> Option<ObjectHash> {
        blake3::Hash::from_hex(text).ok().map(|h| ObjectHash(*h.as_bytes()))
    }
    /// The first 16 bytes, as a ticket carries them.
    pub fn short(&self) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&self.0[..16]);
        short
    }
}
impl fmt::Display for ObjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
impl fmt::Debug for ObjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for ObjectHash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for ObjectHash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        ObjectHash::parse(&text).ok_or_else(|| serde::de::Error::custom("an object hash is 64 hex digits"))
    }
}

/// Width and height in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// CSS pixels.
    pub width: u16,
    /// CSS pixels.
    pub height: u16,
}

/// An uploaded file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Where its bytes are.
    pub hash: ObjectHash,
    /// Type found by content, not by name: `image/png`, `image/jpeg`, `image/gif`, `image/webp`.
    pub media_type: String,
    /// Weight in bytes.
    pub size_bytes: u32,
    /// Pixels.
    pub size: Size,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Creative {
    /// One picture with alternative text.
    Image {
        /// The picture.
        asset: Asset,
        /// Text for those who do not see it.
        alt: String,
    },
    /// A self-contained HTML document, run in a sandboxed frame.
    Html {
        /// The markup.
        markup: String,
        /// The size it is made for.
        size: Size,
    },
    /// Parts that the page lays out.
    Native {
        /// Headline.
        title: String,
        /// Body text.
        body: String,
        /// Text of the button.
        call_to_action: String,
        /// Picture, optional.
        #[serde(default)]
        asset: Option<Asset>,
        /// Alternative text of the picture.
        #[serde(default)]
        alt: String,
    },
    /// Words only.
    Text {
        /// Headline.
        title: String,
        /// Body text.
        body: String,
    },
}

impl Creative {
    /// The word for its kind: `image`, `html`, `native`, `text`.
    pub fn kind(&self) -> &'static str {
        match self {
            Creative::Image { .. } => "image",
            Creative::Html { .. } => "html",
            Creative::Native { .. } => "native",
            Creative::Text { .. } => "text",
        }
    }
    /// Pixels, where the kind has a fixed size.
    pub fn size(&self) -> Option<Size> {
        match self {
            Creative::Image { asset, .. } => Some(asset.size),
            Creative::Html { size, .. } => Some(*size),
            Creative::Native { .. } | Creative::Text { .. } => None,
        }
    }
    /// Bytes that a page loads for it.
    pub fn weight_bytes(&self) -> usize {
        match self {
            Creative::Image { asset, alt } => asset.size_bytes as usize + alt.len(),
            Creative::Html { markup, .. } => markup.len(),
            Creative::Native { title, body, call_to_action, asset, alt } => {
                title.len()
                    + body.len()
                    + call_to_action.len()
                    + alt.len()
                    + asset.as_ref().map_or(0, |a| a.size_bytes as usize)
            }
            Creative::Text { title, body } => title.len() + body.len(),
        }
    }
    /// The uploaded files that it shows.
    pub fn assets(&self) -> Vec<&Asset> {
        match self {
            Creative::Image { asset, .. } => vec![asset],
            Creative::Native { asset, .. } => asset.iter().collect(),
            Creative::Html { .. } | Creative::Text { .. } => Vec::new(),
        }
    }
    /// Adds every fault found. `origins` are the third-party origins that the ad is allowed to load from.
    pub fn check(&self, field: &str, origins: &[String], faults: &mut Faults) {
        match self {
            Creative::Image { alt, .. } => faults.text(&format!("{field}.alt"), alt, NAME_CHARS_MAX),
            Creative::Html { markup, size } => check_html(field, markup, *size, origins, faults),
            Creative::Native { title, body, call_to_action, asset, alt } => {
                faults.text(&format!("{field}.title"), title, NAME_CHARS_MAX);
                faults.optional_text(&format!("{field}.body"), body, TEXT_CHARS_MAX);
                faults.optional_text(&format!("{field}.call_to_action"), call_to_action, NAME_CHARS_MAX);
                let silent = asset.is_some() && alt.trim().is_empty();
                faults.when(silent, format!("{field}.alt"), "missing", "Describe the picture in words.");
            }
            Creative::Text { title, body } => {
                faults.text(&format!("{field}.title"), title, NAME_CHARS_MAX);
                faults.optional_text(&format!("{field}.body"), body, TEXT_CHARS_MAX);
            }
        }
        let weight = self.weight_bytes();
        let heavy = format!("The creative weighs {weight} bytes; at most {CREATIVE_WEIGHT_BYTES_MAX}.");
        faults.when(weight > CREATIVE_WEIGHT_BYTES_MAX, field, "too_heavy", heavy);
    }
    /// The canonical bytes that are hashed and stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn check_html(field: &str, markup: &str, size: Size, origins: &[String], faults: &mut Faults) {
    let at = format!("{field}.markup");
    faults.when(markup.trim().is_empty(), &at, "missing", "The HTML bundle is empty.");
    let flat = size.width == 0 || size.height == 0;
    faults.when(flat, format!("{field}.size"), "missing", "Give width and height in pixels.");
    faults.when(
        !markup.contains("{CLICK_URL}"),
        &at,
        "missing_macro",
        "Link to {CLICK_URL}, or clicks cannot be counted.",
    );
    let lower = markup.to_lowercase();
    faults.when(
        lower.contains("http://"),
        &at,
        "not_tls",
        "Everything must be loaded over https://; this contains http://.",
    );
    for origin in external_origins(&lower) {
        let known = origins.iter().any(|o| o.eq_ignore_ascii_case(&origin));
        let why = format!("Loads from {origin}, which is not in this ad's list of third-party origins.");
        faults.when(!known, &at, "third_party", why);
    }
}

/// Origins (`https://host`) named anywhere in lower-case markup.
fn external_origins(lower: &str) -> Vec<String> {
    let mut found = Vec::new();
    for piece in lower.split("https://").skip(1) {
        let host: String =
            piece.chars().take_while(|c| c.is_ascii_alphanumeric() || ".-:".contains(*c)).collect();
        let origin = format!("https://{host}");
        if !host.is_empty() && !found.contains(&origin) {
            found.push(origin);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn html_bundles_are_checked_for_tls_macro_and_third_parties() {
        let creative = Creative::Html {
            markup: "<img src=http://x.example/a><script src=https://cdn.example/s.js>".into(),
            size: Size { width: 300, height: 250 },
        };
        let mut faults = Faults::new();
        creative.check("creative", &[], &mut faults);
        let codes: Vec<_> = faults.0.iter().map(|f| f.code.as_str()).collect();
        assert_eq!(codes, ["missing_macro", "not_tls", "third_party"]);
    }
}
