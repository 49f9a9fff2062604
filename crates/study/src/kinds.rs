//! Government bodies and companies, told by their names, each time with the reason.
//!
//! A heuristic for filtering, not a register: the reason is shown so that a reader can disagree, and a
//! grouping file's `kind` column wins over it.

use crate::text;
use serde::{Deserialize, Serialize};

/// What kind of advertiser somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A public authority.
    Government,
    /// A company.
    Commercial,
}

impl Kind {
    /// Reads the word.
    pub fn parse(text: &str) -> Option<Kind> {
        match text.trim() {
            "government" => Some(Kind::Government),
            "commercial" => Some(Kind::Commercial),
            _ => None,
        }
    }
    /// The word.
    pub fn code(self) -> &'static str {
        match self {
            Kind::Government => "government",
            Kind::Commercial => "commercial",
        }
    }
}

const GOVERNMENT_STARTS: [&str; 25] = [
    "ministerie",
    "ministry of",
    "provincie",
    "gemeente",
    "waterschap",
    "hoogheemraadschap",
    "wetterskip",
    "department of",
    "city of",
    "county of",
    "state of",
    "town of",
    "village of",
    "government of",
    "bundesministerium",
    "bundesregierung",
    "landesregierung",
    "stadt",
    "ville de",
    "rijkswaterstaat",
    "rijksoverheid",
    "european commission",
    "european parliament",
    "ministere",
    "office of the governor",
];
const GOVERNMENT_PARTS: [&str; 11] = [
    "us house of representatives",
    "u s house of representatives",
    "department of health",
    "department of",
    "public health",
    "veiligheidsregio",
    "secretary of state",
    "lieutenant governors office",
    "governors office",
    "waterschappen",
    "environmental protection agency",
];
const COMPANY_FORMS: [&str; 14] = [
    "llc",
    "ltd",
    "limited",
    "gmbh",
    "ag",
    "bv",
    "nv",
    "sas",
    "srl",
    "spa",
    "plc",
    "corp",
    "corporation",
    "kg",
];
const POLITICAL_WORDS: [&str; 22] = [
    "pac",
    "committee",
    "congress",
    "senate",
    "president",
    "governor",
    "party",
    "partij",
    "partei",
    "elect",
    "campaign",
    "democrats",
    "democratic",
    "republican",
    "republicans",
    "action",
    "vote",
    "voters",
    "union",
    "friends",
    "citizens",
    "for",
];

/// The kind a name tells, with the reason.
pub fn classify(name: &str) -> Option<(Kind, String)> {
    let plain = text::plain(name);
    if let Some(start) = GOVERNMENT_STARTS
        .iter()
        .find(|s| plain.strip_prefix(**s).is_some_and(|r| r.is_empty() || r.starts_with(' ')))
    {
        return Some((Kind::Government, format!("the name begins with \"{start}\"")));
    }
    let padded = format!(" {plain} ");
    if let Some(part) = GOVERNMENT_PARTS.iter().find(|p| padded.contains(&format!(" {p} "))) {
        return Some((Kind::Government, format!("the name contains \"{part}\"")));
    }
    let words: Vec<&str> = plain.split(' ').collect();
    let form = words.last().filter(|w| COMPANY_FORMS.contains(*w))?;
    if words.iter().any(|w| POLITICAL_WORDS.contains(w)) {
        return None;
    }
    Some((
        Kind::Commercial,
        format!("the name ends with the company form \"{form}\" and has no political word"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_reasons() {
        let kind = |name: &str| classify(name).map(|k| k.0);
        assert_eq!(kind("Ministerie van Binnenlandse Zaken"), Some(Kind::Government));
        assert_eq!(kind("Provincie Noord-Brabant"), Some(Kind::Government));
        assert_eq!(kind("REP. JASON CROW - U.S. HOUSE OF REPRESENTATIVES"), Some(Kind::Government));
        assert_eq!(kind("4Ocean, LLC"), Some(Kind::Commercial));
        assert_eq!(kind("Stadtwerke GmbH"), Some(Kind::Commercial));
        assert_eq!(kind("Friends of Jane Doe LLC"), None);
        assert_eq!(kind("Beto for Texas"), None);
    }
}
