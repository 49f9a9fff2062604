//! Trust policies (C2SP tlog-policy): whose logs, whose witnesses, and how many of them a verifier asks for.
//!
//! The policy belongs to the verifier, never to the publisher. Without a quorum a log can be consistent, but is
//! unwitnessed: [`Trust::Unwitnessed`] is never shown as "verified". Refuses names used before they are defined, and a
//! member listed twice.

use super::{
    checkpoint::Checkpoint,
    cosignature::{Witnessed, witnesses_of},
    note::{Note, NoteError, TYPE_COSIGNATURE, TYPE_ED25519, VerifierKey},
};
use std::collections::{BTreeMap, BTreeSet};

/// Lines of a policy at most.
const LINES_MAX: usize = 4_096;

/// A fault in a policy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the policy: {what}")]
pub struct PolicyError {
    /// From 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// A log or witness with where it is found, if told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its key.
    pub key: VerifierKey,
    /// Where it is found.
    pub url: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group { needed: usize, members: Vec<String> },
}

/// A policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Logs whose checkpoints are accepted.
    pub logs: Vec<Known>,
    /// Witnesses whose cosignatures count.
    pub witnesses: Vec<Known>,
    names: BTreeMap<String, Member>,
    /// `None` for `quorum none`.
    quorum: Option<String>,
}

/// How far a checkpoint is to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Signed by the log and cosigned by a quorum: "verified".
    Witnessed(Vec<Witnessed>),
    /// Signed by the log alone, or by too few witnesses: "consistent, unwitnessed".
    Unwitnessed(Vec<Witnessed>),
}
impl Trust {
    /// Whether the quorum is reached.
    pub fn is_witnessed(&self) -> bool {
        matches!(self, Trust::Witnessed(_))
    }
    /// Who cosigned.
    pub fn by(&self) -> &[Witnessed] {
        match self {
            Trust::Witnessed(by) | Trust::Unwitnessed(by) => by,
        }
    }
}

