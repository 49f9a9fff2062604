//! 512 versions in one piece of memory: numbers in rows, the little text there is behind one another.
//!
//! Pages are shared between the catalogue and the snapshots that decisions read; whoever changes one copies it first. A page of
//! an image stays where the image's bytes are until then: numbers and texts are read from there.
//! Refuses markup: a version is known by the hash of its creative.

use super::{Kept, Review, VersionState};
use crate::{
    AdId, UtcMs,
    booking::{Shape, Status, VersionRecord},
    creative::{ObjectHash, Size},
};
use bytes::Bytes;
use std::sync::Arc;

/// Versions in one page.
pub(super) const PAGE_COUNT: usize = 512;
/// Stands for "no text".
const NO_TEXT: u32 = u32::MAX;

/// What is served of a version, against what is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Approved {
    None,
    /// The creative and shape as booked.
    Same,
    /// An earlier one, in the page's `others`.
    Other,
}

/// One version, without its texts.
#[derive(Clone, Copy, Debug)]
struct Row {
    creative: ObjectHash,
    created_at: i64,
    changed_at: i64,
    ad: u32,
    weight: u32,
    /// 0: there is no such version.
    revision: u32,
    text_at: u32,
    width: u16,
    height: u16,
    kind: u8,
    status: u8,
    /// 0 pending, 1 approved, 2 rejected.
    review: u8,
    approved: Approved,
}
const ABSENT: Row = Row {
    creative: ObjectHash([0; 32]),
    created_at: 0,
    changed_at: 0,
    ad: 0,
    weight: 0,
    revision: 0,
    text_at: NO_TEXT,
    width: 0,
    height: 0,
    kind: 0,
    status: 0,
    review: 0,
    approved: Approved::None,
};

fn pack(shape: Shape) -> (u8, u16, u16) {
    match shape {
        Shape::Banner(size) => (0, size.width, size.height),
        Shape::Native => (1, 0, 0),
        Shape::Text => (2, 0, 0),
    }
}
fn unpack((kind, width, height): (u8, u16, u16)) -> Shape {
    match kind {
        0 => Shape::Banner(Size { width, height }),
        1 => Shape::Native,
        _ => Shape::Text,
    }
}
const STATUSES: [Status; 4] = [Status::Draft, Status::Active, Status::Paused, Status::Archived];
fn status_number(status: Status) -> u8 {
    STATUSES.iter().position(|s| *s == status).unwrap_or(0) as u8
}

impl Row {
    fn shape(&self) -> Shape {
        unpack((self.kind, self.width, self.height))
    }
    fn status(&self) -> Status {
        STATUSES.get(usize::from(self.status)).copied().unwrap_or(Status::Draft)
    }
}

/// What a decision needs to know of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Servable {
    /// Approved creative.
    pub creative: ObjectHash,
    /// Its shape.
    pub shape: Shape,
    /// Relative share; 0 is never drawn.
    pub weight: u32,
}

/// What a list needs to know of a version, without its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionBrief {
    /// Of which ad.
    pub ad: AdId,
    /// Whether it may deliver.
    pub status: Status,
    /// The booked creative waits for the publisher.
    pub is_pending: bool,
    /// Some creative of it is approved.
    pub is_approved: bool,
    /// Revision, 1 for the first.
    pub revision: u32,
}

/// Bytes of one row in an image.
const ROW_BYTES: usize = 72;

/// The numbers of a page: its own, or those of an image, of [`ROW_BYTES`] each.
#[derive(Clone, Debug)]
enum Rows {
    Own(Vec<Row>),
    Image(Bytes),
}
impl Default for Rows {
    fn default() -> Rows {
        Rows::Own(Vec::new())
    }
}
impl Rows {
    fn len(&self) -> usize {
        match self {
            Rows::Own(rows) => rows.len(),
            Rows::Image(bytes) => bytes.len() / ROW_BYTES,
        }
    }
    fn get(&self, slot: usize) -> Option<Row> {
        match self {
            Rows::Own(rows) => rows.get(slot).copied(),
            Rows::Image(bytes) => bytes.get(slot * ROW_BYTES..).and_then(|mut at| read_row(&mut at)),
        }
    }
    fn iter(&self) -> impl Iterator<Item = Row> + '_ {
        (0..self.len()).filter_map(|slot| self.get(slot))
    }
    /// To be changed: from now on the page's own.
    fn own(&mut self) -> &mut Vec<Row> {
        if let Rows::Image(_) = self {
            *self = Rows::Own(self.iter().collect());
        }
        match self {
            Rows::Own(rows) => rows,
            // It was made its own just now.
            Rows::Image(_) => unreachable!("rows of an image"),
        }
    }
}

