//! A dossier: everything that was published about one sponsor or one vote, put together from `record.db` and the log's files
//! ([`regie_record::log::dossier`] says what is in it and how it is checked). What was withheld comes with its tombstone.

use super::{db::RecordDb, register};
use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use regie_model::{AdId, UtcMs};
use regie_record::{
    leaf::Leaf,
    log::{
        Checkpoint, Note,
        dossier::{About, Document, DossierAd, DossierVersion, Part, Proved},
        hash::Hash,
        leaf::KIND_TOMBSTONE,
        read::{CHECKPOINT_PATH, Source, inclusion_from, tile_bytes},
        tile::{Kind, TILE_WIDTH, Tile, entries_of},
    },
};

/// Places of an entry of the log's own kinds: kind, id to (version, place).
pub type Places<'a> = &'a dyn Fn(&str, &str) -> Result<Vec<(u32, u64)>>;

/// Where the parts of a dossier come from.
pub struct From<'a> {
    /// The projection.
    pub db: &'a RecordDb,
    /// The log's files.
    pub files: &'a mut dyn Source,
    /// Where the log's own entries stand.
    pub places: Places<'a>,
}

/// The document of a dossier, unsigned: of all ads that ever named it, at the checkpoint that is shown.
///
/// # Errors
/// Nothing published about it; files or rows that cannot be read; more than `ads_max` ads.
pub fn document(
    from: &mut From<'_>,
    about: About,
    now: UtcMs,
    ads_max: usize,
    step: &mut dyn FnMut(u64, u64),
) -> Result<Document> {
    let checkpoint = from.files.get(CHECKPOINT_PATH)?.context("nothing is published yet")?;
    let note = Note::parse(&checkpoint)?;
    let shown = Checkpoint::parse(&note.text)?;
    let ads = register::ads_about(from.db, &about)?;
    if ads.is_empty() {
        bail!("nothing was published about it; ids and names stand on the record's pages");
    }
    if ads.len() > ads_max {
        bail!("{} ads are about it, and {ads_max} fit here", ads.len());
    }
    let mut told = Vec::new();
    for (done, id) in ads.iter().enumerate() {
        step(done as u64, ads.len() as u64);
        let of = ad(from, *id, shown.size)?;
        if !of.versions.is_empty() {
            told.push(of);
        }
    }
    Ok(Document { about, origin: shown.origin, made_at: now, checkpoint: note.to_string(), ads: told })
}

fn ad(from: &mut From<'_>, ad: AdId, size: u64) -> Result<DossierAd> {
    let mut versions = Vec::new();
    for version in from.db.versions(ad, Some(size))? {
        let bytes = from.db.leaf_bytes(version.index)?.context("a leaf is missing in record.db")?;
        let parts = parts(from, &version.leaf, size)?;
        let entry = Proved {
            index: version.index,
            leaf: String::from_utf8(bytes)?,
            path: inclusion_from(from.files, version.index, size)?,
        };
        versions.push(DossierVersion { entry, facts: version.facts, parts });
    }
    Ok(DossierAd { ad, versions })
}

fn parts(from: &mut From<'_>, leaf: &Leaf, size: u64) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for held in &leaf.commitments {
        let object = from.db.object(&held.sha256).map(|bytes| STANDARD.encode(bytes));
        let tombstone = match object {
            Some(_) => None,
            None => tombstone(from, Hash(held.sha256.0), size)?,
        };
        parts.push(Part { part: held.part.clone(), sha256: held.sha256, object, tombstone });
    }
    Ok(parts)
}

fn tombstone(from: &mut From<'_>, object: Hash, size: u64) -> Result<Option<Proved>> {
    let places = (from.places)(KIND_TOMBSTONE, &object.to_hex())?;
    let Some((_, index)) = places.into_iter().find(|(_, index)| *index < size) else { return Ok(None) };
    let tile = Tile::at(Kind::Entries, index / TILE_WIDTH, size).context("no such place in the log")?;
    let bytes = tile_bytes(from.files, tile)?;
    let leaves = entries_of(&bytes, tile.width)?;
    let leaf = leaves.get((index % TILE_WIDTH) as usize).context("no such place in the log")?;
    let leaf = String::from_utf8(leaf.to_vec())?;
    Ok(Some(Proved { index, leaf, path: inclusion_from(from.files, index, size)? }))
}
