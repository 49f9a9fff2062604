//! Every version that was booked: millions of them, as ids, states and numbers.
//!
//! Kept in pages of 512 by id, which snapshots share ([`VersionPages`]). The caller's own ids are found by a table of
//! hashes that points into the pages, so that no text stands twice. Refuses markup: that is an object, found by hash.

use super::{
    Review, VersionState,
    page::{PAGE_COUNT, Page, Servable, VersionBrief, take},
};
use crate::{
    AdId, UtcMs, VersionId,
    booking::{Shape, Status, VersionRecord},
    creative::ObjectHash,
};
use bytes::Bytes;
use hashbrown::{HashTable, hash_table::Entry};
use std::{
    collections::BTreeMap,
    fmt,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{Arc, OnceLock},
};

fn place(id: VersionId) -> (u32, usize) {
    (id.0 / PAGE_COUNT as u32, id.0 as usize % PAGE_COUNT)
}
fn hash(text: &str) -> u64 {
    // The same on every machine: the catalogue is a function of the journal.
    BuildHasherDefault::<DefaultHasher>::new().hash_one(text)
}

/// The versions' numbers as they stood at one moment. A copy costs next to nothing; the first change after it copies
/// one pointer for each 512 versions, and the page that it changes.
#[derive(Clone, Debug, Default)]
pub struct VersionPages(Arc<BTreeMap<u32, Arc<Page>>>);
impl VersionPages {
    fn page(&self, id: VersionId) -> Option<(&Page, usize)> {
        let (number, slot) = place(id);
        self.0.get(&number).map(|page| (page.as_ref(), slot))
    }
    /// The approved creative and its shape.
    pub fn approved(&self, id: VersionId) -> Option<(ObjectHash, Shape)> {
        self.page(id).and_then(|(page, slot)| page.approved(slot))
    }
    /// What may be served of a version now; `None` unless it is approved, active and of some weight.
    pub fn servable(&self, id: VersionId) -> Option<Servable> {
        self.page(id).and_then(|(page, slot)| page.servable(slot))
    }
}

/// All versions.
#[derive(Clone, Default)]
pub struct Versions {
    pages: VersionPages,
    of: BTreeMap<AdId, Vec<VersionId>>,
    /// Versions by the hash of the caller's id, which stands in the page; of an image made when it is first asked for.
    external: OnceLock<HashTable<VersionId>>,
    /// Callers' ids that mean another version than the table says: those that an edit replaced go on to mean their
    /// version, and one that two versions have means the one that took it last.
    aliases: BTreeMap<String, VersionId>,
    count: usize,
}