/// The texts of a page: its own, or those of an image.
#[derive(Clone, Debug)]
enum Texts {
    Own(Vec<u8>),
    Image(Bytes),
}
impl Default for Texts {
    fn default() -> Texts {
        Texts::Own(Vec::new())
    }
}
impl Texts {
    fn bytes(&self) -> &[u8] {
        match self {
            Texts::Own(bytes) => bytes,
            Texts::Image(bytes) => bytes,
        }
    }
    /// To be changed: from now on the page's own.
    fn own(&mut self) -> &mut Vec<u8> {
        if let Texts::Image(bytes) = self {
            *self = Texts::Own(bytes.to_vec());
        }
        match self {
            Texts::Own(bytes) => bytes,
            // They were made its own just now.
            Texts::Image(_) => unreachable!("texts of an image"),
        }
    }
}

/// Some versions.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    rows: Rows,
    /// For each text: length and bytes of the name, 1 + length and bytes of the caller's id (0: none).
    texts: Texts,
    /// Bytes of `texts` that nothing refers to any more.
    dead_bytes: usize,
    /// Approved creatives that are no longer the booked ones, by slot.
    others: Vec<(u16, ObjectHash, Shape)>,
    /// Why versions were rejected, by slot.
    reasons: Vec<(u16, Arc<str>)>,
}

impl Page {
    fn row(&self, slot: usize) -> Option<Row> {
        self.rows.get(slot).filter(|row| row.revision > 0)
    }
    fn other(&self, slot: usize) -> Option<(ObjectHash, Shape)> {
        self.others.iter().find(|(s, ..)| usize::from(*s) == slot).map(|(_, hash, shape)| (*hash, *shape))
    }
    /// The approved creative and its shape.
    pub(super) fn approved(&self, slot: usize) -> Option<(ObjectHash, Shape)> {
        let row = self.row(slot)?;
        match row.approved {
            Approved::None => None,
            Approved::Same => Some((row.creative, row.shape())),
            Approved::Other => self.other(slot),
        }
    }
    /// What may be served now: approved, active, of some weight.
    pub(super) fn servable(&self, slot: usize) -> Option<Servable> {
        let row = self.row(slot)?;
        if row.status() != Status::Active || row.weight == 0 {
            return None;
        }
        let (creative, shape) = self.approved(slot)?;
        Some(Servable { creative, shape, weight: row.weight })
    }
    pub(super) fn brief(&self, slot: usize) -> Option<VersionBrief> {
        let row = self.row(slot)?;
        Some(VersionBrief {
            ad: AdId(row.ad),
            status: row.status(),
            is_pending: row.review == 0,
            is_approved: row.approved != Approved::None,
            revision: row.revision,
        })
    }
    /// The caller's own id.
    pub(super) fn external(&self, slot: usize) -> Option<&str> {
        self.text(self.row(slot)?.text_at).1
    }
    fn text(&self, at: u32) -> (&str, Option<&str>) {
        let mut bytes = self.texts.bytes().get(at as usize..).unwrap_or_default();
        let name = take_text(&mut bytes).unwrap_or_default();
        let given = take_length(&mut bytes).and_then(|length| length.checked_sub(1));
        let external = given.and_then(|length| bytes.get(..length)).and_then(|b| std::str::from_utf8(b).ok());
        (name, external)
    }
    fn text_bytes(&self, at: u32) -> usize {
        let (name, external) = self.text(at);
        let mut bytes = Vec::new();
        put_text(&mut bytes, name, external);
        bytes.len()
    }
    /// Everything that is known of a version.
    pub(super) fn state(&self, slot: usize) -> Option<VersionState> {
        let row = self.row(slot)?;
        let (name, external) = self.text(row.text_at);
        let spec = VersionRecord {
            ad: AdId(row.ad),
            name: name.to_owned(),
            creative: row.creative,
            shape: row.shape(),
            weight: row.weight,
            external_id: external.map(str::to_owned),
        };
        let kept = Kept {
            revision: row.revision,
            spec,
            status: row.status(),
            created_at: UtcMs(row.created_at),
            changed_at: UtcMs(row.changed_at),
        };
        let reason =
            || self.reasons.iter().find(|(s, _)| usize::from(*s) == slot).map(|(_, r)| r.to_string());
        let review = match row.review {
            0 => Review::Pending,
            1 => Review::Approved,
            _ => Review::Rejected { reason: reason().unwrap_or_default() },
        };
        Some(VersionState { kept, review, approved: self.approved(slot) })
    }

