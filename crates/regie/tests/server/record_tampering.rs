//! Tampering with what the log commits to and what is handed out of it: manifests of what a template showed, and signed dossiers.
//! Each attack, by each attacker, against each verifier, with what docs/LOG.md says of it; an untouched one raises no alarm.

use regie::{
    platform::log::schema::Entries,
    publication::{
        db::RecordDb,
        dossier::{From, document},
        register,
    },
};
use regie_model::{
    AdId, Currency, Day, Nanos, PartyId, UtcMs, VersionId, booking::TemplateSpec, creative::ObjectHash,
    time::DAY_MS,
};
use regie_record::{
    Facts, Previous, RunState,
    commit::Object,
    dayclose::{ClosedDay, MANIFEST_PART, Shown, figures_sheet, manifest_root},
    facts_sheet,
    leaf::{Amounts, Leaf, Sheet},
    log::{
        Checkpoint, Hash, Policy, Signatory,
        cosignature::cosign,
        dossier::{About, Document, Dossier, beside, check},
        leaf::{Opened, opened},
        note::{TYPE_COSIGNATURE, TYPE_ED25519},
        read::{CHECKPOINT_PATH, MemoryFiles, object_path},
        tile::Edge,
        tree::{Frontier, Head},
        verify::{Verdict, Wanted, verify},
    },
};
use serde_json::json;
use std::fmt::Write;

const ORIGIN: &str = "gazette.example/record/log";
const DAY: Day = Day(20_000);
const START: UtcMs = UtcMs(20_000 * DAY_MS);
/// The sponsor that the dossier is about.
const SPONSOR: PartyId = PartyId(1);

fn key(byte: u8) -> Signatory {
    Signatory::new(ORIGIN, TYPE_ED25519, &[byte; 32]).unwrap()
}
fn witness() -> Signatory {
    Signatory::new("witness.example/w", TYPE_COSIGNATURE, &[5; 32]).unwrap()
}
fn policy() -> Policy {
    Policy::of_log(key(1).verifier())
}
fn quorum() -> Policy {
    let (log, witness) = (key(1).verifier(), witness().verifier());
    Policy::parse(&format!("log {log}\nwitness W {witness}\nquorum W\n")).unwrap()
}

fn template() -> TemplateSpec {
    serde_json::from_value(json!({
        "layout": { "kind": "native" },
        "slots": [
            { "name": "title", "capacity": 8, "assets": [{ "text": "One" }, { "text": "Two" }, { "text": "Three" }] },
            { "name": "image", "capacity": 4, "assets": [{ "text": "none" }] },
        ],
    }))
    .unwrap()
}
fn facts(ad: u32, sponsor: PartyId) -> Facts {
    let party = json!({ "id": sponsor, "name": format!("Sponsor {}", sponsor.0), "withheld": false });
    let mut facts: Facts = serde_json::from_value(json!({
        "schema_version": 1, "id": AdId(ad), "campaign": "cam_1", "political": false, "run": "active",
        "sponsor": party, "payer": party, "content": { "landing_url": "https://shop.example/", "versions": [] },
        "period": { "starts_at": START, "ends_at": null, "first_day": null, "last_day": null, "zone": "UTC" },
        "currency": "EUR", "targeting": { "clauses": [], "caps": [], "learned": false, "words": "Everybody" },
        "price": { "model": "free", "currency": "EUR", "words": "Free" }, "history": [],
    }))
    .unwrap();
    if ad == 1 {
        facts.template = Some(template());
    }
    facts
}
/// What the first ad's template showed on the day.
fn lines() -> Vec<Shown> {
    let line = |asset: u16, count: u64| {
        let code = template().encode(&[asset, 0]);
        Shown {
            version: VersionId::of_template(code),
            creative: ObjectHash::of(&template().creative(code).unwrap().to_bytes()),
            impressions_count: count,
            spend_nanos: (count * 1_000).to_string(),
        }
    };
    vec![line(0, 50), line(1, 30), line(2, 20)]
}
fn amounts() -> Amounts {
    Amounts { impressions_count: 100, gross_nanos: Nanos(100_000), ..Amounts::zero(Currency::EUR) }
}

