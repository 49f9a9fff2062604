//! Creative documents, fetched by hash outside the decision and kept parsed in a bounded cache.

use crate::platform::objects::Objects;
use regie_model::creative::Creative;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Documents kept at most.
const CACHE_COUNT_MAX: usize = 20_000;

/// The cache.
#[derive(Default)]
pub struct Creatives {
    parsed: RwLock<HashMap<[u8; 16], Arc<Creative>>>,
}

impl Creatives {
    /// The creative whose hash begins with `short`, if it is stored and sound.
    pub fn get(&self, objects: &Objects, short: &[u8; 16]) -> Option<Arc<Creative>> {
        if let Some(found) = self.parsed.read().unwrap_or_else(PoisonError::into_inner).get(short) {
            return Some(found.clone());
        }
        let bytes = objects.get_short(short)?;
        let creative: Arc<Creative> = Arc::new(serde_json::from_slice(&bytes).ok()?);
        let mut parsed = self.parsed.write().unwrap_or_else(PoisonError::into_inner);
        if parsed.len() >= CACHE_COUNT_MAX {
            parsed.clear();
        }
        parsed.insert(*short, creative.clone());
        Some(creative)
    }
}