impl Policy {
    /// Only a log's key: nobody is asked to witness.
    pub fn of_log(key: VerifierKey) -> Policy {
        Policy { logs: vec![Known { key, url: None }], ..Policy::default() }
    }
    /// Reads a policy file.
    ///
    /// # Errors
    /// The first fault, with its line.
    pub fn parse(text: &str) -> Result<Policy, PolicyError> {
        let mut policy = Policy::default();
        let mut quorum = None;
        for (number, line) in text.split('\n').enumerate() {
            let fail = |what: String| PolicyError { line: number + 1, what };
            if number >= LINES_MAX {
                return Err(fail(format!("a policy has at most {LINES_MAX} lines")));
            }
            if line.bytes().any(|b| b < 0x20 && b != b'\t' || b == 0x7f) {
                return Err(fail("a control character".into()));
            }
            let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["quorum", name] if quorum.is_none() => {
                    if *name != "none" && !policy.names.contains_key(*name) {
                        return Err(fail(format!("`{name}` is not defined above")));
                    }
                    quorum = Some((*name != "none").then(|| (*name).to_owned()));
                }
                ["quorum", _] => return Err(fail("a second quorum line".into())),
                ["log", key] => policy.add_log(key, None).map_err(fail)?,
                ["log", key, url] => policy.add_log(key, Some(url)).map_err(fail)?,
                ["witness", name, key] => policy.add_witness(name, key, None).map_err(fail)?,
                ["witness", name, key, url] => policy.add_witness(name, key, Some(url)).map_err(fail)?,
                ["group", name, count, members @ ..] => {
                    policy.add_group(name, count, members).map_err(fail)?
                }
                [other, ..] => return Err(fail(format!("`{other}` is no line of a policy"))),
            }
        }
        let missing = || PolicyError { line: 0, what: "there is no quorum line".into() };
        policy.quorum = quorum.ok_or_else(missing)?;
        Ok(policy)
    }
    fn add_log(&mut self, key: &str, url: Option<&&str>) -> Result<(), String> {
        let key = VerifierKey::parse(key).map_err(|e| e.to_string())?;
        if key.kind() != TYPE_ED25519 {
            return Err("a log's key is of type 1".into());
        }
        add(&mut self.logs, key, url)
    }
    fn add_witness(&mut self, name: &str, key: &str, url: Option<&&str>) -> Result<(), String> {
        let key = VerifierKey::parse(key).map_err(|e| e.to_string())?;
        if key.kind() != TYPE_COSIGNATURE {
            return Err("a witness's key is of type 4".into());
        }
        self.define(name, Member::Witness(self.witnesses.len()))?;
        add(&mut self.witnesses, key, url)
    }
    fn add_group(&mut self, name: &str, count: &str, members: &[&str]) -> Result<(), String> {
        let needed = match count {
            "all" => Some(members.len()),
            "any" => Some(1),
            number => super::checkpoint::decimal(number).and_then(|n| usize::try_from(n).ok()),
        };
        let needed = needed.filter(|n| (1..=members.len()).contains(n));
        let needed = needed.ok_or("a group needs between one and all of its members")?;
        let mut used: BTreeSet<&String> = BTreeSet::new();
        for group in self.names.values() {
            if let Member::Group { members, .. } = group {
                used.extend(members);
            }
        }
        let mut own = BTreeSet::new();
        for member in members {
            if !self.names.contains_key(*member) {
                return Err(format!("`{member}` is not defined above"));
            }
            if used.contains(&(*member).to_owned()) || !own.insert(*member) {
                return Err(format!("`{member}` is a member already"));
            }
        }
        let members = members.iter().map(|m| (*m).to_owned()).collect();
        self.define(name, Member::Group { needed, members })
    }
    fn define(&mut self, name: &str, member: Member) -> Result<(), String> {
        if name == "none" || self.names.contains_key(name) {
            return Err(format!("`{name}` is taken"));
        }
        self.names.insert(name.to_owned(), member);
        Ok(())
    }
    /// Keys of its logs.
    pub fn log_keys(&self) -> Vec<VerifierKey> {
        self.logs.iter().map(|known| known.key.clone()).collect()
    }
    /// Keys of its witnesses.
    pub fn witness_keys(&self) -> Vec<VerifierKey> {
        self.witnesses.iter().map(|known| known.key.clone()).collect()
    }
    /// Reads a checkpoint and says how far it is to be believed.
    ///
    /// # Errors
    /// When no known log signed it, or a known key's signature is forged.
    pub fn judge(&self, bytes: &[u8]) -> Result<(Checkpoint, Note, Trust), NoteError> {
        let (checkpoint, note) = Checkpoint::open(bytes, &self.log_keys())?;
        let by = witnesses_of(&note, &self.witness_keys())?;
        let have: BTreeSet<usize> =
            by.iter().filter_map(|w| self.witnesses.iter().position(|known| known.key == w.key)).collect();
        let reached = self.quorum.as_ref().is_some_and(|name| self.reached(name, &have));
        let trust = if reached { Trust::Witnessed(by) } else { Trust::Unwitnessed(by) };
        Ok((checkpoint, note, trust))
    }
    /// Names are defined before they are used, so this ends.
    fn reached(&self, name: &str, have: &BTreeSet<usize>) -> bool {
        match self.names.get(name) {
            Some(Member::Witness(index)) => have.contains(index),
            Some(Member::Group { needed, members }) => {
                members.iter().filter(|member| self.reached(member, have)).count() >= *needed
            }
            None => false,
        }
    }
}
fn add(list: &mut Vec<Known>, key: VerifierKey, url: Option<&&str>) -> Result<(), String> {
    if list.iter().any(|known| known.key.public_bytes() == key.public_bytes()) {
        return Err("this key stands in the policy already".into());
    }
    list.push(Known { key, url: url.map(|url| (*url).to_owned()) });
    Ok(())
}
