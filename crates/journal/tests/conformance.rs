//! The conformance story on every engine and disk there is. An engine to come adds a test here.

mod story;

use regie_journal::simdisk::{SIM_DIR, SimDisk};
use regie_journal::*;
use std::path::Path;
use std::sync::Arc;

fn on(dir: &Path, options: &Options) -> SqliteJournal {
    SqliteJournal::open(dir, options.clone()).expect("opens")
}

#[test]
fn sqlite_on_a_real_disk() {
    let dir = tempfile::tempdir().expect("tempdir");
    story::tell(|| on(dir.path(), &Options::default()));
    let report = verify(dir.path(), true, &mut |_, _| {}).expect("sound");
    assert_eq!(report.record_count, 15);
}

#[test]
fn sqlite_with_one_connection() {
    let dir = tempfile::tempdir().expect("tempdir");
    let options = Options { exclusive: true, ..Options::default() };
    story::tell(|| on(dir.path(), &options));
}

#[test]
fn sqlite_in_small_segments() {
    let dir = tempfile::tempdir().expect("tempdir");
    let options = Options { segment_bytes_max: 1, checkpoint_bytes: 1, ..Options::default() };
    story::tell(|| on(dir.path(), &options));
}

#[test]
fn sqlite_on_a_simulated_disk() {
    for seed in 0..4 {
        let disk = Arc::new(SimDisk::new(seed));
        let options = Options { disk: disk.clone(), ..Options::default() };
        story::tell(|| on(Path::new(SIM_DIR), &options));
        verify_on(&*disk, Path::new(SIM_DIR), true, &mut |_, _| {}).expect("sound");
    }
}