    /// Books a version, or a new revision of it; true when it is new.
    pub(super) fn put(&mut self, at: UtcMs, slot: usize, record: &VersionRecord) -> bool {
        let before = self.row(slot);
        if self.rows.len() <= slot {
            self.rows.own().resize(slot + 1, ABSENT);
        }
        if let Some(before) = &before {
            self.forget_text(before.text_at);
            let same = (before.creative, before.shape()) == (record.creative, record.shape);
            if before.approved == Approved::Same && !same {
                self.others.push((slot as u16, before.creative, before.shape()));
            }
        }
        let (kind, width, height) = pack(record.shape);
        let approved = match &before {
            Some(before) if before.approved == Approved::Same => {
                match (before.creative, before.shape()) == (record.creative, record.shape) {
                    true => Approved::Same,
                    false => Approved::Other,
                }
            }
            Some(before) => before.approved,
            None => Approved::None,
        };
        let keeps_review = before.is_some_and(|b| b.creative == record.creative);
        let text_at = self.add_text(&record.name, record.external_id.as_deref());
        self.rows.own()[slot] = Row {
            creative: record.creative,
            created_at: before.map_or(at.0, |b| b.created_at),
            changed_at: at.0,
            ad: record.ad.0,
            weight: record.weight,
            revision: before.map_or(0, |b| b.revision) + 1,
            text_at,
            width,
            height,
            kind,
            status: before.map_or(status_number(Status::Active), |b| b.status),
            review: before.filter(|_| keeps_review).map_or(0, |b| b.review),
            approved,
        };
        if !keeps_review {
            self.reasons.retain(|(s, _)| usize::from(*s) != slot);
        }
        before.is_none()
    }
    fn add_text(&mut self, name: &str, external: Option<&str>) -> u32 {
        if name.is_empty() && external.is_none() {
            return NO_TEXT;
        }
        let texts = self.texts.own();
        let at = texts.len() as u32;
        put_text(texts, name, external);
        at
    }
    /// Gives up a text; once half of all bytes are given up the rest is laid out anew.
    fn forget_text(&mut self, at: u32) {
        if at == NO_TEXT {
            return;
        }
        self.dead_bytes += self.text_bytes(at);
        if self.dead_bytes < 4_096 || self.dead_bytes * 2 < self.texts.bytes().len() {
            return;
        }
        let old = std::mem::take(self);
        for row in old.rows.iter() {
            let (name, external) = old.text(row.text_at);
            let text_at = if row.text_at == at { NO_TEXT } else { self.add_text(name, external) };
            self.rows.own().push(Row { text_at, ..row });
        }
        (self.others, self.reasons) = (old.others, old.reasons);
    }
    pub(super) fn set_status(&mut self, at: UtcMs, slot: usize, status: Status) {
        if let Some(row) = self.rows.own().get_mut(slot).filter(|row| row.revision > 0) {
            row.status = status_number(status);
            row.changed_at = at.0;
        }
    }
    /// Notes a verdict on `creative`; nothing happens when another one is booked by now.
    pub(super) fn review(&mut self, slot: usize, creative: ObjectHash, review: &Review) {
        let Some(row) = self.rows.own().get_mut(slot).filter(|r| r.revision > 0 && r.creative == creative)
        else {
            return;
        };
        (row.review, row.approved) = match review {
            Review::Pending => (0, row.approved),
            Review::Approved => (1, Approved::Same),
            Review::Rejected { .. } => (2, Approved::None),
        };
        self.others.retain(|(s, ..)| usize::from(*s) != slot);
        self.reasons.retain(|(s, _)| usize::from(*s) != slot);
        if let Review::Rejected { reason } = review {
            self.reasons.push((slot as u16, reason.as_str().into()));
        }
    }
    /// Bytes of memory that the page holds, those of an image apart.
    pub(super) fn memory_bytes(&self) -> usize {
        let rows = if let Rows::Own(rows) = &self.rows { rows.capacity() * size_of::<Row>() } else { 0 };
        let texts = if let Texts::Own(texts) = &self.texts { texts.capacity() } else { 0 };
        rows + texts
            + self.others.capacity() * size_of::<(u16, ObjectHash, Shape)>()
            + self.reasons.iter().map(|(_, r)| r.len() + size_of::<(u16, Arc<str>)>()).sum::<usize>()
    }

