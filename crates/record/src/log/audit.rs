//! What a payer checks an invoice by, without the server: the invoice as the publisher signed it, the payer's leaves of each
//! day with their events, and proofs that the public log has exactly these days.
//!
//! A difference between what is asked and what was published is evidence, since both are signed by one key. Refuses an
//! invoice that is not signed, a day twice, and a day outside its month.

use super::{
    day::{BillingEvent, ChargedFor, DayCommitment, DayLeaf, events_root, sums_of},
    hash::{Hash, leaf_hash},
    leaf::{Envelope, KIND_DAY},
    note::{Note, NoteError, Signatory, VerifierKey},
    policy::{Policy, Trust},
    proof::TlogProof,
    tree::verify_inclusion,
};
use regie_model::money::div_half_even;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the file.
pub const AUDIT_VERSION: u32 = 1;
/// First line of the note that signs an invoice.
pub const INVOICE_HEADER: &str = "regie-invoice/v1";

/// A line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its ad set.
    pub ad_set: String,
    /// What was charged for.
    pub kind: ChargedFor,
    /// Events charged more than nothing.
    pub quantity_count: u64,
    /// Charged, in 10^-9 of a unit.
    pub gross_nanos: i64,
    /// Given back, in 10^-9 of a unit.
    pub credited_nanos: i64,
    /// Both, rounded half to even to the minor unit, in 10^-6 of a unit.
    pub net_micros: i64,
}

/// An invoice, as the payer got it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// Its number; none for a statement of a month that is not closed.
    pub number: Option<u64>,
    /// Whose.
    pub advertiser: String,
    /// Month of the account's zone, such as `2026-11`.
    pub month: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Digits of the minor unit.
    pub minor_digits: u32,
    /// By ad set and kind.
    pub lines: Vec<Line>,
    /// Sum of the lines, in 10^-6 of a unit, without tax.
    pub net_micros: i64,
}

/// One of the payer's leaves, with everything that proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvedDay {
    /// The day's leaf, as in the tree.
    pub leaf: String,
    /// Seed of its events' salts.
    pub seed: Hash,
    /// Its events.
    pub events: Vec<BillingEvent>,
    /// Its place in the day's tree.
    pub index: u64,
    /// From its sibling up to the day's root.
    pub path: Vec<Hash>,
    /// The log's entry of the day.
    pub entry: String,
    /// Proof of that entry, as a tlog-proof.
    pub proof: String,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFile {
    /// [`AUDIT_VERSION`].
    pub v: u32,
    /// The invoice.
    pub invoice: Invoice,
    /// The note that signs it.
    pub signed: String,
    /// The payer's days.
    pub days: Vec<ProvedDay>,
}

/// The note's text for an invoice: it names every day that the invoice rests on, so that none can be left out on the way and
/// the gap be called evidence.
fn invoice_text(origin: &str, invoice: &Invoice, days: &[ProvedDay]) -> String {
    let bytes = serde_json::to_vec(invoice).unwrap_or_default();
    let leaves: Vec<u8> = days.iter().flat_map(|day| leaf_hash(day.leaf.as_bytes()).0).collect();
    let (invoice, leaves) = (Hash::of(&bytes).to_base64(), Hash::of(&leaves).to_base64());
    format!("{INVOICE_HEADER}\n{origin}\n{invoice}\n{}\n{leaves}\n", days.len())
}
/// Signs an invoice, and the days that it rests on, with the log's key.
///
/// # Errors
/// A key whose name cannot stand in a note.
pub fn sign_invoice(invoice: &Invoice, days: &[ProvedDay], by: &Signatory) -> Result<Note, NoteError> {
    Note::sign(&invoice_text(by.verifier().name(), invoice, days), &[by])
}

/// What a payer's check came to.
#[derive(Clone, Debug)]
pub struct AuditReport {
    /// What differs, in plain words.
    pub differences: Vec<String>,
    /// Whether every difference follows from what the publisher signed, so that the file itself is evidence of it.
    pub is_evidence: bool,
    /// Days that were checked.
    pub days_count: u64,
    /// Events that were counted.
    pub events_count: u64,
    /// Whether every checkpoint was witnessed by the payer's quorum.
    pub witnessed: bool,
}

/// Why nothing was checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// No such file.
    #[error("this is no audit file: {0}")]
    Malformed(String),
    /// The publisher did not sign this invoice, or not this log's.
    #[error("the invoice is not signed by the log: {0}")]
    Unsigned(NoteError),
}

/// Checks an audit file. `paid_micros`: what the payer was really asked for, without tax, where that is to be compared too.
///
/// # Errors
/// [`AuditError`].
pub fn audit(text: &str, policy: &Policy, paid_micros: Option<i64>) -> Result<AuditReport, AuditError> {
    let file: AuditFile = serde_json::from_str(text).map_err(|e| AuditError::Malformed(e.to_string()))?;
    if file.v != AUDIT_VERSION {
        return Err(AuditError::Malformed(format!("version {} is not known here", file.v)));
    }
    let origin = signer_of(&file, &policy.log_keys()).map_err(AuditError::Unsigned)?;
    let mut check =
        Check { policy, origin, report: AuditReport::new(), seen: BTreeSet::new(), sums: BTreeMap::new() };
    for day in &file.days {
        if let Err(why) = check.day(day, &file.invoice) {
            // What is not proved is no evidence: the file may have been changed on the way.
            check.report.is_evidence = false;
            check.report.differences.push(why);
        }
    }
    check.lines(&file.invoice);
    if let Some(paid) = paid_micros.filter(|paid| *paid != file.invoice.net_micros) {
        check.report.is_evidence = false;
        let asked = file.invoice.net_micros;
        check.report.differences.push(format!("the invoice asks for {asked} micros, and {paid} were paid"));
    }
    check.report.is_evidence &= !check.report.differences.is_empty();
    Ok(check.report)
}

