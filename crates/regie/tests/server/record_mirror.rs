//! A Regie that mirrors logs (C2SP tlog-mirror): what it takes in and what it refuses, by the rules of "add-checkpoint" and
//! "add-entries", over HTTP; uploads that are cut off and go on; a copy that is verified when its log is gone.

use crate::common::{Harness, Reply};
use regie::config::Config;
use regie::platform::log::client::{HttpMirror, HttpSource, Roots};
use regie_record::log::{
    Append, Checkpoint, Envelope, Note, Policy, Signatory,
    hash::object_of,
    leaf::{Opened, opened},
    mirror::folder_of,
    note::TYPE_ED25519,
    push::{PushError, push},
    read::{MemoryFiles, Source, consistency_from, object_path},
    tile::Edge,
    tree::{Frontier, Head},
    upload::{MirrorInfo, Package, Upload},
    verify::{NoSchema, Verdict, Wanted, verify},
    witness::AddCheckpoint,
};
use serde_json::json;

const ORIGIN: &str = "gazette.example/record/log";

fn signatory() -> Signatory {
    Signatory::new(ORIGIN, TYPE_ED25519, &[7; 32]).unwrap()
}
/// A log of so many entries in memory; one of another history from `fork` on.
fn log(size: u64, fork: u64) -> MemoryFiles {
    let leaf = |n: u64| {
        if n == 0 {
            let key = signatory().verifier().to_string();
            let body =
                Opened { origin: ORIGIN.into(), key, merge_delay_ms: 60_000, continues: None, because: None };
            return opened(1_790_000_000_000, &body).unwrap().to_bytes().unwrap();
        }
        let body = if n < fork { json!({ "n": n }) } else { json!({ "n": n, "other": 1 }) };
        Envelope::new("facts", &format!("ad_{n}"), 1, 1_790_000_000_000 + n as i64, &body)
            .unwrap()
            .to_bytes()
            .unwrap()
    };
    let leaves: Vec<Vec<u8>> = (0..size).map(leaf).collect();
    let root = Frontier::of(leaves.iter().map(Vec::as_slice)).root();
    let files = Edge::default().append(&leaves).unwrap();
    let mut files = MemoryFiles(files.into_iter().map(|(tile, bytes)| (tile.path(), bytes)).collect());
    let note = Checkpoint::new(ORIGIN, Head { size, root }).sign(&[&signatory()]).unwrap();
    files.0.insert("checkpoint".into(), note.to_string().into_bytes());
    files
}
fn straight(size: u64) -> MemoryFiles {
    log(size, u64::MAX)
}
fn configure(config: &mut Config) {
    config.mirror_logs = vec![signatory().verifier().to_string()];
    config.mirror_name = "mirror.example/m1".into();
}
fn start() -> Harness {
    Harness::with(configure)
}
fn client(server: &Harness) -> HttpMirror {
    let key = server.anonymous().get("/mirror/key").expect(200).text().trim().to_owned();
    HttpMirror::parse(&format!("{key} {}/mirror", server.url), &Roots::default()).unwrap()
}
fn announce(server: &Harness, files: &mut MemoryFiles, old_size: u64) -> Reply {
    let note = Note::parse(&files.get("checkpoint").unwrap().unwrap()).unwrap();
    let size = Checkpoint::parse(&note.text).unwrap().size;
    let proof = consistency_from(files, old_size.min(size), size).unwrap();
    let text = AddCheckpoint { old_size, proof, checkpoint: note }.to_text();
    server.anonymous().send("POST", "/mirror/add-checkpoint", Some("text/plain"), text.as_bytes())
}
/// A request of a log: its header, and so many of its packages.
fn request(files: &mut MemoryFiles, start: u64, end: u64, packages: usize) -> Vec<u8> {
    let upload = Upload { origin: ORIGIN.into(), start, end, ticket: Vec::new() };
    let mut bytes = upload.to_bytes().unwrap();
    for span in upload.spans().take(packages) {
        bytes.extend(Package::of(files, span, end).unwrap().to_bytes().unwrap());
    }
    bytes
}
fn send(server: &Harness, bytes: &[u8]) -> Reply {
    server.anonymous().send("POST", "/mirror/add-entries", Some("application/octet-stream"), bytes)
}
fn info(answer: &Reply) -> (u64, u64) {
    assert_eq!(answer.header("content-type"), "text/x.tlog.mirror-info");
    let info = MirrorInfo::parse(&answer.text()).unwrap();
    (info.size, info.next)
}
/// Size of the checkpoint that the mirror shows, which must have the mirror's cosignature.
fn shown(server: &Harness) -> Option<u64> {
    let path = format!("/mirror/{}/checkpoint", folder_of(ORIGIN));
    let answer = server.anonymous().get(&path);
    if answer.status == 404 {
        return None;
    }
    let note = Note::parse(&answer.expect(200).body).unwrap();
    let names: Vec<&str> = note.signatures.iter().map(|line| line.name.as_str()).collect();
    assert_eq!(names, [ORIGIN, "mirror.example/m1"]);
    Some(Checkpoint::parse(&note.text).unwrap().size)
}
fn verdict(server: &Harness) -> Verdict {
    let its = server.anonymous().get("/mirror/key").expect(200).text().trim().to_owned();
    let log = signatory().verifier();
    let policy = Policy::parse(&format!("log {log}\nwitness M {its}\nquorum M\n")).unwrap();
    let mut source = HttpSource::new(&format!("{}/mirror/{}", server.url, folder_of(ORIGIN)));
    let wanted = Wanted { policy: &policy, seen: None, objects: false };
    let report = verify(&mut source, &wanted, &mut NoSchema, &mut |_, _| {});
    let verdict = report.verdict();
    assert!(verdict != Verdict::Verified || report.findings.is_empty(), "{:?}", report.findings);
    verdict
}