    /// The page without its texts as bytes, which [`Page::read`] reads: counts, then rows; numbers little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let word = |out: &mut Vec<u8>, n: usize| out.extend((n as u32).to_le_bytes());
        [self.rows.len(), self.dead_bytes, self.others.len(), self.reasons.len()]
            .into_iter()
            .for_each(|n| word(out, n));
        for row in self.rows.iter() {
            out.extend(row.creative.0);
            [row.created_at, row.changed_at].iter().for_each(|n| out.extend(n.to_le_bytes()));
            [row.ad, row.weight, row.revision, row.text_at].iter().for_each(|n| out.extend(n.to_le_bytes()));
            [row.width, row.height].iter().for_each(|n| out.extend(n.to_le_bytes()));
            out.extend([row.kind, row.status, row.review, row.approved as u8]);
        }
        for (slot, hash, shape) in &self.others {
            let (kind, width, height) = pack(*shape);
            [*slot, width, height, u16::from(kind)].iter().for_each(|n| out.extend(n.to_le_bytes()));
            out.extend(hash.0);
        }
        for (slot, reason) in &self.reasons {
            out.extend(slot.to_le_bytes());
            word(out, reason.len());
            out.extend(reason.as_bytes());
        }
    }
    /// Its texts as bytes, which [`Page::set_texts`] takes.
    pub(super) fn texts(&self) -> &[u8] {
        self.texts.bytes()
    }
    /// Reads [`Page::write`]; `None` when it is no page. Its rows stay in `bytes`.
    pub(super) fn read(bytes: &Bytes) -> Option<Page> {
        let mut rest = bytes.as_ref();
        let mut counts = [0usize; 4];
        for count in &mut counts {
            *count = u32::from_le_bytes(take(&mut rest)?) as usize;
        }
        let [rows, dead_bytes, others, reasons] = counts;
        if rows > PAGE_COUNT || others > PAGE_COUNT || reasons > PAGE_COUNT {
            return None;
        }
        let mut all = rest.split_off(..rows * ROW_BYTES)?;
        let rows = Rows::Image(bytes.slice_ref(all));
        while !all.is_empty() {
            read_row(&mut all)?;
        }
        let mut page = Page { dead_bytes, rows, ..Page::default() };
        for _ in 0..others {
            let [slot, width, height, kind] = read_shorts(&mut rest)?;
            page.others.push((slot, ObjectHash(take(&mut rest)?), unpack((kind as u8, width, height))));
        }
        for _ in 0..reasons {
            let slot = u16::from_le_bytes(take(&mut rest)?);
            let length = u32::from_le_bytes(take(&mut rest)?) as usize;
            page.reasons.push((slot, std::str::from_utf8(rest.split_off(..length)?).ok()?.into()));
        }
        rest.is_empty().then_some(page)
    }
    /// Gives a page that was read its texts, which stay where they are.
    pub(super) fn set_texts(&mut self, bytes: Bytes) {
        self.texts = Texts::Image(bytes);
    }
}

fn read_shorts(bytes: &mut &[u8]) -> Option<[u16; 4]> {
    let mut shorts = [0; 4];
    for short in &mut shorts {
        *short = u16::from_le_bytes(take(bytes)?);
    }
    Some(shorts)
}
fn read_row(bytes: &mut &[u8]) -> Option<Row> {
    let creative = ObjectHash(take(bytes)?);
    let created_at = i64::from_le_bytes(take(bytes)?);
    let changed_at = i64::from_le_bytes(take(bytes)?);
    let mut words = [0u32; 4];
    for word in &mut words {
        *word = u32::from_le_bytes(take(bytes)?);
    }
    let [ad, weight, revision, text_at] = words;
    let (width, height) = (u16::from_le_bytes(take(bytes)?), u16::from_le_bytes(take(bytes)?));
    let [kind, status, review, approved] = take(bytes)?;
    let approved = match approved {
        0 => Approved::None,
        1 => Approved::Same,
        2 => Approved::Other,
        _ => return None,
    };
    Some(Row {
        creative,
        created_at,
        changed_at,
        ad,
        weight,
        revision,
        text_at,
        width,
        height,
        kind,
        status,
        review,
        approved,
    })
}

/// Takes so many bytes from the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    bytes.split_off(..N)?.try_into().ok()
}
fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}
fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in (0..35).step_by(7) {
        let [byte] = take(bytes)?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(length);
        }
    }
    None
}
fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = take_length(bytes)?;
    std::str::from_utf8(bytes.split_off(..length)?).ok()
}
fn put_text(out: &mut Vec<u8>, name: &str, external: Option<&str>) {
    put_length(out, name.len());
    out.extend(name.as_bytes());
    put_length(out, external.map_or(0, |text| text.len() + 1));
    out.extend(external.unwrap_or_default().as_bytes());
}
