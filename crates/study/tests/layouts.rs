//! Every layout is imported from small files of our own making; what does not fit is kept aside.
#![allow(clippy::unwrap_used)] // a failed test says where

use regie_study::import::{ImportOptions, Importer, Mapping, NoProgress, PartOutcome};
use regie_study::rank::{Measure, Partly, Question, rank};
use regie_study::select::Scope;
use regie_study::store::{Dataset, SnapshotId};
use regie_study::{Currency, Day, Store};
use std::io::Write;
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn store_of(names: &[&str], options: &ImportOptions) -> Store {
    let store = Store::in_memory().unwrap();
    let mut importer = Importer::new(&store, options.clone()).unwrap();
    for name in names {
        importer.path(&fixture(name), &mut NoProgress).unwrap();
    }
    drop(importer);
    store
}

fn rows(store: &Store, question: &Question) -> Vec<String> {
    let ranking = rank(store, question, None).unwrap();
    let unit = 1_000_000;
    let one = |r: &regie_study::rank::Ranked| {
        let worst = r.worst.map_or("?".into(), |w| w.to_string());
        let upper = r.upper.map_or("?".into(), |u| (u / unit).to_string());
        format!("{} [{}, {}] {}-{} ads {}", r.label.name, r.lower / unit, upper, r.best, worst, r.ads_count)
    };
    ranking.ranked.iter().map(one).collect()
}

const DAY_ONE: &str = "FacebookAdLibraryReport_2024-05-01_XX_yesterday_advertisers.csv";
const DAY_TWO: &str = "FacebookAdLibraryReport_2024-05-02_XX_yesterday_advertisers.csv";
const WEEK: &str = "FacebookAdLibraryReport_2024-05-02_XX_last_7_days_advertisers.csv";

#[test]
fn meta_reports_of_two_days_add_up() {
    let store = store_of(&[DAY_ONE, DAY_TWO], &ImportOptions::default());
    assert_eq!(
        rows(&store, &Question::default()),
        [
            "Two the Party [11950, 11950] 1-1 ads 16",
            "Party One [5000, 5200] 2-2 ads 15",
            "Ministry of Examples [900, 900] 3-3 ads 3",
            "Shoes Ltd [0, 100] 4-4 ads 40",
        ]
    );
    let only = |from: Option<Day>, to: Option<Day>| Question {
        scope: Scope { from, to, ..Scope::default() },
        ..Question::default()
    };
    assert_eq!(rows(&store, &only(None, Day::parse("2024-05-01")))[0], "Party One [5000, 5100] 1-1 ads 13");
    assert_eq!(
        rows(&store, &only(Day::parse("2024-05-02"), None))[0],
        "Two the Party [7000, 7000] 1-1 ads 9"
    );
    // As known on the first day only the first report exists, and the page bore its old name.
    let early = Question {
        scope: Scope { known_on: Day::parse("2024-05-01"), ..Scope::default() },
        ..Question::default()
    };
    assert_eq!(rows(&store, &early)[1], "Two, the \"Party\" [4950, 4950] 2-2 ads 7");
}

#[test]
fn overlapping_windows_are_refused_by_name() {
    let store = store_of(&[DAY_ONE, DAY_TWO, WEEK], &ImportOptions::default());
    let error = rank(&store, &Question::default(), None).unwrap_err().to_string();
    assert!(
        error.contains("refused")
            && error.contains(WEEK)
            && error.contains(DAY_ONE)
            && error.contains("--window"),
        "{error}"
    );
    let question = Question {
        scope: Scope { window: Some("last_7_days".into()), ..Scope::default() },
        ..Question::default()
    };
    assert_eq!(rows(&store, &question), ["Party One [9000, 9000] 1-1 ads 20"]);
}

#[test]
fn the_same_file_twice_changes_nothing() {
    let store = store_of(&[DAY_ONE], &ImportOptions::default());
    let before = rows(&store, &Question::default());
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join(DAY_ONE);
    std::fs::copy(fixture(DAY_ONE), &path).unwrap();
    let outcome =
        Importer::new(&store, ImportOptions::default()).unwrap().path(&path, &mut NoProgress).unwrap();
    assert!(matches!(outcome.parts[0], PartOutcome::Known { .. }));
    assert_eq!(rows(&store, &Question::default()), before);
    assert_eq!(store.snapshots().unwrap().len(), 1);
}

