//! The log as publishing appends to it: sheets become entries with their objects, and an erasure a tombstone.
//!
//! Refuses to know what a leaf says (R2: what is appended is durable before it is read again).

use super::RecordLog;
use anyhow::{Context, Result, anyhow};
use regie_model::UtcMs;
use regie_record::{
    commit::Sha256Hash,
    leaf::Sheet,
    log::{
        Append, Hash,
        read::object_path,
        tile::{Kind, TILE_WIDTH, Tile, entries_of},
    },
};
use std::sync::Arc;

/// The log as publishing appends to it.
pub struct Door(pub Arc<RecordLog>);

impl crate::publication::Log for Door {
    fn append(&mut self, sheets: &[Sheet], position: u64) -> Result<u64> {
        let entries: Vec<Append> = sheets
            .iter()
            .map(|sheet| Append {
                leaf: sheet.bytes.clone(),
                objects: sheet
                    .objects
                    .iter()
                    .map(|object| (Hash(object.hash.0), object.bytes.clone()))
                    .collect(),
            })
            .collect();
        self.0.append(&entries, position)
    }
    fn append_entry(&mut self, entry: Append, position: u64) -> Result<u64> {
        self.0.append(&[entry], position)
    }
    fn withhold_of(
        &mut self,
        of: &str,
        part: &str,
        object: Sha256Hash,
        ground: &str,
        now: UtcMs,
    ) -> Result<()> {
        self.0.withhold(of, part, Hash(object.0), ground, now)
    }
    fn read(&mut self, from: u64) -> Result<Vec<(u64, Vec<u8>)>> {
        let size = self.0.head().head.size;
        if from >= size {
            return Ok(Vec::new());
        }
        let tile =
            Tile::at(Kind::Entries, from / TILE_WIDTH, size).ok_or_else(|| anyhow!("no such place"))?;
        let bytes = self.0.file(&tile.path())?.with_context(|| format!("{} is missing", tile.path()))?;
        let leaves = entries_of(&bytes, tile.width)?.into_iter().map(<[u8]>::to_vec);
        let numbered = (tile.index * TILE_WIDTH..).zip(leaves);
        Ok(numbered.filter(|(index, _)| *index >= from).collect())
    }
    fn object(&mut self, hash: &Sha256Hash) -> Result<Option<Vec<u8>>> {
        self.0.file(&object_path(Hash(hash.0)))
    }
    fn time(&self, now: UtcMs) -> UtcMs {
        self.0.time(now)
    }
    fn size(&self) -> u64 {
        self.0.head().head.size
    }
}