fn signer_of(file: &AuditFile, log: &[VerifierKey]) -> Result<String, NoteError> {
    let note = Note::parse(file.signed.as_bytes())?;
    let by = note.verify(log)?;
    let fits = by.iter().find(|key| note.text == invoice_text(key.name(), &file.invoice, &file.days));
    let key = fits.ok_or(NoteError::Malformed("the signature is of another invoice"))?;
    Ok(key.name().to_owned())
}

impl AuditReport {
    fn new() -> AuditReport {
        AuditReport {
            differences: Vec::new(),
            is_evidence: true,
            days_count: 0,
            events_count: 0,
            witnessed: true,
        }
    }
}

struct Check<'a> {
    policy: &'a Policy,
    origin: String,
    report: AuditReport,
    seen: BTreeSet<(String, String, Option<String>)>,
    /// Published: (ad set, kind) to (count, gross, credited).
    sums: BTreeMap<(String, ChargedFor), (u64, i128, i128)>,
}

impl Check<'_> {
    fn day(&mut self, day: &ProvedDay, invoice: &Invoice) -> Result<(), String> {
        let leaf = DayLeaf::read(day.leaf.as_bytes()).ok_or("a day's leaf cannot be read")?;
        let name = format!("{} {} {}", leaf.day, leaf.ad_set, leaf.ad.as_deref().unwrap_or("(fee)"));
        let in_month = leaf.day.strip_prefix(&invoice.month).is_some_and(|rest| rest.starts_with('-'));
        if !in_month || leaf.currency != invoice.currency {
            return Err(format!("{name}: not of this month, or in another currency"));
        }
        if !self.seen.insert((leaf.day.clone(), leaf.ad_set.clone(), leaf.ad.clone())) {
            return Err(format!("{name}: stands twice"));
        }
        self.logged(day, &leaf, &name)?;
        self.report.days_count += 1;
        self.report.events_count += day.events.len() as u64;
        let fits = events_root(day.seed, &day.events) == leaf.events_root
            && sums_of(&day.events).is_ok_and(|sums| sums == leaf.sums)
            && leaf.events_count == day.events.len() as u64;
        for (kind, sums) in &leaf.sums {
            let row = self.sums.entry((leaf.ad_set.clone(), *kind)).or_default();
            row.0 += sums.charged_count;
            row.1 += i128::from(sums.gross_nanos);
            row.2 += i128::from(sums.credited_nanos);
        }
        if fits { Ok(()) } else { Err(format!("{name}: the events are not those that were published")) }
    }
    /// The leaf is in the day's tree, the day's root in the log, the log's checkpoint signed.
    fn logged(&mut self, day: &ProvedDay, leaf: &DayLeaf, name: &str) -> Result<(), String> {
        let fail = |what: &str| format!("{name}: {what}");
        let proof = TlogProof::parse(&day.proof).map_err(|e| fail(&e.to_string()))?;
        proof.verify(day.entry.as_bytes()).map_err(|e| fail(&e.to_string()))?;
        let judged = self.policy.judge(proof.checkpoint.to_string().as_bytes());
        let (checkpoint, _, trust) = judged.map_err(|e| fail(&e.to_string()))?;
        if checkpoint.origin != self.origin {
            return Err(fail("it is in another log than the invoice's"));
        }
        self.report.witnessed &= matches!(trust, Trust::Witnessed(_));
        let entry = Envelope::read(day.entry.as_bytes()).map_err(|e| fail(&e.to_string()))?;
        if entry.kind != KIND_DAY || entry.id != leaf.day {
            return Err(fail("the log's entry is of another day"));
        }
        let said: DayCommitment = entry.body_as().map_err(|e| fail(&e.to_string()))?;
        verify_inclusion(leaf_hash(day.leaf.as_bytes()), day.index, said.leaves_count, &day.path, said.root)
            .map_err(|e| fail(&e.to_string()))
    }
    /// Published sums against what is asked, line by line.
    fn lines(&mut self, invoice: &Invoice) {
        let mut differ = |what: String| self.report.differences.push(what);
        let mut total = 0i128;
        for line in &invoice.lines {
            let of = format!("{} {:?}", line.ad_set, line.kind);
            let (count, gross, credited) =
                self.sums.remove(&(line.ad_set.clone(), line.kind)).unwrap_or_default();
            if count != line.quantity_count {
                differ(format!("{of}: {} events are asked for, {count} were published", line.quantity_count));
            }
            if gross != i128::from(line.gross_nanos) || credited != i128::from(line.credited_nanos) {
                differ(format!(
                    "{of}: {} nanos are asked for and {} given back; {gross} and {credited} were published",
                    line.gross_nanos, line.credited_nanos
                ));
            }
            let net = half_even_micros(
                i128::from(line.gross_nanos) - i128::from(line.credited_nanos),
                invoice.minor_digits,
            );
            if net != i128::from(line.net_micros) {
                differ(format!("{of}: rounded half to even it is {net} micros, not {}", line.net_micros));
            }
            total += i128::from(line.net_micros);
        }
        if total != i128::from(invoice.net_micros) {
            differ(format!("the lines sum to {total} micros, not {}", invoice.net_micros));
        }
        for ((ad_set, kind), (count, gross, _)) in &self.sums {
            differ(format!(
                "{ad_set} {kind:?}: {count} events of {gross} nanos were published and are not on the invoice"
            ));
        }
    }
}

/// Nanos to micros, rounded half to even to the minor unit.
fn half_even_micros(nanos: i128, minor_digits: u32) -> i128 {
    let micros = 10i128.pow(6u32.saturating_sub(minor_digits));
    div_half_even(nanos, micros * 1_000) * micros
}