#[test]
fn a_log_is_pushed_as_it_grows_and_the_copy_is_cosigned() {
    let server = start();
    let keys = [signatory().verifier()];
    let mut mirror = client(&server);
    assert_eq!(shown(&server), None);
    for size in [1, 200, 256, 300, 700, 10_000] {
        let pushed = push(&mut straight(size), &keys, &mut mirror, &mut |_, _| {}).unwrap();
        assert_eq!((pushed.checkpoint.size, shown(&server)), (size, Some(size)));
    }
    // 10,000 entries are 40 packages: more than one request has.
    let again = push(&mut straight(10_000), &keys, &mut mirror, &mut |_, _| {}).unwrap();
    assert_eq!(again.entries_count, 0, "nothing is sent twice");
    assert_eq!(verdict(&server), Verdict::Verified);
    let page = server.anonymous().get("/mirror").expect(200).text();
    assert!(page.contains(ORIGIN) && page.contains("10000"), "{page}");
    // Not a log of its own, nor a file outside the copy.
    server.anonymous().get(&format!("/mirror/{}/checkpoint", folder_of("other.example"))).expect(404);
    server.anonymous().get(&format!("/mirror/{}/..%2f..%2fmirror.db", folder_of(ORIGIN))).expect(404);
    // A copy that is older than what the mirror has is told so.
    let behind = push(&mut straight(700), &keys, &mut mirror, &mut |_, _| {});
    assert_eq!(behind, Err(PushError::Ahead(10_000)));
}

#[test]
fn a_checkpoint_is_pending_by_the_rules_of_a_witness() {
    let server = start();
    let post = |text: &str| {
        server.anonymous().send("POST", "/mirror/add-checkpoint", Some("text/plain"), text.as_bytes())
    };
    post("nonsense").expect(400);
    let stranger = Signatory::new("stranger.example/log", TYPE_ED25519, &[8; 32]).unwrap();
    let theirs = Checkpoint::new("stranger.example/log", Head { size: 0, root: Default::default() });
    post(&format!("old 0\n\n{}", theirs.sign(&[&stranger]).unwrap())).expect(404);
    let first = announce(&server, &mut straight(300), 0).expect(200);
    assert_eq!(first.text(), "", "a checkpoint alone is not cosigned");
    assert_eq!(shown(&server), None, "and not shown");
    let conflict = announce(&server, &mut straight(700), 0).expect(409);
    assert_eq!((conflict.text(), conflict.header("content-type")), ("300\n".into(), "text/x.tlog.size"));
    announce(&server, &mut log(700, 100), 300).expect(422);
    announce(&server, &mut log(300, 100), 300).expect(409);
    let forged = Signatory::new(ORIGIN, TYPE_ED25519, &[9; 32]).unwrap();
    let note =
        Checkpoint::new(ORIGIN, Head { size: 301, root: Default::default() }).sign(&[&forged]).unwrap();
    post(&format!("old 300\n\n{note}")).expect(403);
    announce(&server, &mut straight(700), 300).expect(200);
}

