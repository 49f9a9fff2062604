//! Typed ids, all registered here: a number that cannot be mistaken for another kind of number.
//!
//! In JSON an id is a short string with its kind (`"cam_12"`); in binary forms a `u32`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// The text was no id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not an id of the form {prefix}_NUMBER")]
pub struct IdError {
    /// What was given, cut to 40 characters.
    pub text: String,
    /// The prefix that ids of this kind have.
    pub prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u32);
        impl $name {
            /// The prefix of this kind in text form.
            pub const PREFIX: &'static str = $prefix;
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}_{}", $prefix, self.0) }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix).and_then(|rest| rest.strip_prefix('_'))
                    .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
                    .and_then(|digits| digits.parse().ok()).map($name)
                    .ok_or_else(|| IdError { text: text.chars().take(40).collect(), prefix: $prefix })
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { s.serialize_u32(self.0) }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    String::deserialize(d)?.parse().map_err(de::Error::custom)
                } else {
                    u32::deserialize(d).map($name)
                }
            }
        }
    )*};
}

ids! {
    /// A web site or app of the publisher.
    SiteId "site";
    /// A place on a site where an ad can appear (OpenRTB `imp`).
    PlacementId "plc";
    /// The account that books and is billed.
    AdvertiserId "adv";
    /// A person or organisation who is sponsor (for whom) or payer (who pays).
    PartyId "party";
    /// A campaign: objective, budget, flight, declaration.
    CampaignId "cam";
    /// An ad set: targeting, bid, pacing, cap.
    AdSetId "set";
    /// An ad: landing page and versions.
    AdId "ad";
    /// One uploaded ad, or one combination of a template's assets.
    VersionId "ver";
    /// The publisher's own audience segment.
    SegmentId "seg";
    /// Somebody who can sign in.
    UserId "usr";
    /// An API token.
    TokenId "tok";
    /// An election, referendum or legislative process that the publisher keeps.
    ElectionId "vote";
    /// A report of a possibly non-compliant ad.
    ReportId "report";
    /// A grouping of sponsors that the publisher keeps.
    GroupingId "grp";
    /// A per-person key under which personal data in the journal is encrypted.
    PersonKeyId "key";
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn text_form_round_trips_and_refuses_other_kinds() {
        assert_eq!("cam_12".parse::<CampaignId>(), Ok(CampaignId(12)));
        assert_eq!(CampaignId(12).to_string(), "cam_12");
        for bad in ["cam_", "cam_x", "cam12", "set_12", "cam_+1", "cam_99999999999", "", "cam_1 "] {
            assert!(bad.parse::<CampaignId>().is_err(), "{bad}");
        }
        assert_eq!(serde_json::to_string(&AdSetId(3)).unwrap(), "\"set_3\"");
    }
}
