//! Which journal positions were charged, how much, and what was credited of it.
//!
//! Positions are grouped in blocks of 4,096. A block with a charge is sealed when a later block begins; its
//! bytes go to the server, the fold keeps 16 bytes of their hash. A credit to an old charge needs the block
//! back, and a block is accepted only if its hash is the one that the fold holds: so a credit is always
//! judged by the true charge and all earlier credits, in sum never above the charge (law B1), though the
//! memory for charges is bounded: one open block, [`BLOCKS_CACHED_MAX`] sealed ones, those not yet taken.
//!
//! Each credit carries its own journal position, and a block that is loaded forgets those that the fold has
//! not come to: a fold that starts again from an older checkpoint accepts blocks stored later.

use crate::{
    books::ChargeKind,
    hash::FastMap,
    outcome::{CreditRefusal, LawBroken},
};
use regie_model::{Nanos, event::RollupKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Positions in one block.
pub const BLOCK_POSITIONS_COUNT: u64 = 4_096;
/// Sealed blocks kept in memory, besides those that were not yet taken.
pub const BLOCKS_CACHED_MAX: usize = 64;
const VERSION: u8 = 1;
const HASH_BYTES: usize = 16;
type BlockHash = [u8; HASH_BYTES];

/// One charge, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Journal position of the charged event.
    pub position: u64,
    /// What reports count it by (a flat fee has only campaign and ad set).
    pub key: RollupKey,
    /// What for.
    pub kind: ChargeKind,
    /// What was charged; above zero.
    pub nanos: Nanos,
    /// What was given back since; at most the charge.
    pub credited: Nanos,
}

/// What is known of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeAt {
    /// Nothing was charged there.
    None,
    /// This was.
    Charge(Charge),
    /// The block with this number is not in memory: load it and ask again.
    NeedsBlock(u64),
}

/// Why bytes are no block of this fold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Too short, damaged, or of a later version.
    #[error("a block of charges is damaged or of an unknown version")]
    Damaged,
    /// Whole, but not what this fold wrote last for these positions.
    #[error("block {0} of charges is not the one that the ledger holds the hash of")]
    Other(u64),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Entry {
    offset: u16,
    name: u16,
    nanos: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct CreditEntry {
    /// Of the charge.
    offset: u16,
    /// Journal position of the credit.
    position: u64,
    nanos: u64,
}

/// The charges of 4,096 positions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ChargeBlock {
    index: u64,
    names: Vec<(RollupKey, ChargeKind)>,
    /// In order of their offsets.
    entries: Vec<Entry>,
    /// In order of their positions.
    credits: Vec<CreditEntry>,
}
impl ChargeBlock {
    /// Its number: position / 4,096.
    pub fn index(&self) -> u64 {
        self.index
    }
    /// All charges, in order of their positions.
    pub fn charges(&self) -> impl Iterator<Item = Charge> {
        let mut credited: BTreeMap<u16, i128> = BTreeMap::new();
        for credit in &self.credits {
            *credited.entry(credit.offset).or_default() += i128::from(credit.nanos);
        }
        self.entries.iter().filter_map(move |entry| {
            self.charge(entry, credited.get(&entry.offset).copied().unwrap_or_default())
        })
    }
    fn charge(&self, entry: &Entry, credited: i128) -> Option<Charge> {
        let (key, kind) = *self.names.get(usize::from(entry.name))?;
        Some(Charge {
            position: self.index * BLOCK_POSITIONS_COUNT + u64::from(entry.offset),
            key,
            kind,
            nanos: Nanos(i128::from(entry.nanos)),
            credited: Nanos(credited),
        })
    }
    /// The charge at a position of this block.
    pub fn charge_at(&self, position: u64) -> Option<Charge> {
        let offset = (position % BLOCK_POSITIONS_COUNT) as u16;
        let at = self.entries.binary_search_by_key(&offset, |entry| entry.offset).ok()?;
        let credits = self.credits.iter().filter(|credit| credit.offset == offset);
        self.charge(&self.entries[at], credits.map(|credit| i128::from(credit.nanos)).sum())
    }
    /// Version, hash, payload.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 1 + HASH_BYTES];
        // Writing our own types to memory cannot fail; an empty payload would not be read back.
        bytes.extend(postcard::to_allocvec(self).unwrap_or_default());
        let hash = hash_of(&bytes[1 + HASH_BYTES..]);
        bytes[0] = VERSION;
        bytes[1..=HASH_BYTES].copy_from_slice(&hash);
        bytes
    }
    /// Reads a block, for an audit.
    ///
    /// # Errors
    /// [`BlockError::Damaged`]; never panics.
    pub fn from_bytes(bytes: &[u8]) -> Result<ChargeBlock, BlockError> {
        let (head, payload) = bytes.split_at_checked(1 + HASH_BYTES).ok_or(BlockError::Damaged)?;
        if head[0] != VERSION || head[1..] != hash_of(payload) {
            return Err(BlockError::Damaged);
        }
        postcard::from_bytes(payload).map_err(|_| BlockError::Damaged)
    }
}
fn hash_of(payload: &[u8]) -> BlockHash {
    let mut short = [0; HASH_BYTES];
    short.copy_from_slice(&blake3::hash(payload).as_bytes()[..HASH_BYTES]);
    short
}
fn hash_in(bytes: &[u8]) -> BlockHash {
    let mut short = [0; HASH_BYTES];
    short.copy_from_slice(&bytes[1..=HASH_BYTES]);
    short
}