#[test]
fn zip_members_carry_their_region() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("FacebookAdLibraryReport_2024-05-01_XX_yesterday.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    let stem = "FacebookAdLibraryReport_2024-05-01_XX_yesterday";
    let whole = "Page ID,Page name,Disclaimer,Amount spent (EUR),Number of ads in Library\n1,A,A,300,2\n2,B,B,200,1\n";
    for (name, text) in [
        (format!("{stem}_advertisers.csv"), whole),
        (format!("{stem}_locations.csv"), "Location name,Amount spent (EUR)\nNorth,250\nSouth,≤100\n"),
        (
            format!("regions/{stem}_North.csv"),
            "Page ID,Page name,Disclaimer,Amount spent (EUR)\n1,A,A,200\n2,B,B,≤100\n",
        ),
        (
            format!("regions/{stem}_South.csv"),
            "Page ID,Page name,Disclaimer,Amount spent (EUR)\n1,A,A,≤100\n",
        ),
        ("README.txt".into(), "nothing here\n"),
    ] {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    let store = Store::in_memory().unwrap();
    let outcome =
        Importer::new(&store, ImportOptions::default()).unwrap().path(&path, &mut NoProgress).unwrap();
    assert_eq!(outcome.imported_count(), 4);
    let north =
        Question { scope: Scope { region: Some("north".into()), ..Scope::default() }, ..Question::default() };
    assert_eq!(rows(&store, &north), ["A [200, 200] 1-1 ads 0", "B [0, 100] 2-2 ads 0"]);
    let check = &regie_study::check::reconcile(&store, &Scope::default()).unwrap()[0];
    assert_eq!((check.regions_count, check.regions_within, check.regions_capped), (1, 1, 1));
    // A: 300 against [200, 300] agrees; B: 200 against [0, 100] does not.
    assert_eq!(check.disagreements.iter().map(|d| d.label.name.as_str()).collect::<Vec<_>>(), ["B"]);
}

#[test]
fn google_weeks_keep_currencies_apart_and_steps_as_intervals() {
    let store =
        store_of(&["google-political-ads-advertiser-weekly-spend_2024-05-20.csv"], &ImportOptions::default());
    assert_eq!(
        rows(&store, &Question::default()),
        ["Friends of Jane Doe [900, 1200] 1-1 ads 0", "JANE DOE FOR SENATE [200, 400] 2-2 ads 0"]
    );
    let euros = Question { currency: Currency::parse("EUR"), ..Question::default() };
    assert_eq!(rows(&store, &euros)[0], "Friends of Jane Doe [800, 1000] 1-1 ads 0");
    let rates = Question {
        currency: Currency::parse("USD"),
        rates: vec!["EUR=1.1@2024-05-01".parse().unwrap(), "INR=0.012@2024-05-01".parse().unwrap()],
        ..Question::default()
    };
    assert!(rank(&store, &rates, None).unwrap_err().to_string().contains("same money"));
    // A week over the edge is between nothing and all of it, or counts by its first day.
    let edge = Scope { from: Day::parse("2024-05-01"), ..Scope::default() };
    let bounded = Question { scope: edge.clone(), ..Question::default() };
    assert_eq!(rows(&store, &bounded)[1], "Friends of Jane Doe [0, 1200] 1-2 ads 0");
    let by_start = Question { scope: edge, partly: Partly::ByStart, ..Question::default() };
    assert_eq!(rows(&store, &by_start)[1], "Friends of Jane Doe [0, 100] 2-2 ads 0");
}

#[test]
fn google_creatives_are_ranges() {
    let store = store_of(&["google-political-ads-creative-stats_2024-05-20.csv"], &ImportOptions::default());
    assert_eq!(
        rows(&store, &Question::default()),
        ["JANE DOE FOR SENATE [100000, ?] 1-1 ads 1", "Friends of Jane Doe [100, 1000] 2-2 ads 1"]
    );
    let bad = store.bad_rows(SnapshotId(1), 10).unwrap();
    assert_eq!(
        bad.iter().map(|b| (b.line, b.reason.as_str())).collect::<Vec<_>>(),
        [(4, "no amount in any money column")]
    );
}

#[test]
fn snap_with_38_columns_generated() {
    let store = store_of(&["snap_38_columns_generated_2024-06-30.csv"], &ImportOptions::default());
    assert_eq!(rows(&store, &Question::default()), ["Vote Generated [120, 120] 1-1 ads 2"]);
    let both = Question {
        currency: Currency::parse("USD"),
        rates: vec!["EUR=1.1@2024-06-01".parse().unwrap()],
        ..Question::default()
    };
    assert_eq!(rows(&store, &both)[1], "Generated Youth [82, 82] 2-2 ads 1");
    // No billing address is anywhere in the store.
    let mut seen = String::new();
    store
        .each_subject(|s| {
            seen.push_str(&format!("{s:?}"));
            Ok(())
        })
        .unwrap();
    assert!(!seen.contains("Street") && seen.contains("C00999999"));
}

#[test]
fn api_answers_of_every_age() {
    let store = store_of(&["ads_api_2024-05-20.json"], &ImportOptions::default());
    assert_eq!(
        rows(&store, &Question::default()),
        ["Two [1000000, ?] 1-? ads 1", "Party One [200, 698] 2-? ads 2"]
    );
    let bad = store.bad_rows(SnapshotId(1), 10).unwrap();
    assert_eq!(bad.len(), 1);
    assert!(bad[0].reason.contains("above the upper"), "{:?}", bad[0]);
    let views = Question { measure: Measure::Impressions, ..Question::default() };
    let ranking = rank(&store, &views, None).unwrap();
    assert_eq!(
        (ranking.ranked[0].label.name.as_str(), ranking.ranked[0].lower, ranking.ranked[0].upper),
        ("Party One", 1_001_000, None)
    );
}

#[test]
fn answers_of_the_2018_search() {
    let store = store_of(&["ajax_2018-11-10.json"], &ImportOptions::default());
    assert_eq!(store.snapshots().unwrap()[0].layout, "meta-ajax-2018");
    let ranking = rank(&store, &Question::default(), None).unwrap();
    assert_eq!(rows(&store, &Question::default()), ["Page [100, 499] 1-? ads 1"]);
    assert!(ranking.notes.iter().any(|n| n.contains("1 rows state no amount")), "{:?}", ranking.notes);
}

#[test]
fn any_csv_by_a_mapping_file() {
    let text = std::fs::read_to_string(fixture("table.toml")).unwrap();
    let options = ImportOptions {
        mapping: Some(Mapping::parse(&text, "table.toml").unwrap()),
        ..ImportOptions::default()
    };
    let store = store_of(&["table.csv"], &options);
    assert_eq!(rows(&store, &Question::default()), ["Verein A [1234, 1234] 1-1 ads 0"]);
    let bad: Vec<(u64, String)> =
        store.bad_rows(SnapshotId(1), 10).unwrap().into_iter().map(|b| (b.line, b.reason)).collect();
    assert_eq!(bad.len(), 3);
    assert_eq!(bad[0], (3, "amount: the amount is not a number".into()));
    assert_eq!(bad[1], (4, "the last day is before the first".into()));
    assert_eq!(bad[2], (5, "has 2 fields where the header has 4".into()));
}

#[test]
fn other_encodings_are_read() {
    let text = std::fs::read_to_string(fixture(DAY_ONE)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(DAY_ONE);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, utf16).unwrap();
    let store = Store::in_memory().unwrap();
    Importer::new(&store, ImportOptions::default()).unwrap().path(&path, &mut NoProgress).unwrap();
    assert_eq!(rows(&store, &Question::default())[0], "Party One [5000, 5100] 1-1 ads 13");
}

#[test]
fn unknown_files_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    std::fs::write(&path, "colour,shape\nred,round\n").unwrap();
    let store = Store::in_memory().unwrap();
    let error = Importer::new(&store, ImportOptions::default())
        .unwrap()
        .path(&path, &mut NoProgress)
        .unwrap_err()
        .to_string();
    assert!(error.contains("colour, shape") && error.contains("--mapping"), "{error}");
    let report = "Page ID,Page name,Disclaimer,Amount spent (EUR),Number of ads in Library\n1,A,A,3,1\n";
    std::fs::write(&path, report).unwrap();
    let error = Importer::new(&store, ImportOptions::default())
        .unwrap()
        .path(&path, &mut NoProgress)
        .unwrap_err()
        .to_string();
    assert!(error.contains("--window"), "{error}");
    let options = ImportOptions {
        window: Some("last_7_days".into()),
        known_on: Day::parse("2024-05-07"),
        ..ImportOptions::default()
    };
    Importer::new(&store, options).unwrap().path(&path, &mut NoProgress).unwrap();
    let snapshot = &store.snapshots().unwrap()[0];
    assert_eq!(
        (snapshot.window.from, snapshot.dataset),
        (Day::parse("2024-05-01").unwrap(), Dataset::Advertiser)
    );
}