/// Sheets in the log's order; salts are counted.
#[derive(Default)]
struct Maker {
    sheets: Vec<Sheet>,
    salts: u8,
}
impl Maker {
    fn last(&self, ad: u32) -> Option<Leaf> {
        let facts = |s: &&Sheet| s.leaf.ad == AdId(ad) && s.leaf.figures.is_none();
        self.sheets.iter().rev().find(facts).map(|s| s.leaf.clone())
    }
    fn facts(&mut self, facts: &Facts) {
        let before = self.last(facts.id.0);
        let held: Vec<Object> = self.sheets.iter().flat_map(|s| s.objects.clone()).collect();
        let object = |hash: &regie_record::commit::Sha256Hash| {
            held.iter().find(|o| o.hash == *hash).map(|o| o.bytes.clone())
        };
        let previous = before.as_ref().map(|leaf| Previous { leaf, object: &object });
        let at = UtcMs(START.0 + self.sheets.len() as i64 * 1_000);
        let mut salt = || {
            self.salts += 1;
            [self.salts; 32]
        };
        let sheet = facts_sheet(facts, &|_| None, previous.as_ref(), at, &mut salt).unwrap().unwrap();
        self.sheets.push(sheet);
    }
    fn day(&mut self, shown: &[Shown]) {
        let (amounts, zero) = (amounts(), Amounts::zero(Currency::EUR));
        let closed_at = UtcMs(START.0 + DAY_MS);
        let day = ClosedDay {
            ad: AdId(1),
            day: DAY,
            closed_at,
            amounts: &amounts,
            others: &zero,
            breakdowns: &[],
            shown,
            matched_count: Some(400),
            reason: "",
        };
        self.salts += 1;
        let mut salt = 100 + self.salts;
        let mut fresh = || {
            salt += 1;
            [salt; 32]
        };
        let sheet =
            figures_sheet(&day, None, UtcMs(closed_at.0 + self.sheets.len() as i64), &mut fresh).unwrap();
        self.sheets.push(sheet.unwrap());
    }
}

/// The honest record, or one with other lines at the close of the day: facts of three ads (two of the sponsor), one of them stopped
/// later, the template's day, and one entry after it.
fn sheets(shown: &[Shown]) -> Vec<Sheet> {
    let mut maker = Maker::default();
    maker.facts(&facts(1, SPONSOR));
    maker.facts(&facts(2, SPONSOR));
    maker.facts(&facts(3, PartyId(9)));
    maker.facts(&Facts { run: RunState::Paused, ..facts(2, SPONSOR) });
    maker.facts(&Facts { run: RunState::Stopped, ..facts(2, SPONSOR) });
    maker.day(shown);
    let late = UtcMs(START.0 + DAY_MS + 10_000);
    let mut last = facts(4, PartyId(9));
    last.period.starts_at = late;
    maker.facts(&last);
    let bytes = {
        let sheet = maker.sheets.last_mut().unwrap();
        sheet.leaf.at = late;
        sheet.leaf.to_bytes().unwrap()
    };
    maker.sheets.last_mut().unwrap().bytes = bytes;
    maker.sheets
}

/// A log of these sheets, as its owner signs it; honest where the witness has cosigned it.
fn log(sheets: &[Sheet], by: &Signatory, cosigned: bool) -> MemoryFiles {
    let body = Opened {
        origin: ORIGIN.into(),
        key: key(1).verifier().to_string(),
        merge_delay_ms: 60_000,
        continues: None,
        because: None,
    };
    let mut leaves = vec![opened(START.0 - 1, &body).unwrap().to_bytes().unwrap()];
    leaves.extend(sheets.iter().map(|sheet| sheet.bytes.clone()));
    let files = Edge::default().append(&leaves).unwrap();
    let mut files = MemoryFiles(files.into_iter().map(|(tile, bytes)| (tile.path(), bytes)).collect());
    for object in sheets.iter().flat_map(|sheet| &sheet.objects) {
        files.0.insert(object_path(Hash(object.hash.0)), object.bytes.clone());
    }
    let root = Frontier::of(leaves.iter().map(Vec::as_slice)).root();
    let mut note = Checkpoint::new(ORIGIN, Head { size: leaves.len() as u64, root }).sign(&[by]).unwrap();
    if cosigned {
        note.signatures.push(cosign(&note.text, &witness(), 1_790_000_000).unwrap());
    }
    files.0.insert(CHECKPOINT_PATH.into(), note.to_string().into_bytes());
    files
}
fn signed(sheets: &[Sheet]) -> MemoryFiles {
    log(sheets, &key(1), false)
}
fn honest() -> MemoryFiles {
    log(&sheets(&lines()), &key(1), true)
}
fn checkpoint(files: &MemoryFiles) -> String {
    String::from_utf8(files.0[CHECKPOINT_PATH].clone()).unwrap()
}
/// The dossier of a log's own sponsor, as the server makes it.
fn dossier_of(sheets: &[Sheet], files: &MemoryFiles) -> Document {
    let mut db = RecordDb::in_memory().unwrap();
    db.pass(0).unwrap();
    db.ingest(1, sheets, None).unwrap();
    register::catch_up(&db, 3_000).unwrap();
    let mut files = files.clone();
    let places = |_: &str, _: &str| Ok(Vec::new());
    let about = About { sponsor: Some(SPONSOR), election: None };
    let mut from = From { db: &db, files: &mut files, places: &places };
    document(&mut from, about, UtcMs(START.0 + 2 * DAY_MS), 100, &mut |_, _| {}).unwrap()
}

