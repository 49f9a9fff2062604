//! One simulated file: what a reader sees, what is certainly stored, and what was done between.
//! Refuses to store anything that no sync has covered, but by the seed's leave.

use super::rng::Rng;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Inode {
    /// What a reader sees.
    pub content: Vec<u8>,
    /// What is certainly stored.
    durable: Vec<u8>,
    /// What was done since the last sync. A truncation begins a new stretch: what came after it
    /// is not stored without it.
    unsynced: Vec<Stretch>,
    /// A sync of this file failed once.
    pub failed: bool,
    pub locks: BTreeMap<u64, i32>,
}

/// Writes between two truncations or syncs.
#[derive(Default)]
struct Stretch {
    /// The length that it began with, if it began with a truncation.
    truncated_to: Option<usize>,
    /// Every version that a sector has had, oldest first.
    sectors: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Every length that the file has had.
    lengths: Vec<usize>,
}

/// One sector of some bytes, zeros where they end.
fn sector_of(bytes: &[u8], sector: usize, sector_bytes: usize) -> Vec<u8> {
    let mut image = vec![0; sector_bytes];
    let from = bytes.get(sector * sector_bytes..).unwrap_or_default();
    let count = from.len().min(sector_bytes);
    image[..count].copy_from_slice(&from[..count]);
    image
}

fn put_sector(bytes: &mut Vec<u8>, sector: usize, image: &[u8]) {
    let start = sector * image.len();
    if bytes.len() < start + image.len() {
        bytes.resize(start + image.len(), 0);
    }
    bytes[start..start + image.len()].copy_from_slice(image);
}

impl Stretch {
    /// Puts on the stored bytes what the seed decides of this stretch.
    fn settle(&self, left: &mut Vec<u8>, rng: &mut Rng, share: u64, sector_bytes: usize, powersafe: bool) {
        if let Some(length) = self.truncated_to {
            left.resize(length, 0);
        }
        let base = left.clone();
        let length = match self.lengths.last() {
            Some(last) if share == 100 => *last,
            Some(_) if rng.chance(share) => self.lengths[rng.below(self.lengths.len() as u64) as usize],
            _ => base.len(),
        };
        for (sector, versions) in &self.sectors {
            if !rng.chance(share) {
                continue;
            }
            let newest = versions.len() - 1;
            let pick = if share == 100 { newest } else { rng.below(newest as u64 + 1) as usize };
            let mut image = versions[pick].clone();
            let old = sector_of(&base, *sector, sector_bytes);
            let before = if pick == 0 { &old } else { &versions[pick - 1] };
            let cut = rng.below(sector_bytes as u64) as usize;
            match rng.below(100) {
                _ if share == 100 => {}
                0..10 => image[cut..].copy_from_slice(&before[cut..]),
                10..20 => image[..cut].copy_from_slice(&before[..cut]),
                20..25 if !powersafe => image.iter_mut().for_each(|byte| *byte = rng.below(256) as u8),
                _ => {}
            }
            put_sector(left, *sector, &image);
        }
        left.resize(length.max(base.len()), 0);
    }
}

impl Inode {
    pub fn write(&mut self, offset: usize, bytes: &[u8], sector_bytes: usize) {
        let end = offset + bytes.len();
        if self.content.len() < end {
            self.content.resize(end, 0);
        }
        self.content[offset..end].copy_from_slice(bytes);
        if self.unsynced.is_empty() {
            self.unsynced.push(Stretch::default());
        }
        if let Some(stretch) = self.unsynced.last_mut() {
            for sector in offset / sector_bytes..end.div_ceil(sector_bytes) {
                let image = sector_of(&self.content, sector, sector_bytes);
                stretch.sectors.entry(sector).or_default().push(image);
            }
            stretch.lengths.push(self.content.len());
        }
    }

    pub fn truncate(&mut self, length: usize) {
        self.content.resize(length, 0);
        self.unsynced.push(Stretch { truncated_to: Some(length), ..Stretch::default() });
    }

    /// A sync that succeeds stores what is unsynced, and only that: what an earlier failed sync
    /// lost is not written again.
    pub fn store(&mut self, rng: &mut Rng, sector_bytes: usize) {
        for stretch in std::mem::take(&mut self.unsynced) {
            stretch.settle(&mut self.durable, rng, 100, sector_bytes, true);
        }
    }

    /// Flips bits of one byte, seen and stored. `false`: there is no such byte.
    pub fn rot(&mut self, offset: usize, mask: u8) -> bool {
        for bytes in [&mut self.content, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= mask;
            }
        }
        offset < self.content.len()
    }

    /// A failed sync: some sectors were stored; none is unsynced any more, though readers still
    /// see what was written.
    pub fn fail(&mut self, rng: &mut Rng, sector_bytes: usize) {
        let view = self.content.clone();
        self.lose(rng, 50, sector_bytes, true);
        self.content = view;
        self.failed = true;
    }

    /// Decides for everything unsynced what is left of it.
    pub fn lose(&mut self, rng: &mut Rng, share: u64, sector_bytes: usize, powersafe: bool) {
        let stretches = std::mem::take(&mut self.unsynced);
        let kept =
            if share == 100 { stretches.len() } else { rng.below(stretches.len() as u64 + 1) as usize };
        let mut left = std::mem::take(&mut self.durable);
        for stretch in &stretches[..kept] {
            stretch.settle(&mut left, rng, share, sector_bytes, powersafe);
        }
        self.durable.clone_from(&left);
        self.content = left;
    }
}