#[test]
fn shares_by_region_and_audience_are_intervals_of_their_own() {
    let store = store_of(&["ads_shares_2024-06-02.json"], &ImportOptions::default());
    let kinds: Vec<_> =
        store.snapshots().unwrap().iter().map(|s| (s.dataset, s.rows_count, s.bad_rows_count)).collect();
    assert_eq!(kinds, [(Dataset::Ad, 3, 0), (Dataset::AdRegion, 4, 1), (Dataset::AdAudience, 5, 0)]);
    // Sums are those of the ads; shares never add to them.
    assert_eq!(
        rows(&store, &Question::default()),
        ["Two [1000, ?] 1-? ads 2", "Party One [100, 199] 2-? ads 1"]
    );
    let north = Scope { region: Some("North".into()), ..Scope::default() };
    let north = Question { scope: north, ..Question::default() };
    // 0.75 is published to two decimals: 0.745 to 0.755 of 100 to 199 euros.
    let ranking = rank(&store, &north, None).unwrap();
    assert_eq!((ranking.ranked[0].lower, ranking.ranked[0].upper), (74_500_000, Some(150_245_000)));
    assert!(
        ranking.notes.iter().any(|n| n.contains("how the money itself fell is not published")),
        "{:?}",
        ranking.notes
    );
    let split =
        rank(&store, &Question { with_split: true, ..Question::default() }, None).unwrap().split.unwrap();
    let places: Vec<_> =
        split.places.iter().map(|p| (p.place.as_str(), p.upper.map(|u| u / 1_000_000))).collect();
    assert_eq!(places, [("NL", None), ("BE", None), ("North", Some(150)), ("South", Some(50))]);
    assert!(split.is_by_share && split.audience.iter().any(|p| p.place == "female 18-24"));
    // The same file twice changes nothing, shares included.
    let mut importer = Importer::new(&store, ImportOptions::default()).unwrap();
    importer.path(&fixture("ads_shares_2024-06-02.json"), &mut NoProgress).unwrap();
    assert_eq!(store.snapshots().unwrap().len(), 3);
}