/// Seen by each of three verifiers.
type Seen = [bool; 3];
const ALL: Seen = [true, true, true];
const NONE: Seen = [false, false, false];
/// By whoever remembers, and by who asks for witnesses.
const REMEMBERED: Seen = [false, true, true];

struct Attack<T> {
    by: &'static str,
    what: &'static str,
    seen: Seen,
    made: T,
}
fn attack<T>(by: &'static str, what: &'static str, seen: Seen, made: T) -> Attack<T> {
    Attack { by, what, seen, made }
}
/// Every attack against every verifier, and the table in the document.
fn hold<T>(attacks: &[Attack<T>], alarms: impl Fn(&T) -> Seen) {
    let (mut wrong, mut table) = (String::new(), String::new());
    for attack in attacks {
        let seen = alarms(&attack.made);
        if seen != attack.seen {
            let says = attack.seen;
            writeln!(wrong, "{} {}: the table says {says:?}, found {seen:?}", attack.by, attack.what)
                .unwrap();
        }
        let cells: Vec<&str> = attack.seen.iter().map(|seen| if *seen { "seen" } else { "–" }).collect();
        writeln!(table, "| {} | {} | {} |", attack.by, attack.what, cells.join(" | ")).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
    let docs = include_str!("../../../../docs/LOG.md");
    assert!(docs.contains(&table), "docs/LOG.md does not have this table:\n{table}");
}

/// What is said of a record: at a first visit, with an earlier checkpoint, with a quorum of witnesses.
fn manifest_alarms((files, earlier): &(MemoryFiles, String)) -> Seen {
    let look = |policy: &Policy, seen: Option<String>| {
        let wanted = Wanted { policy, seen, objects: true };
        verify(&mut files.clone(), &wanted, &mut Entries::default(), &mut |_, _| {}).verdict()
    };
    [
        look(&policy(), None) == Verdict::Broken,
        look(&policy(), Some(earlier.clone())) == Verdict::Broken,
        look(&quorum(), None) != Verdict::Verified,
    ]
}
/// The checkpoint of the honest record's first sheets, as somebody remembers it.
fn remembered(sheets_count: usize) -> String {
    checkpoint(&log(&sheets(&lines())[..sheets_count], &key(1), true))
}
/// Sheets up to the day's close, and before it.
const CLOSED: usize = 6;
const OPEN: usize = 5;
/// The sheets with the day's changed.
fn day_changed(change: impl FnOnce(&mut Leaf, &mut Vec<Object>)) -> Vec<Sheet> {
    let mut all = sheets(&lines());
    let sheet = all.iter_mut().find(|sheet| sheet.leaf.figures.is_some()).unwrap();
    change(&mut sheet.leaf, &mut sheet.objects);
    sheet.bytes = sheet.leaf.to_bytes().unwrap();
    all
}
/// The manifest's object, with other lines under a commitment of its own; the root as it was.
fn with_lines(leaf: &mut Leaf, objects: &mut Vec<Object>, shown: &[Shown]) {
    let at = leaf.commitments.iter().position(|c| c.part == MANIFEST_PART).unwrap();
    let made = Object::new([77; 32], &serde_json::to_vec(shown).unwrap());
    objects.retain(|object| object.hash != leaf.commitments[at].sha256);
    leaf.commitments[at].sha256 = made.hash;
    objects.push(made);
}
fn manifest_path(all: &[Sheet]) -> String {
    let leaf = &all.iter().find(|sheet| sheet.leaf.figures.is_some()).unwrap().leaf;
    object_path(Hash(leaf.commitment(MANIFEST_PART).unwrap().0))
}

#[test]
fn an_untouched_manifest_and_an_untouched_dossier_raise_no_alarm() {
    for count in [OPEN, CLOSED] {
        assert_eq!(manifest_alarms(&(honest(), remembered(count))), NONE);
    }
    assert_eq!(dossier_alarms(&honest_dossier()), NONE);
    // Nor a dossier beside a mirror that is behind, or a log that went on.
    let all = sheets(&lines());
    let document = dossier_of(&all, &honest());
    let behind = beside(&document, &mut signed(&all[..4]), &[key(1).verifier()]).unwrap();
    assert_eq!(behind, (Vec::new(), None));
    let older = dossier_of(&all[..5], &signed(&all[..5]));
    assert_eq!(beside(&older, &mut honest(), &[key(1).verifier()]).unwrap(), (Vec::new(), None));
}

#[test]
fn every_attack_on_a_manifest_is_seen_by_whom_the_table_says_and_by_nobody_else() {
    let (all, files) = (sheets(&lines()), honest());
    let path = manifest_path(&all);
    let mut changed = files.clone();
    changed.0.get_mut(&path).unwrap()[60] ^= 1;
    let mut absent = files.clone();
    absent.0.remove(&path);
    let moved = {
        let mut shown = lines();
        (shown[0].impressions_count, shown[1].impressions_count) = (30, 50);
        shown
    };
    let fewer = lines()[..2].to_vec();
    let foreign = {
        let mut shown = lines();
        shown[0].creative = ObjectHash::of(b"something else");
        shown
    };
    let root_of = |shown: &[Shown]| Some(manifest_root(shown).unwrap());
    let relined = |shown: &[Shown]| {
        day_changed(|leaf, objects| {
            with_lines(leaf, objects, shown);
            leaf.figures.as_mut().unwrap().manifest = root_of(shown);
        })
    };
    let closed = |files: MemoryFiles| (files, remembered(CLOSED));
    let attacks = [
        attack("mirror", "changes a line of the manifest", ALL, closed(changed)),
        attack("mirror", "leaves out the manifest, without a tombstone", ALL, closed(absent)),
        attack(
            "host",
            "rewrites the manifest and its entry beneath, and builds all tiles anew, under the old checkpoint",
            ALL,
            {
                let mut files = signed(&relined(&moved));
                files.0.insert(CHECKPOINT_PATH.into(), files_checkpoint(&honest()));
                closed(files)
            },
        ),
        attack(
            "owner",
            "closes a day with lines that do not give the root",
            ALL,
            closed(signed(&day_changed(|leaf, objects| with_lines(leaf, objects, &moved)))),
        ),
        attack(
            "owner",
            "leaves a version out of the lines, and so its impressions",
            ALL,
            closed(signed(&relined(&fewer))),
        ),
        attack(
            "owner",
            "names a creative that the template does not make",
            ALL,
            closed(signed(&relined(&foreign))),
        ),
        attack(
            "owner",
            "shifts impressions between versions of a past day, adds up again and signs anew",
            REMEMBERED,
            closed(signed(&relined(&moved))),
        ),
        attack(
            "owner",
            "shifts impressions between versions at the close, before anybody saw it",
            NONE,
            (log(&sheets(&moved), &key(1), true), remembered(OPEN)),
        ),
    ];
    hold(&attacks, manifest_alarms);
}
fn files_checkpoint(files: &MemoryFiles) -> Vec<u8> {
    files.0[CHECKPOINT_PATH].clone()
}

fn honest_dossier() -> Dossier {
    Dossier::sign(dossier_of(&sheets(&lines()), &honest()), &key(1)).unwrap()
}
/// What is said of a dossier: with the key alone, beside the log or a mirror, with a quorum of witnesses.
fn dossier_alarms(file: &Dossier) -> Seen {
    // As a reader gets it: bytes.
    let Ok(file) = Dossier::parse(&serde_json::to_vec(file).unwrap()) else { return ALL };
    let faulty = |policy: &Policy| check(&file, policy).map_or(true, |report| !report.faults.is_empty());
    let beside = beside(&file.document, &mut honest(), &[key(1).verifier()]);
    let differs = beside.map_or(true, |(faults, evidence)| !faults.is_empty() || evidence.is_some());
    let unwitnessed = check(&file, &quorum()).map_or(true, |report| !report.witnessed);
    let alone = faulty(&policy());
    [alone, alone || differs, faulty(&quorum()) || unwitnessed]
}
/// The honest dossier changed by who has no key.
fn carried(change: impl FnOnce(&mut Dossier)) -> Dossier {
    let mut file = honest_dossier();
    change(&mut file);
    file
}
/// The honest dossier changed and signed by who has.
fn owned(change: impl FnOnce(&mut Document)) -> Dossier {
    let mut document = honest_dossier().document;
    change(&mut document);
    Dossier::sign(document, &key(1)).unwrap()
}

#[test]
fn every_attack_on_a_dossier_is_seen_by_whom_the_table_says_and_by_nobody_else() {
    let all = sheets(&lines());
    let beside_the_log = [false, true, false];
    let forked: Vec<Sheet> = {
        let mut maker = Maker::default();
        maker.facts(&facts(1, SPONSOR));
        let mut other = facts(2, SPONSOR);
        other.targeting.words = "Somebody else".into();
        maker.facts(&other);
        maker.facts(&facts(3, PartyId(9)));
        maker.facts(&Facts { run: RunState::Paused, ..other.clone() });
        maker.facts(&Facts { run: RunState::Stopped, ..other });
        maker.day(&lines());
        maker.sheets
    };
    let attacks = [
        attack(
            "mirror",
            "changes a fact in it",
            ALL,
            carried(|file| {
                let facts = file.document.ads[0].versions[0].facts.as_mut().unwrap();
                facts.targeting.words = "Somebody else".into();
            }),
        ),
        attack("mirror", "leaves out an ad", ALL, carried(|file| drop(file.document.ads.pop()))),
        attack(
            "mirror",
            "leaves out an object",
            ALL,
            carried(|file| {
                file.document.ads[0].versions[0].parts[0].object = None;
            }),
        ),
        attack("mirror", "makes it again and signs it with a key of its own", ALL, {
            let mut document = honest_dossier().document;
            document.ads.pop();
            Dossier::sign(document, &key(66)).unwrap()
        }),
        attack("mirror", "hands out an older one of the same log as the present one", NONE, {
            let older = log(&all[..5], &key(1), true);
            Dossier::sign(dossier_of(&all[..5], &older), &key(1)).unwrap()
        }),
        attack(
            "owner",
            "states other facts than the objects say",
            ALL,
            owned(|document| {
                let facts = document.ads[0].versions[0].facts.as_mut().unwrap();
                facts.targeting.words = "Somebody else".into();
            }),
        ),
        attack(
            "owner",
            "leaves out an object without a tombstone",
            ALL,
            owned(|document| {
                document.ads[0].versions[0].parts[0].object = None;
            }),
        ),
        attack(
            "owner",
            "puts another object in place of one",
            ALL,
            owned(|document| {
                let other = document.ads[1].versions[0].parts[0].object.clone();
                document.ads[0].versions[0].parts[0].object = other;
            }),
        ),
        attack(
            "owner",
            "leaves out the middle version of an ad",
            ALL,
            owned(|document| {
                drop(document.ads[1].versions.remove(1));
            }),
        ),
        attack(
            "owner",
            "leaves out the newest version of an ad",
            beside_the_log,
            owned(|document| {
                drop(document.ads[1].versions.pop());
            }),
        ),
        attack("owner", "leaves out an ad", beside_the_log, owned(|document| drop(document.ads.pop()))),
        attack(
            "owner",
            "adds an ad of another sponsor",
            ALL,
            owned(|document| {
                let mut of = document.ads[0].clone();
                of.ad = AdId(3);
                document.ads.push(of);
            }),
        ),
        attack("owner", "makes it of a history that nobody else is shown", [false, true, true], {
            let files = signed(&forked);
            Dossier::sign(dossier_of(&forked, &files), &key(1)).unwrap()
        }),
        attack("owner", "leaves out what it never logged", NONE, honest_dossier()),
    ];
    hold(&attacks, dossier_alarms);
    // The dossier of another history is proof against its owner.
    let files = signed(&forked);
    let document = dossier_of(&forked, &files);
    let (_, evidence) = beside(&document, &mut honest(), &[key(1).verifier()]).unwrap();
    assert!(evidence.unwrap().check(&[key(1).verifier()]).unwrap().contains("two histories"));
}