#[test]
fn an_upload_is_refused_where_the_rules_say_so() {
    let server = start();
    let mut files = straight(700);
    // A request for nothing tells where the mirror stands.
    assert_eq!(info(&send(&server, &request(&mut files, 0, 0, 0)).expect(409)), (0, 0));
    announce(&server, &mut files, 0).expect(200);
    let told = send(&server, &request(&mut files, 0, 0, 0)).expect(409);
    assert_eq!((info(&told), told.header("accept-encoding")), ((700, 0), "gzip"));
    // Neither whole nor a header.
    send(&server, b"").expect(400);
    send(&server, &request(&mut files, 0, 700, 0)).expect(400);
    let whole = request(&mut files, 0, 700, 3);
    send(&server, &whole[..1_000]).expect(400);
    let mut backwards = whole.clone();
    backwards[2 + ORIGIN.len()] = 1;
    send(&server, &backwards).expect(400);
    // A log that is not mirrored, an end that is no checkpoint's, a start beyond the next entry.
    let mut other = whole.clone();
    other[2] ^= 1;
    send(&server, &other).expect(404);
    assert_eq!(info(&send(&server, &request(&mut straight(699), 0, 699, 3)).expect(409)), (700, 0));
    assert_eq!(info(&send(&server, &request(&mut files, 256, 700, 2)).expect(409)), (700, 0));
    // Entries that are not the checkpoint's, whatever their own proof says; nothing of them is kept.
    send(&server, &request(&mut log(700, 3), 0, 700, 3)).expect(422);
    let mut changed = whole.clone();
    let at = changed.windows(6).position(|w| w == br#""n":5}"#).unwrap();
    changed[at + 4] = b'6';
    send(&server, &changed).expect(422);
    assert_eq!(info(&send(&server, &request(&mut files, 0, 0, 0)).expect(409)), (700, 0));
    // What comes before the wrong one is kept.
    let mut second = whole.clone();
    let at = second.windows(8).position(|w| w == br#""n":300}"#).unwrap();
    second[at + 6] = b'1';
    send(&server, &second).expect(422);
    assert_eq!(info(&send(&server, &request(&mut files, 0, 0, 0)).expect(409)), (700, 256));
    assert_eq!(shown(&server), None);
    let packed = server.anonymous().with("content-encoding", "br");
    let unread = packed.send("POST", "/mirror/add-entries", Some("application/octet-stream"), &whole);
    unread.expect(415);
}

#[test]
fn an_upload_that_is_cut_off_goes_on_and_survives_a_restart() {
    let server = start();
    let mut files = straight(700);
    announce(&server, &mut files, 0).expect(200);
    let whole = request(&mut files, 0, 700, 3);
    // Cut within the second package: the first one counts.
    assert_eq!(
        info(&send(&server, &whole[..request(&mut files, 0, 700, 1).len() + 99]).expect(202)),
        (700, 256)
    );
    let server = server.restart_with(configure);
    assert_eq!(info(&send(&server, &request(&mut files, 256, 700, 1)).expect(202)), (700, 512));
    assert_eq!(shown(&server), None, "half a log is not cosigned");
    // Sent again from the start, with what is here already.
    let done = send(&server, &whole).expect(200);
    assert!(done.text().starts_with("— mirror.example/m1 "), "{}", done.text());
    assert_eq!((shown(&server), verdict(&server)), (Some(700), Verdict::Verified));
    // It goes on from within a bundle, by the entries that are here.
    let mut more = straight(900);
    announce(&server, &mut more, 700).expect(200);
    let server = server.restart_with(configure);
    send(&server, &request(&mut more, 700, 900, 2)).expect(200);
    assert_eq!((shown(&server), verdict(&server)), (Some(900), Verdict::Verified));
}

#[test]
fn an_older_checkpoint_may_be_finished_and_none_is_ever_rewound() {
    let server = start();
    announce(&server, &mut straight(300), 0).expect(200);
    announce(&server, &mut straight(700), 300).expect(200);
    // Entries up to the newer checkpoint are here in part, and the older one is finished first.
    let ahead = send(&server, &request(&mut straight(700), 0, 700, 2)).expect(202);
    assert_eq!(info(&ahead), (700, 512));
    send(&server, &request(&mut straight(300), 0, 300, 2)).expect(200);
    assert_eq!((shown(&server), verdict(&server)), (Some(300), Verdict::Verified));
    send(&server, &request(&mut straight(700), 512, 700, 1)).expect(200);
    assert_eq!((shown(&server), verdict(&server)), (Some(700), Verdict::Verified));
    assert_eq!(info(&send(&server, &request(&mut straight(300), 0, 300, 2)).expect(409)), (700, 700));
    assert_eq!(shown(&server), Some(700));
}

#[test]
fn a_record_is_pushed_by_the_command_and_read_when_its_server_is_gone() {
    let mut origin = Harness::start();
    let now = origin.app.platform.now().0;
    let entries: Vec<Append> = (1..=300u32)
        .map(|ad| {
            let (name, object) = object_of(&[ad as u8; 32], format!("Sponsor {ad}").as_bytes());
            let mut leaf = Envelope::new("facts", &format!("ad_{ad}"), 1, now, &json!({ "ad": ad })).unwrap();
            leaf.commitments.insert("sponsor".into(), name);
            Append { leaf: leaf.to_bytes().unwrap(), objects: vec![(name, object)] }
        })
        .collect();
    origin.app.log.append(&entries, 0).unwrap();
    let log = origin.app.log.verifiers().remove(0);
    let url = format!("{}/record/log", origin.url);
    let server = Harness::with(|config| config.mirror_logs = vec![format!("{log} {url}")]);
    let its = server.anonymous().get("/mirror/key").expect(200).text().trim().to_owned();
    let push = || -> serde_json::Value {
        let output = crate::program::program()
            .args(["--json", "mirror", &url, "--key", &log.to_string()])
            .args(["--push", &format!("{its} {}/mirror", server.url)])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let mirror = server.app.mirror.clone().unwrap();
    let told = push();
    assert_eq!((told["mirrored_entries"].as_u64(), told["sent_entries"].as_u64()), (Some(301), Some(301)));
    while mirror.fetch_objects().unwrap() > 0 {}
    let object =
        |hash| server.anonymous().get(&format!("/mirror/{}/{}", folder_of(log.name()), object_path(hash)));
    let first = entries[0].objects[0].0;
    object(first).expect(200);
    // What the record withholds by a tombstone, its mirror does too.
    origin
        .app
        .log
        .withhold("facts ad_1", "sponsor", first, "GDPR Art. 17", origin.app.platform.now())
        .unwrap();
    let told = push();
    assert_eq!((told["mirrored_entries"].as_u64(), told["sent_entries"].as_u64()), (Some(302), Some(1)));
    while mirror.fetch_objects().unwrap() > 0 {}
    object(first).expect(404);
    origin.stop();
    let policy = Policy::parse(&format!("log {log}\nwitness M {its}\nquorum M\n")).unwrap();
    let mut source = HttpSource::new(&format!("{}/mirror/{}", server.url, folder_of(log.name())));
    let wanted = Wanted { policy: &policy, seen: None, objects: true };
    let report = verify(&mut source, &wanted, &mut NoSchema, &mut |_, _| {});
    assert_eq!(report.verdict(), Verdict::Verified, "{:?}", report.findings);
    assert_eq!((report.objects_count, report.withheld.len()), (299, 1));
}

#[test]
fn a_mirror_or_witness_that_lost_its_memory_takes_another_key() {
    let both = |config: &mut Config| {
        configure(config);
        config.witness_logs = vec![signatory().verifier().to_string()];
        config.witness_name = "witness.example/w1".into();
    };
    let keys = |server: &Harness| {
        ["/mirror/key", "/witness"].map(|path| server.anonymous().get(path).expect(200).text())
    };
    let server = Harness::with(both);
    let before = keys(&server);
    let mut server = server.restart_with(both);
    assert_eq!(keys(&server), before, "a start alone changes nothing");
    push(&mut straight(300), &[signatory().verifier()], &mut client(&server), &mut |_, _| {}).unwrap();
    server.stop();
    for name in ["mirror.db", "witness.db"] {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(server.folder().join(format!("{name}{suffix}")));
        }
    }
    let server = server.restart_with(both);
    let after = keys(&server);
    assert!(after[0] != before[0] && after[1] != before[1], "{after:?}");
    // The files of the copy are there; it is taken in again from the start, and cosigned by the new key.
    push(&mut straight(300), &[signatory().verifier()], &mut client(&server), &mut |_, _| {}).unwrap();
    assert_eq!((shown(&server), verdict(&server)), (Some(300), Verdict::Verified));
}
