//! The pages against a plain map, by random bookings; the image of the pages, whole and damaged.

use super::*;
use crate::{
    catalogue::{Catalogue, ImageReader, Kept},
    creative::Size,
};
use proptest::prelude::*;

const SHAPES: [Shape; 3] = [Shape::Banner(Size { width: 300, height: 250 }), Shape::Native, Shape::Text];

/// One booking: (kind, version, creative, text, weight).
type Step = (u8, u32, u8, u8, u32);

fn record(ad: u32, creative: u8, text: u8, weight: u32) -> VersionRecord {
    VersionRecord {
        ad: AdId(ad),
        name: "n".repeat(usize::from(text % 3)),
        creative: ObjectHash::of(&[creative]),
        shape: SHAPES[usize::from(creative % 3)],
        weight,
        external_id: (!text.is_multiple_of(4)).then(|| format!("own-{text}")),
    }
}

/// What the catalogue did before it had pages.
#[derive(Default)]
struct Plain {
    versions: BTreeMap<VersionId, VersionState>,
    external: BTreeMap<String, VersionId>,
}
impl Plain {
    fn put(&mut self, at: UtcMs, id: VersionId, record: VersionRecord) {
        if let Some(external) = &record.external_id {
            self.external.insert(external.clone(), id);
        }
        match self.versions.get_mut(&id) {
            Some(version) => {
                if version.kept.spec.creative != record.creative {
                    version.review = Review::Pending;
                }
                version.kept.revision += 1;
                version.kept.spec = record;
                version.kept.changed_at = at;
            }
            None => {
                let status = Status::Active;
                let kept = Kept { revision: 1, spec: record, status, created_at: at, changed_at: at };
                self.versions.insert(id, VersionState { kept, review: Review::Pending, approved: None });
            }
        }
    }
    fn review(&mut self, id: VersionId, creative: ObjectHash, review: &Review) {
        if let Some(version) = self.versions.get_mut(&id).filter(|v| v.kept.spec.creative == creative) {
            version.review = review.clone();
            version.approved = (*review == Review::Approved).then_some((creative, version.kept.spec.shape));
        }
    }
}

/// Writes and reads an image of these versions.
fn through_image(versions: Versions) -> (Catalogue, Vec<Vec<u8>>) {
    let catalogue = Catalogue { versions, ..Catalogue::default() };
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let kept: Result<(), ()> = catalogue.write_image(|frame| {
        frames.push(frame.to_vec());
        Ok(())
    });
    kept.unwrap();
    let mut reader = ImageReader::default();
    frames.iter().for_each(|frame| reader.frame(&frame.clone().into()).unwrap());
    let read = reader.finish();
    assert_eq!(read, catalogue);
    (read, frames)
}

/// The steps done to both; before step `restart`, the versions are read back from an image.
fn both(steps: &[Step], restart: usize) -> (Versions, Plain) {
    let (mut paged, mut plain) = (Versions::default(), Plain::default());
    for (at, (kind, id, creative, text, weight)) in steps.iter().enumerate() {
        if at == restart {
            paged = through_image(paged).0.versions;
        }
        let (at, id) = (UtcMs(at as i64), VersionId(id % 1_200));
        let known = plain.versions.get(&id).map(|v| v.kept.spec.creative).unwrap_or_default();
        match kind % 6 {
            0..3 => {
                let record = record(id.0 % 7, *creative, *text, *weight);
                paged.put(at, id, &record);
                plain.put(at, id, record);
            }
            3 => {
                let status = [Status::Paused, Status::Active][usize::from(*text % 2)];
                paged.set_status(at, id, status);
                if let Some(version) = plain.versions.get_mut(&id) {
                    version.kept.status = status;
                    version.kept.changed_at = at;
                }
            }
            _ => {
                let review = match text % 2 {
                    0 => Review::Approved,
                    _ => Review::Rejected { reason: format!("reason {text}") },
                };
                paged.review(id, known, &review);
                plain.review(id, known, &review);
            }
        }
    }
    (paged, plain)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn pages_say_what_a_map_would(
        steps in proptest::collection::vec((0u8..6, 0u32..12, 0u8..6, any::<u8>(), 0u32..4), 0..120),
        far in 0u32..1_200,
        restart in 0usize..160,
    ) {
        let steps: Vec<Step> = steps.into_iter().map(|(k, id, c, t, w)| (k, id * far, c, t, w)).collect();
        let (paged, plain) = both(&steps, restart);
        let listed: BTreeMap<_, _> = paged.iter().collect();
        prop_assert_eq!(&listed, &plain.versions);
        prop_assert_eq!(paged.len(), plain.versions.len());
        prop_assert_eq!(paged.last_id(), plain.versions.keys().next_back().copied());
        for (external, id) in &plain.external {
            prop_assert_eq!(paged.by_external(external), Some(*id), "{}", external);
        }
        prop_assert_eq!(paged.by_external("nobody's"), None);
        for (id, version) in &plain.versions {
            let served = version.approved.filter(|_| version.kept.status == Status::Active);
            let served = served.filter(|_| version.kept.spec.weight > 0);
            prop_assert_eq!(paged.servable(*id).map(|s| (s.creative, s.shape)), served);
        }
        // And so does what is read back.
        let (read, frames) = through_image(paged.clone());
        for (external, id) in &plain.external {
            prop_assert_eq!(read.versions.by_external(external), Some(*id));
        }
        for (number, frame) in frames.iter().enumerate() {
            for cut in (0..frame.len()).step_by(1 + frame.len() / 20) {
                let mut reader = ImageReader::default();
                prop_assert!(reader.frame(&frame[..cut].to_vec().into()).is_err(), "frame {} cut at {}", number, cut);
            }
        }
    }
}

#[test]
fn a_snapshot_of_the_pages_does_not_move() {
    let mut versions = Versions::default();
    versions.put(UtcMs(1), VersionId(1), &record(1, 0, 0, 1));
    versions.review(VersionId(1), ObjectHash::of(&[0]), &Review::Approved);
    let before = versions.pages();
    versions.set_status(UtcMs(2), VersionId(1), Status::Paused);
    assert!(before.servable(VersionId(1)).is_some());
    assert!(versions.servable(VersionId(1)).is_none());
}

#[test]
fn texts_that_are_edited_again_and_again_do_not_pile_up() {
    let mut versions = Versions::default();
    for edit in 0..5_000u32 {
        let mut record = record(1, 0, 1, 1);
        record.name = format!("{edit:0100}");
        versions.put(UtcMs(1), VersionId(edit % 3), &record);
    }
    assert!(versions.memory_bytes() < 60_000, "{}", versions.memory_bytes());
    assert_eq!(versions.get(&VersionId(0)).map(|v| v.kept.spec.name), Some(format!("{:0100}", 4_998)));
}