impl Versions {
    /// A version.
    pub fn get(&self, id: &VersionId) -> Option<VersionState> {
        self.pages.page(*id).and_then(|(page, slot)| page.state(slot))
    }
    /// What lists need of a version, without its texts.
    pub fn brief(&self, id: VersionId) -> Option<VersionBrief> {
        self.pages.page(id).and_then(|(page, slot)| page.brief(slot))
    }
    /// Whether there is such a version.
    pub fn contains_key(&self, id: &VersionId) -> bool {
        self.brief(*id).is_some()
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
    /// The highest id in use.
    pub fn last_id(&self) -> Option<VersionId> {
        let (number, page) = self.pages.0.last_key_value()?;
        let slot = (0..PAGE_COUNT).rev().find(|slot| page.brief(*slot).is_some())?;
        Some(VersionId(number * PAGE_COUNT as u32 + slot as u32))
    }
    /// The versions of an ad in the order in which they were booked.
    pub fn of(&self, ad: AdId) -> &[VersionId] {
        self.of.get(&ad).map_or(&[], Vec::as_slice)
    }
    /// The version that a caller knows by this id.
    pub fn by_external(&self, external: &str) -> Option<VersionId> {
        let alias = self.aliases.get(external).copied();
        let same = |id: &VersionId| self.external_of(*id) == Some(external);
        alias.or_else(|| self.externals().find(hash(external), same).copied())
    }
    /// The table of callers' ids, made from the pages where it is not there yet.
    fn externals(&self) -> &HashTable<VersionId> {
        self.external.get_or_init(|| {
            let mut table = HashTable::with_capacity(self.count);
            for (number, page) in self.pages.0.iter() {
                for slot in 0..PAGE_COUNT {
                    let Some(external) = page.external(slot) else { continue };
                    let id = VersionId(number * PAGE_COUNT as u32 + slot as u32);
                    // Of two that have the same one, the aliases know which is meant.
                    let same = |other: &VersionId| self.external_of(*other) == Some(external);
                    let rehash = |other: &VersionId| self.external_of(*other).map_or(0, hash);
                    if let Entry::Vacant(entry) = table.entry(hash(external), same, rehash) {
                        entry.insert(id);
                    }
                }
            }
            table
        })
    }

    /// The ids above `after`, ascending.
    pub fn ids_after(&self, after: u32) -> impl Iterator<Item = VersionId> + '_ {
        let pages = self.pages.0.range(after / PAGE_COUNT as u32..);
        let ids = pages.flat_map(|(number, page)| {
            let first = number * PAGE_COUNT as u32;
            (0..PAGE_COUNT).filter(|slot| page.brief(*slot).is_some()).map(move |slot| first + slot as u32)
        });
        ids.skip_while(move |id| *id <= after).map(VersionId)
    }
    /// All versions by id.
    pub fn iter(&self) -> impl Iterator<Item = (VersionId, VersionState)> + '_ {
        self.pages.0.iter().flat_map(|(number, page)| {
            (0..PAGE_COUNT).filter_map(move |slot| {
                Some((VersionId(number * PAGE_COUNT as u32 + slot as u32), page.state(slot)?))
            })
        })
    }
    /// The numbers as they stand now, for a snapshot.
    pub fn pages(&self) -> VersionPages {
        self.pages.clone()
    }
    /// What decisions need of a version, as it stands now.
    pub fn servable(&self, id: VersionId) -> Option<Servable> {
        self.pages.servable(id)
    }
    /// Bytes of memory in use, the table of callers' ids included.
    pub fn memory_bytes(&self) -> usize {
        let pages: usize = self.pages.0.values().map(|page| page.memory_bytes() + 64).sum();
        let of: usize = self.of.values().map(|ids| ids.capacity() * 4 + 40).sum();
        pages + of + self.external.get().map_or(0, HashTable::allocation_size)
    }

    fn external_of(&self, id: VersionId) -> Option<&str> {
        self.pages.page(id).and_then(|(page, slot)| page.external(slot))
    }
    fn page_mut(&mut self, id: VersionId) -> (&mut Page, usize) {
        let (number, slot) = place(id);
        let pages = Arc::make_mut(&mut self.pages.0);
        (Arc::make_mut(pages.entry(number).or_default()), slot)
    }
    pub(super) fn put(&mut self, at: UtcMs, id: VersionId, record: &VersionRecord) {
        let external = record.external_id.as_deref();
        if let Some(old) = self.external_of(id).filter(|old| Some(*old) != external) {
            let (old, key) = (old.to_owned(), hash(old));
            // Found by its id too: another version may have taken the name over.
            self.externals();
            let table = self.external.get_mut();
            if let Some(Ok(entry)) = table.map(|table| table.find_entry(key, |entry| *entry == id)) {
                entry.remove();
                self.aliases.entry(old).or_insert(id);
            }
        }
        let (page, slot) = self.page_mut(id);
        if page.put(at, slot, record) {
            // In ascending order, whatever was booked first: ids ascend, so that this is the end.
            let ids = self.of.entry(record.ad).or_default();
            let at = ids.partition_point(|other| *other < id);
            ids.insert(at, id);
            self.count += 1;
        }
        if let Some(external) = external {
            self.name(id, external);
        }
    }
    /// Lets a caller's id mean a version; the latest to take it has it.
    fn name(&mut self, id: VersionId, external: &str) {
        self.externals();
        let Some(table) = self.external.get_mut() else { return };
        let pages = &self.pages;
        let text = |id: &VersionId| pages.page(*id).and_then(|(page, slot)| page.external(slot));
        let rehash = |id: &VersionId| text(id).map_or(0, hash);
        match table.entry(hash(external), |id| text(id) == Some(external), rehash) {
            Entry::Occupied(entry) if *entry.get() != id => {
                self.aliases.insert(external.to_owned(), id);
                return;
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(entry) => drop(entry.insert(id)),
        }
        self.aliases.remove(external);
    }
    pub(super) fn set_status(&mut self, at: UtcMs, id: VersionId, status: Status) {
        if self.contains_key(&id) {
            let (page, slot) = self.page_mut(id);
            page.set_status(at, slot, status);
        }
    }
    pub(super) fn review(&mut self, id: VersionId, creative: ObjectHash, review: &Review) {
        if self.contains_key(&id) {
            let (page, slot) = self.page_mut(id);
            page.review(slot, creative, review);
        }
    }
    /// Everything as bytes, part by part: the pages' numbers, then their texts, each behind the page's number; then the
    /// replaced ids. What is read at a start lies together, and apart from what is not.
    pub(super) fn write<E>(&self, mut out: impl FnMut(Part, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut bytes = Vec::new();
        for (number, page) in self.pages.0.iter() {
            bytes.clear();
            bytes.extend(number.to_le_bytes());
            page.write(&mut bytes);
            out(Part::Page, &bytes)?;
        }
        for (number, page) in self.pages.0.iter() {
            bytes.clear();
            bytes.extend(number.to_le_bytes());
            bytes.extend((page.texts().len() as u32).to_le_bytes());
            bytes.extend(page.texts());
            out(Part::Texts, &bytes)?;
        }
        out(Part::Aliases, &serde_json::to_vec(&self.aliases).unwrap_or_default())
    }
}

/// What a frame of an image has of the versions.
pub(super) enum Part {
    Page,
    Texts,
    Aliases,
}

/// Versions on their way out of an image.
#[derive(Default)]
pub(super) struct Reading {
    versions: Versions,
    aliases: BTreeMap<String, VersionId>,
}
impl Reading {
    /// Takes a page; `None` when it is none.
    pub(super) fn page(&mut self, bytes: &Bytes) -> Option<()> {
        let number = u32::from_le_bytes(take(&mut bytes.as_ref())?);
        number.checked_mul(PAGE_COUNT as u32)?;
        let page = Page::read(&bytes.slice(4..))?;
        for slot in 0..PAGE_COUNT {
            let Some(brief) = page.brief(slot) else { continue };
            let id = VersionId(number * PAGE_COUNT as u32 + slot as u32);
            self.versions.of.entry(brief.ad).or_default().push(id);
            self.versions.count += 1;
        }
        Arc::make_mut(&mut self.versions.pages.0).insert(number, Arc::new(page));
        Some(())
    }
    /// Takes the texts of a page; `None` when they are none, or it was not taken.
    pub(super) fn texts(&mut self, bytes: &Bytes) -> Option<()> {
        let mut rest = bytes.as_ref();
        let (number, length) = (take(&mut rest)?, u32::from_le_bytes(take(&mut rest)?));
        let pages = Arc::make_mut(&mut self.versions.pages.0);
        let page = pages.get_mut(&u32::from_le_bytes(number)).filter(|_| rest.len() == length as usize)?;
        Arc::make_mut(page).set_texts(bytes.slice_ref(rest));
        Some(())
    }
    /// Takes the replaced ids; `None` when they are none.
    pub(super) fn aliases(&mut self, bytes: &[u8]) -> Option<()> {
        self.aliases = serde_json::from_slice(bytes).ok()?;
        Some(())
    }
    /// All of them. (Ids ascend in the order of booking, so the order within an ad follows.)
    pub(super) fn finish(self) -> Versions {
        let mut versions = self.versions;
        versions.of.values_mut().for_each(Vec::shrink_to_fit);
        // Made when somebody first asks for a caller's id.
        versions.external = OnceLock::new();
        versions.aliases = self.aliases;
        versions
    }
}

impl PartialEq for Versions {
    fn eq(&self, other: &Versions) -> bool {
        self.count == other.count && self.of == other.of && self.iter().eq(other.iter())
    }
}
impl fmt::Debug for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
