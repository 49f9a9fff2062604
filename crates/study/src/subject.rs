//! Subjects: whoever a row of an archive is about, exactly as the archive wrote it.
//!
//! A subject is never changed or merged when stored; grouping happens when a question is asked.

/// Most bytes of one field that are kept; archives hold no longer name.
pub const FIELD_BYTES_MAX: usize = 4_096;

/// The words by which a row names its advertiser; every field as published, empty when absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Subject<'a> {
    /// Platform code: `meta`, `google`, `snap`, `regie`, or the mapping file's.
    pub platform: &'a str,
    /// The platform's own id: page id, advertiser id.
    pub account: &'a str,
    /// Page or advertiser name.
    pub name: &'a str,
    /// Disclaimer, byline, paying advertiser.
    pub payer: &'a str,
    /// Public identifiers, as published: `FEC ID C00618371, EIN ID 81-0000000`.
    pub ids: &'a str,
}

impl<'a> Subject<'a> {
    /// Appends the stored form: five texts, each after its length (u16 LE).
    pub fn encode(&self, out: &mut Vec<u8>) {
        for field in [self.platform, self.account, self.name, self.payer, self.ids] {
            let field = cut(field);
            out.extend((field.len() as u16).to_le_bytes());
            out.extend_from_slice(field.as_bytes());
        }
    }
    /// Reads one stored subject from the front of `blob`; gives the rest.
    pub fn decode(blob: &'a [u8]) -> Option<(Subject<'a>, &'a [u8])> {
        let mut fields = [""; 5];
        let mut rest = blob;
        for field in &mut fields {
            let len = usize::from(u16::from_le_bytes([*rest.first()?, *rest.get(1)?]));
            *field = std::str::from_utf8(rest.get(2..2 + len)?).ok()?;
            rest = &rest[2 + len..];
        }
        let [platform, account, name, payer, ids] = fields;
        Some((Subject { platform, account, name, payer, ids }, rest))
    }
    /// A key under which equal subjects meet; 128 bits of BLAKE3 over the stored form.
    pub fn key(encoded: &[u8]) -> u128 {
        let hash = blake3::hash(encoded);
        let mut first = [0; 16];
        first.copy_from_slice(&hash.as_bytes()[..16]);
        u128::from_le_bytes(first)
    }
    /// The name to show: the name, else the payer, else the account.
    pub fn label(&self) -> &'a str {
        [self.name, self.payer, self.account]
            .into_iter()
            .find(|t| !t.trim().is_empty())
            .unwrap_or("(no name)")
    }
}

fn cut(text: &str) -> &str {
    if text.len() <= FIELD_BYTES_MAX {
        return text;
    }
    let mut end = FIELD_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A public identifier taken out of a published list, normalised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicId {
    /// `fec`, `ein`, or another scheme in lower case.
    pub scheme: String,
    /// Letters and digits only, upper case.
    pub value: String,
}

/// Reads a published list of identifiers: `FEC ID C00495861, EIN ID 27-1937961`.
pub fn public_ids(text: &str) -> Vec<PublicId> {
    text.split([',', ';', '|']).filter_map(one_public_id).collect()
}

fn one_public_id(text: &str) -> Option<PublicId> {
    let text = text.trim();
    let clean =
        |t: &str| t.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let lower = text.to_ascii_lowercase();
    for (prefix, scheme) in [("fec id", "fec"), ("ein id", "ein"), ("fec", "fec"), ("ein", "ein")] {
        if lower.starts_with(prefix) {
            let value = clean(text.get(prefix.len()..)?);
            return (value.len() >= 6).then(|| PublicId { scheme: scheme.into(), value });
        }
    }
    let bytes = text.as_bytes();
    let digits = bytes.iter().skip(1).all(u8::is_ascii_digit);
    if bytes.len() == 9 && digits && matches!(bytes[0], b'C' | b'c') {
        return Some(PublicId { scheme: "fec".into(), value: clean(text) });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_form_comes_back() {
        let subject =
            Subject { platform: "meta", account: "12", name: "Bündnis ≤", payer: "", ids: "FEC ID C1" };
        let mut bytes = Vec::new();
        subject.encode(&mut bytes);
        subject.encode(&mut bytes);
        let (first, rest) = Subject::decode(&bytes).unwrap();
        assert_eq!(first, subject);
        assert_eq!(Subject::decode(rest).unwrap().0, subject);
        for end in 0..rest.len() {
            assert!(Subject::decode(&rest[..end]).is_none());
        }
    }

    #[test]
    fn identifiers_are_normalised() {
        let ids = public_ids("FEC ID C00495861, EIN ID 27-1937961;Registered in US-AZ 201800061, C00484642");
        let shown: Vec<_> = ids.iter().map(|i| format!("{}:{}", i.scheme, i.value)).collect();
        assert_eq!(shown, ["fec:C00495861", "ein:271937961", "fec:C00484642"]);
    }
}
