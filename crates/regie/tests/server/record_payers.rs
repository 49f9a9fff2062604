//! Days closed for payers, from a real journal to an audit file that is checked without the server.

use regie::{
    config::Config,
    platform::{
        Parts, Platform,
        folder::Folder,
        log::{
            RecordLog,
            payers::{Payers, invoice_of},
        },
        objects::Objects,
        secrets::Secrets,
        state_db::StateDb,
    },
};
use regie_journal::{JournalReader, Position};
use regie_model::{UtcMs, event::Event};
use regie_record::log::{
    Policy,
    audit::{AuditFile, audit, sign_invoice},
};
use std::{path::Path, sync::Arc};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The platform on a folder, as it will be ten days after its last record.
fn later(folder: &Folder) -> Arc<Platform> {
    let mut last = UtcMs(0);
    let mut records = Vec::new();
    let mut reader = JournalReader::open(&folder.journal(), Position(0)).unwrap();
    reader
        .for_each(|record| {
            last = UtcMs(record.at_ms);
            records.push((record.position.0, UtcMs(record.at_ms), record.payload.to_vec()));
        })
        .unwrap();
    let now = UtcMs(last.0 + 10 * 86_400_000);
    let platform = Platform::open(Parts {
        clock: Arc::new(move || now),
        secrets: Secrets::open(&folder.secrets_db()).unwrap(),
        objects: Objects::new(&folder.objects()),
        state: StateDb::open(&folder.state_db()).unwrap(),
        restored: false,
    })
    .unwrap();
    let from = platform.position();
    for (position, at, payload) in records.iter().filter(|(position, ..)| *position > from) {
        platform.observe_one(*position, *at, payload, true);
    }
    platform.finish_observing();
    let charged =
        records.iter().filter(|(.., p)| matches!(Event::decode(p), Ok(Event::Impression(_)))).count();
    assert!(charged >= 30, "the folder has {charged} impressions: it tests nothing");
    platform
}

/// The same by `regie audit --invoice`, as a payer runs it: without folder, server or network.
fn command_agrees(dir: &Path, file: &AuditFile, policy: &Policy) {
    let (path, key) = (dir.join("invoice.json"), policy.logs[0].key.to_string());
    let run = |file: &AuditFile, more: &[&str]| {
        std::fs::write(&path, serde_json::to_vec(file).unwrap()).unwrap();
        let output = crate::program::program()
            .args(["--json", "audit", "--key", &key, "--invoice"])
            .arg(&path)
            .args(more)
            .output()
            .unwrap();
        let told = serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), told)
    };
    let (code, told) = run(file, &[]);
    assert_eq!((code, &told["agrees"]), (0, &true.into()), "{told}");
    // What was really paid is another sum than what was published: said, and not the publisher's own contradiction.
    let more = (file.invoice.net_micros + 1).to_string();
    let (code, told) = run(file, &["--paid-micros", &more]);
    assert_eq!((code, &told["agrees"]), (1, &false.into()), "{told}");
    // A day that is left out no longer fits what was signed.
    let mut fewer = file.clone();
    fewer.days.pop();
    assert_eq!(run(&fewer, &[]).0, 1);
}

#[test]
fn an_invoice_is_checked_against_the_public_log_alone() {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/folder-0.1"), dir.path());
    let folder = Folder::open(dir.path()).unwrap();
    let platform = later(&folder);
    let config = Config { public_url: "https://ads.example".into(), ..Config::default() };
    let log = RecordLog::open(&folder, &platform.secrets, &config, platform.now()).unwrap();
    let payers = Payers::open(&folder).unwrap();
    let mut days = 0;
    while payers.close_next(&platform, &log).unwrap() {
        days += 1;
    }
    assert!(days >= 9, "{days}");
    let advertiser = *platform.catalogue().advertisers.keys().next().unwrap();
    let (zone, mut files) = (platform.catalogue().advertisers[&advertiser].spec.zone.clone(), Vec::new());
    let mut reader = JournalReader::open(&folder.journal(), Position(0)).unwrap();
    let mut months = std::collections::BTreeSet::new();
    reader
        .for_each(|record| {
            months.insert(zone.day(UtcMs(record.at_ms)).year_month());
        })
        .unwrap();
    for (year, month) in months {
        let invoice = platform.folds().ledger.invoice(advertiser, year, month).unwrap();
        if !invoice.lines.is_empty() {
            files.push(payers.audit_file(&log, invoice_of(&invoice), advertiser).unwrap());
        }
    }
    assert!(!files.is_empty(), "nothing was billed: the folder tests nothing");
    let policy = Policy::of_log(log.verifiers().remove(0));
    for file in &files {
        let report = audit(&serde_json::to_string(file).unwrap(), &policy, None).unwrap();
        assert_eq!(report.differences, Vec::<String>::new());
        assert!(report.events_count > 0 && report.days_count > 0);
        // An invoice over one event too many is evidence against who signed it.
        let mut more: AuditFile = file.clone();
        more.invoice.lines[0].quantity_count += 1;
        more.signed = sign_invoice(&more.invoice, &more.days, log.signatory().unwrap()).unwrap().to_string();
        let report = audit(&serde_json::to_string(&more).unwrap(), &policy, None).unwrap();
        assert!(report.is_evidence && report.differences[0].contains("events are asked for"));
    }
    command_agrees(dir.path(), &files[0], &policy);
    // Closing again closes nothing twice.
    let size = log.head().head.size;
    assert!(!Payers::open(&folder).unwrap().close_next(&platform, &log).unwrap());
    assert_eq!(log.head().head.size, size);
}