#[test]
fn another_publishers_record_is_an_archive_with_exact_figures() {
    let store = store_of(&["record_2026-03-05.json", DAY_ONE], &ImportOptions::default());
    let own = |scope: Scope| Question {
        scope: Scope { platforms: vec!["regie".into()], ..scope },
        ..Question::default()
    };
    let ranking = rank(&store, &own(Scope::default()), None).unwrap();
    assert_eq!(ranking.ranked.len(), 1);
    let first = &ranking.ranked[0];
    assert_eq!((first.lower, first.upper, first.ads_count), (1_500_000, Some(1_500_000), 1));
    assert_eq!(
        (first.label.name.as_str(), first.label.payer.as_str()),
        ("Generated Alliance", "Generated Office")
    );
    let day = Day::parse("2026-03-02");
    let one = rank(&store, &own(Scope { from: day, to: day, ..Scope::default() }), None).unwrap();
    assert_eq!((one.ranked[0].lower, one.ranked[0].views_published), (500_000, 500));
    let bad = store.bad_rows(SnapshotId(1), 10).unwrap();
    assert!(bad[0].reason.contains("nano-units"), "{bad:?}");
    // Exact figures beside the intervals of another platform.
    let both = rows(&store, &Question::default());
    assert!(
        both.iter().any(|r| r.starts_with("Generated Alliance [1, 1]"))
            && both[0].starts_with("Party One [5000, 5100]"),
        "{both:?}"
    );
}