/// What the fold keeps of all charges: the open block, and the hash of every sealed one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ChargeState {
    open: ChargeBlock,
    hashes: BTreeMap<u64, BlockHash>,
}

/// All that is known of charges now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Charges {
    pub state: ChargeState,
    /// Numbers of names in the open block.
    names: FastMap<(RollupKey, ChargeKind), u16>,
    sealed: BTreeMap<u64, ChargeBlock>,
    dirty: BTreeSet<u64>,
}
impl Charges {
    pub(crate) fn new(state: ChargeState, dirty: Vec<ChargeBlock>) -> Charges {
        let names = state.open.names.iter().copied().zip(0..).collect();
        let sealed: BTreeMap<u64, ChargeBlock> = dirty.into_iter().map(|b| (b.index, b)).collect();
        let dirty = sealed.keys().copied().collect();
        Charges { state, names, sealed, dirty }
    }
    /// Sealed blocks that were not yet taken.
    pub(crate) fn untaken(&self) -> Vec<&ChargeBlock> {
        self.dirty.iter().filter_map(|index| self.sealed.get(index)).collect()
    }
    /// Seals the open block when `position` lies behind it.
    #[inline]
    pub(crate) fn turn_to(&mut self, position: u64) {
        let index = position / BLOCK_POSITIONS_COUNT;
        if index != self.state.open.index {
            self.seal(index);
        }
    }
    fn seal(&mut self, next: u64) {
        let block =
            std::mem::replace(&mut self.state.open, ChargeBlock { index: next, ..Default::default() });
        self.names.clear();
        if !block.entries.is_empty() {
            self.keep(block);
        }
    }
    fn keep(&mut self, block: ChargeBlock) {
        self.state.hashes.insert(block.index, hash_in(&block.to_bytes()));
        self.dirty.insert(block.index);
        self.sealed.insert(block.index, block);
        self.evict();
    }
    fn evict(&mut self) {
        while self.sealed.len() > BLOCKS_CACHED_MAX + self.dirty.len() {
            let Some(clean) = self.sealed.keys().copied().find(|index| !self.dirty.contains(index)) else {
                return;
            };
            self.sealed.remove(&clean);
        }
    }
    /// Notes a charge; the block of `position` is open.
    #[inline]
    pub(crate) fn note(
        &mut self,
        position: u64,
        key: RollupKey,
        kind: ChargeKind,
        nanos: i128,
    ) -> Result<(), LawBroken> {
        let amount = u64::try_from(nanos)
            .map_err(|_| LawBroken::new("B1", format!("a single charge of {nanos} nanos")))?;
        let open = &mut self.state.open;
        let name = *self.names.entry((key, kind)).or_insert_with(|| {
            open.names.push((key, kind));
            (open.names.len() - 1) as u16
        });
        let offset = (position % BLOCK_POSITIONS_COUNT) as u16;
        open.entries.push(Entry { offset, name, nanos: amount });
        Ok(())
    }
    /// The block that must be loaded before the charge at `position` is known.
    pub(crate) fn missing(&self, position: u64) -> Option<u64> {
        let index = position / BLOCK_POSITIONS_COUNT;
        let absent = self.state.hashes.contains_key(&index) && !self.sealed.contains_key(&index);
        absent.then_some(index)
    }
    fn block(&self, index: u64) -> Option<&ChargeBlock> {
        if index == self.state.open.index { Some(&self.state.open) } else { self.sealed.get(&index) }
    }
    pub(crate) fn charge_at(&self, position: u64) -> ChargeAt {
        if let Some(index) = self.missing(position) {
            return ChargeAt::NeedsBlock(index);
        }
        let block = self.block(position / BLOCK_POSITIONS_COUNT);
        block.and_then(|b| b.charge_at(position)).map_or(ChargeAt::None, ChargeAt::Charge)
    }
    /// Credits the charge at `position`, whose block is in memory, for the record at `credit_position`. Returns
    /// the charge and what was granted: the smaller of `asked` and what is left of it.
    pub(crate) fn credit(
        &mut self,
        position: u64,
        credit_position: u64,
        asked: i128,
    ) -> Result<(Charge, i128), CreditRefusal> {
        let ChargeAt::Charge(charge) = self.charge_at(position) else { return Err(CreditRefusal::NoCharge) };
        if asked <= 0 {
            return Err(CreditRefusal::NotPositive);
        }
        let granted = asked.min(charge.nanos.0 - charge.credited.0);
        if granted <= 0 {
            return Err(CreditRefusal::NothingLeft);
        }
        let index = position / BLOCK_POSITIONS_COUNT;
        let offset = (position % BLOCK_POSITIONS_COUNT) as u16;
        // A charge fits into 64 bits, and so does a part of it.
        let credit = CreditEntry { offset, position: credit_position, nanos: granted as u64 };
        if index == self.state.open.index {
            self.state.open.credits.push(credit);
        } else if let Some(mut block) = self.sealed.remove(&index) {
            block.credits.push(credit);
            self.keep(block);
        }
        Ok((charge, granted))
    }
    /// Blocks that changed since they were last taken, with their bytes.
    pub(crate) fn take(&mut self) -> Vec<(u64, Vec<u8>)> {
        let taken = self.untaken().iter().map(|block| (block.index, block.to_bytes())).collect();
        self.dirty.clear();
        self.evict();
        taken
    }
    /// Accepts a block back; `position` is the last one that the fold has applied.
    pub(crate) fn load(&mut self, bytes: &[u8], position: u64) -> Result<u64, BlockError> {
        let mut block = ChargeBlock::from_bytes(bytes)?;
        block.credits.retain(|credit| credit.position <= position);
        let index = block.index;
        if self.state.hashes.get(&index) != Some(&hash_in(&block.to_bytes())) {
            return Err(BlockError::Other(index));
        }
        if !self.sealed.contains_key(&index) {
            // Room first, so that the block that is asked for is not the one that goes.
            while self.sealed.len() >= BLOCKS_CACHED_MAX + self.dirty.len() {
                let Some(clean) = self.sealed.keys().copied().find(|i| !self.dirty.contains(i)) else {
                    break;
                };
                self.sealed.remove(&clean);
            }
            self.sealed.insert(index, block);
        }
        Ok(index)
    }
    /// After reading a checkpoint: untaken blocks are those that the hashes name.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (index, block) in &self.sealed {
            if self.state.hashes.get(index) != Some(&hash_in(&block.to_bytes())) {
                return Err(format!("block {index} of charges does not fit its hash"));
            }
        }
        Ok(())
    }
}
