//! Creative documents, fetched by hash outside the decision and kept parsed in a bounded cache.

use crate::platform::objects::Objects;
use crate::{http::App, platform::view::View};
use regie_model::{AdId, VersionId, creative::Creative};
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
        self.keep(short, &creative);
        Some(creative)
    }
    fn keep(&self, short: &[u8; 16], creative: &Arc<Creative>) {
        let mut parsed = self.parsed.write().unwrap_or_else(PoisonError::into_inner);
        if parsed.len() >= CACHE_COUNT_MAX {
            parsed.clear();
        }
        parsed.insert(*short, creative.clone());
    }
    fn kept(&self, short: &[u8; 16]) -> Option<Arc<Creative>> {
        self.parsed.read().unwrap_or_else(PoisonError::into_inner).get(short).cloned()
    }
}

/// What a version shows whose creative's hash begins with `short`: stored, or combined from its ad's template, where a code means the
/// same for ever. `None` where neither is to be had, or the combination is not what was promised.
pub fn shown(
    app: &App,
    view: &View,
    ad: AdId,
    version: VersionId,
    short: &[u8; 16],
) -> Option<Arc<Creative>> {
    let Some(code) = version.template_code() else { return app.creatives.get(&app.platform.objects, short) };
    if let Some(kept) = app.creatives.kept(short) {
        return Some(kept);
    }
    let compiled =
        view.ads.get(&ad).and_then(|of| view.snapshot.template(of.ad_set, ad)?.spec().creative(code));
    let booked = || {
        let catalogue = app.platform.catalogue();
        catalogue.ads.get(&ad)?.approved.as_ref()?.template.as_ref()?.creative(code)
    };
    let creative = compiled.or_else(booked)?;
    let hash = regie_model::creative::ObjectHash::of(&creative.to_bytes());
    if hash.short() != *short {
        return None;
    }
    let creative = Arc::new(creative);
    app.creatives.keep(short, &creative);
    Some(creative)
}