#[test]
fn drifting_formats_are_read_alike() {
    let head = "Page ID,Page name,Disclaimer,Amount spent (EUR),Number of ads in Library";
    let name = "FacebookAdLibraryReport_2024-05-01_XX_yesterday_advertisers.csv";
    let utf16: Vec<u8> =
        format!("{head}\n1,A,\"A, B\",≤100,2\n").encode_utf16().flat_map(u16::to_be_bytes).collect();
    let variants: [(&str, Vec<u8>); 7] = [
        ("mark and capitals", "\u{feff}PAGE ID,PAGE NAME,DISCLAIMER,AMOUNT SPENT (EUR),NUMBER OF ADS IN LIBRARY\r\n1,A,\"A, B\",≤100,2\r\n".into()),
        ("semicolons", format!("{}\n1;A;A, B;≤100;2\n", head.replace(',', ";")).into()),
        ("a spreadsheet's", format!("sep=;\r\n{}\r\n1;A;A, B;≤100;2;;\r\n", head.replace(',', ";")).into()),
        ("tabs", format!("{}\n1\tA\tA, B\t<=100\t2\n", head.replace(',', "\t")).into()),
        ("no mark", utf16),
        ("other columns", "Funding,Page ID,Amount_Spent_EUR,Disclaimer,Page name,Number of ads,New\nx,1,≤100,\"A, B\",A,2,y\n".into()),
        ("quoted line ends", format!("\"{}\"\n1,A,\"A, B\",\"≤100\",\"2\"\n", head.replace(',', "\",\"")).into()),
    ];
    for (what, bytes) in variants {
        let store = Store::in_memory().unwrap();
        let outcome = Importer::new(&store, ImportOptions::default()).unwrap().bytes(name, &bytes).unwrap();
        assert!(
            matches!(outcome, PartOutcome::Imported { rows_count: 1, bad_rows_count: 0, .. }),
            "{what}: {outcome:?}"
        );
        let answer = rank(&store, &Question::default(), None).unwrap();
        let first = &answer.ranked[0];
        assert_eq!(
            (first.label.payer.as_str(), first.upper, first.ads_count),
            ("A, B", Some(100_000_000), 2),
            "{what}"
        );
    }
    // A header without a currency: it is asked for, never guessed.
    let plain = format!("{}\n1,A,A,5,1\n", head.replace(" (EUR)", ""));
    let store = Store::in_memory().unwrap();
    let error =
        Importer::new(&store, ImportOptions::default()).unwrap().bytes(name, plain.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("--currency"), "{error}");
    // The export of the library's own pages writes bounds into one field.
    let export = "ad_archive_id,page_id,page_name,ad_delivery_start_time,ad_delivery_stop_time,byline,currency,spend,impressions\n9,1,A,2024-05-01,2024-05-02,B,EUR,\"lower_bound: 100, upper_bound: 199\",\"lower_bound: 1000000\"\n";
    let outcome = Importer::new(&store, ImportOptions::default())
        .unwrap()
        .bytes("ads_2024-05-20.csv", export.as_bytes())
        .unwrap();
    assert!(matches!(outcome, PartOutcome::Imported { rows_count: 1, .. }), "{outcome:?}");
    assert_eq!(rows(&store, &Question::default()), ["A [100, 199] 1-? ads 1"]);
}
