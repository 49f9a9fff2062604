//! Rankings against a slow oracle, filters, groupings with dates, differences, own record, command line.

#![allow(clippy::unwrap_used)] // a failed test says where

use proptest::prelude::*;
use regie_study::diff::{DiffQuestion, diff};
use regie_study::group::Grouping;
use regie_study::import::{ImportOptions, Importer, Mapping, OwnEntry, OwnSource};
use regie_study::kinds::Kind;
use regie_study::rank::{Question, Ranked, rank};
use regie_study::select::Scope;
use regie_study::{Currency, Day, Store};

const RANGES: &str = "platform='t'\nrule='range'\ncurrency='EUR'\nknown_on='2024-01-31'\n[columns]\nname='who'\nspend_lower='low'\nspend_upper='high'\n";

fn ranges(rows: &[(String, u32, Option<u32>)]) -> Store {
    let mut text = String::from("who,low,high\n");
    for (who, low, high) in rows {
        text.push_str(&format!("{who},{low},{}\n", high.map(|h| h.to_string()).unwrap_or_default()));
    }
    let store = Store::in_memory().unwrap();
    let options =
        ImportOptions { mapping: Some(Mapping::parse(RANGES, "m").unwrap()), ..ImportOptions::default() };
    Importer::new(&store, options).unwrap().bytes("t.csv", text.as_bytes()).unwrap();
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Best and worst ranks equal those over every pair, and no assignment of true values breaks them.
    #[test]
    fn ranks_are_what_the_intervals_allow(
        rows in proptest::collection::vec((0u8..9, 0u32..60, proptest::option::weighted(0.9, 0u32..40)), 1..40),
        truth in 0u32..=100,
    ) {
        let rows: Vec<(String, u32, Option<u32>)> = rows.into_iter().map(|(who, low, more)| (format!("w{who}"), low, more.map(|m| low + m))).collect();
        let answer = rank(&ranges(&rows), &Question { top: 100, ..Question::default() }, None).unwrap();
        let top = |r: &Ranked| r.upper.unwrap_or(i128::MAX);
        // One possible truth: everybody at the same share of the way from lower to upper, odd ranks reversed.
        let value = |r: &Ranked| {
            let share = if r.rank.is_multiple_of(2) { i128::from(truth) } else { 100 - i128::from(truth) };
            r.lower + (r.upper.unwrap_or(r.lower * 3 + 1_000_000) - r.lower) * share / 100
        };
        for a in &answer.ranked {
            let best = 1 + answer.ranked.iter().filter(|b| b.lower > top(a)).count() as u64;
            let worst = 1 + answer.ranked.iter().filter(|b| b.rank != a.rank && top(b) > a.lower).count() as u64;
            prop_assert_eq!((a.best, a.worst), (best, Some(worst)));
            let real = 1 + answer.ranked.iter().filter(|b| value(b) > value(a)).count() as u64;
            prop_assert!((best..=worst).contains(&real), "{} not in {}..={}", real, best, worst);
            let (low, high): (u64, u64) = rows.iter().filter(|r| r.0 == a.label.name).fold((0, 0), |s, r| (s.0 + u64::from(r.1), s.1 + u64::from(r.2.unwrap_or(0))));
            prop_assert_eq!(a.lower, i128::from(low) * 1_000_000);
            if let Some(upper) = a.upper { prop_assert_eq!(upper, i128::from(high) * 1_000_000); }
        }
    }
}

const GROUPING: &str = "# regie-grouping 1\n# title: T\n# residual: Rest\n# unmapped: apart\nentity,match,platform,value,from,until,kind,status,score,evidence,author,date\n";

#[test]
fn groups_residuals_and_the_unmapped_stand_apart() {
    let rows = [("A Inc", 10, Some(10)), ("B", 20, Some(25)), ("C", 40, Some(40)), ("D", 50, Some(50))];
    let store = ranges(&rows.map(|(w, l, h)| (w.to_owned(), l, h)));
    let text = GROUPING.to_owned()
        + "Both,name,,a,,,,accepted,,e,me,2024-01-01\nBoth,name,,B,,,,accepted,,e,me,2024-01-01\nRest,name,,D,,,,accepted,,e,me,2024-01-01\nBoth,name,,C,,,,proposed,700,e,me,2024-01-01\n";
    let grouping = Grouping::parse(&text, "g").unwrap();
    let answer = rank(&store, &Question::default(), Some(&grouping)).unwrap();
    assert_eq!(answer.ranked.len(), 1);
    let both = &answer.ranked[0];
    assert_eq!((both.lower, both.upper, both.units_count), (30_000_000, Some(35_000_000), 2));
    assert_eq!(answer.residual[0].lower, 50_000_000);
    let unmapped = answer.unmapped.unwrap();
    assert_eq!((unmapped.count, unmapped.lower, unmapped.largest[0].0.name.as_str()), (1, 40_000_000, "C"));
}

const WEEKS: &str = "Advertiser_ID,Advertiser_Name,Week_Start_Date,Spend_USD\n";

fn weeks(store: &Store, day: &str, rows: &str) {
    let name = format!("{day}_advertiser-weekly-spend.csv");
    Importer::new(store, ImportOptions::default())
        .unwrap()
        .bytes(&name, format!("{WEEKS}{rows}").as_bytes())
        .unwrap();
}

#[test]
fn dated_links_follow_the_day_of_the_fact() {
    let store = Store::in_memory().unwrap();
    weeks(
        &store,
        "2024-03-01",
        "AR1,The Page,2024-01-01,1000\nAR1,The Page,2024-02-05,3000\nAR2,Other,2024-01-01,500\n",
    );
    let text = GROUPING.to_owned()
        + "Old owner,account,google,AR1,,2024-01-31,,accepted,,e,me,d\nNew owner,account,google,AR1,2024-02-01,,,accepted,,e,me,d\n";
    let answer = rank(&store, &Question::default(), Some(&Grouping::parse(&text, "g").unwrap())).unwrap();
    let shown: Vec<(&str, i128)> =
        answer.ranked.iter().map(|r| (r.label.name.as_str(), r.published / 1_000_000)).collect();
    assert_eq!(shown, [("New owner", 3000), ("Old owner", 1000)]);
    assert_eq!(answer.unmapped.unwrap().published, 500_000_000);
}

#[test]
fn differences_tell_restatement_from_another_id() {
    let store = Store::in_memory().unwrap();
    weeks(
        &store,
        "2024-03-01",
        "AR1,One Org,2024-01-01,1000\nAR1,One Org,2024-01-08,0\nAR2,Two,2024-01-01,500\nAR3,Gone,2024-01-01,70\n",
    );
    weeks(
        &store,
        "2024-04-01",
        "AR9,ONE ORG,2024-01-01,1200\nAR2,Two,2024-01-01,500\nAR4,New,2024-01-01,0\n",
    );
    let question = DiffQuestion {
        scope: Scope::default(),
        first: Day::parse("2024-03-15").unwrap(),
        second: Day::parse("2024-04-15").unwrap(),
    };
    let found = diff(&store, &question).unwrap();
    let a = found.as_published;
    assert_eq!(
        (a.common, a.changed, a.vanished, a.vanished_zero, a.appeared, a.appeared_zero),
        (1, 0, 3, 1, 2, 1)
    );
    let j = found.joined;
    assert_eq!((j.common, j.changed, j.up, j.vanished, j.appeared), (2, 1, 1, 2, 1));
    assert_eq!((j.up_micros, j.vanished_micros), (200_000_000, 70_000_000));
    assert_eq!((found.reidentified.len(), found.reidentified[0].new.account.as_str()), (1, "AR9"));
    assert_eq!((a.first_micros, a.second_micros), (1_570_000_000, 1_700_000_000));
}

#[test]
fn government_and_companies_are_taken_out_with_a_reason() {
    let rows = [("Ministry of Examples", 90, Some(90)), ("Shoes Ltd", 80, Some(80)), ("Party", 10, Some(10))];
    let store = ranges(&rows.map(|(w, l, h)| (w.to_owned(), l, h)));
    let question = Question { exclude: vec![Kind::Government, Kind::Commercial], ..Question::default() };
    let answer = rank(&store, &question, None).unwrap();
    assert_eq!(answer.ranked.len(), 1);
    let excluded = answer.excluded.unwrap();
    assert_eq!((excluded.count, excluded.published), (2, 170_000_000));
    assert!(excluded.largest.iter().all(|l| !l.2.is_empty()), "{:?}", excluded.largest);
}

#[test]
fn own_record_ranks_alone_and_with_others() {
    let store = Store::in_memory().unwrap();
    weeks(&store, "2024-03-01", "AR1,Jane Doe Committee,2024-01-01,1000\nAR2,Other,2024-01-01,1100\n");
    let day = |t: &str| Day::parse(t).unwrap();
    let source = OwnSource {
        publisher: "The Gazette".into(),
        country: String::new(),
        known_on: day("2024-02-01"),
        window: (day("2024-01-01"), day("2024-01-31")),
        checkpoint: "abc".into(),
    };
    let entry = |ad: &str, spend_nanos: i128| OwnEntry {
        account: "acct_1".into(),
        sponsor: "Jane Doe Committee".into(),
        payer: String::new(),
        ad: ad.into(),
        region: String::new(),
        election: String::new(),
        currency: Currency::parse("USD").unwrap(),
        day: day("2024-01-03"),
        spend_nanos,
        impressions_count: 1234,
    };
    let bad = || OwnEntry { impressions_count: -1, ..entry("bad", 0) };
    let entries = || vec![entry("ad1", 150_000_001_000), entry("ad2", 250_000_000_499), bad()];
    let first =
        Importer::new(&store, ImportOptions::default()).unwrap().own_record(&source, entries()).unwrap();
    assert_eq!(first.rows_count(), (2, 1));
    let again =
        Importer::new(&store, ImportOptions::default()).unwrap().own_record(&source, entries()).unwrap();
    assert_eq!(again.imported_count(), 0);
    let own = Question {
        scope: Scope { platforms: vec!["regie".into()], ..Scope::default() },
        ..Question::default()
    };
    let alone = rank(&store, &own, None).unwrap();
    assert_eq!(
        (alone.ranked[0].lower, alone.ranked[0].upper, alone.ranked[0].ads_count),
        (400_000_001, Some(400_000_001), 2)
    );
    let text = GROUPING.replace("apart", "alone") + "Jane Doe,name,,Jane Doe Committee,,,,accepted,,e,me,d\n";
    let both = rank(&store, &Question::default(), Some(&Grouping::parse(&text, "g").unwrap())).unwrap();
    assert_eq!((both.ranked[0].label.name.as_str(), both.ranked[0].published), ("Jane Doe", 1_400_000_001));
    assert!(both.ranked[0].upper.unwrap() > both.ranked[0].lower);
}

mod command_line {
    use clap::Parser;
    use regie_study::cli::{StudyArgs, Terminal, run};

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        study: StudyArgs,
    }

    fn study(folder: &std::path::Path, line: &str) -> Result<String, String> {
        let db = folder.join("s.db");
        let args = ["study", "--store", db.to_str().unwrap()].into_iter().map(str::to_owned);
        let args = args.chain(line.split(' ').map(|a| a.replace("FOLDER", folder.to_str().unwrap())));
        let arguments = Arguments::try_parse_from(args).map_err(|e| e.to_string())?;
        let mut out = Vec::new();
        let today = regie_study::Day::parse("2024-06-01").unwrap();
        run(&arguments.study, &mut Terminal { out: &mut out, shows_progress: false, today, own: None })
            .map_err(|e| e.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn from_files_to_a_report() {
        let folder = tempfile::tempdir().unwrap();
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        let study = |line: &str| study(folder.path(), &line.replace("FIX", fixtures));
        assert!(study("rank").unwrap_err().contains("study import"));
        study("import FIX/FacebookAdLibraryReport_2024-05-01_XX_yesterday_advertisers.csv").unwrap();
        let text =
            study("import FIX/FacebookAdLibraryReport_2024-05-01_XX_yesterday_advertisers.csv").unwrap();
        assert!(text.contains("nothing changed"), "{text}");
        assert!(study("list").unwrap().contains("meta advertiser XX"));
        let text = study("rank --exclude government").unwrap();
        assert!(
            text.contains("Party One")
                && text.contains("taken out by the filter")
                && text.contains("We ranked 3 candidates"),
            "{text}"
        );
        let json: serde_json::Value = serde_json::from_str(&study("--json rank").unwrap()).unwrap();
        assert_eq!(json["ranked"][0]["lower"], "5000000000");
        for file in ["r.csv", "r.json", "r.parquet"] {
            study(&format!("export --out FOLDER/{file}")).unwrap();
        }
        assert!(study("export --facts --out FOLDER/f.parquet").unwrap().contains("5 rows"));
        study("export --facts --out FOLDER/f.csv").unwrap();
        assert!(std::fs::read(folder.path().join("f.parquet")).unwrap().starts_with(b"PAR1"));
        assert!(std::fs::read_to_string(folder.path().join("f.csv")).unwrap().contains("5000000000"));
        study("report --out FOLDER/r.html").unwrap();
        let html = std::fs::read_to_string(folder.path().join("r.html")).unwrap();
        assert!(
            html.contains("Two, the &quot;Party&quot;") && html.contains("<svg") && !html.contains("<script")
        );
        assert!(
            !html.contains("http://")
                || html.matches("http://").count() == html.matches("http://www.w3.org/2000/svg").count()
        );
        study("group auto --out FOLDER/g.csv").unwrap();
        assert!(study("rank --dataset nonsense").unwrap_err().contains("weekly"));
        assert!(study("rank --region Nowhere").unwrap().contains("We ranked 0 candidates"));
    }

    #[test]
    fn the_own_record_is_read_by_whoever_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("s.db");
        let own = |named: &std::path::Path| {
            let day = super::Day::parse("2026-03-01").unwrap();
            let source = super::OwnSource {
                publisher: named.display().to_string(),
                country: String::new(),
                known_on: day,
                window: (day, day),
                checkpoint: "x".into(),
            };
            let entry = super::OwnEntry {
                account: "party_1".into(),
                sponsor: "Generated".into(),
                payer: String::new(),
                ad: "ad_1".into(),
                region: String::new(),
                election: String::new(),
                currency: super::Currency::parse("EUR").unwrap(),
                day,
                spend_nanos: 5_000,
                impressions_count: 2,
            };
            Ok((source, vec![entry]))
        };
        let today = regie_study::Day::parse("2026-06-01").unwrap();
        for (line, cite) in [("import --own", ", public"), ("import --own=there", "there, public")] {
            let _ = std::fs::remove_file(&db);
            let args = ["study", "--store", db.to_str().unwrap()].into_iter().chain(line.split(' '));
            let arguments = Arguments::try_parse_from(args).unwrap();
            let mut out = Vec::new();
            let mut terminal = Terminal { out: &mut out, shows_progress: false, today, own: Some(&own) };
            run(&arguments.study, &mut terminal).unwrap();
            let snapshots = regie_study::Store::open(&db).unwrap().snapshots().unwrap();
            assert_eq!((snapshots.len(), snapshots[0].rows_count), (1, 1));
            assert!(snapshots[0].cite.starts_with(cite), "{}", snapshots[0].cite);
        }
        assert!(study(folder.path(), "import --own").unwrap_err().contains("whole program"));
        assert!(study(folder.path(), "import").is_err());
    }

    #[test]
    fn proposals_are_decided_and_undone() {
        let folder = tempfile::tempdir().unwrap();
        let study = |line: &str| study(folder.path(), line);
        std::fs::write(folder.path().join("map.csv"), "party,page\nOne,1001\nRest,1004\nOne,1009\n").unwrap();
        study("group convert FOLDER/map.csv --column entity=party --column account=page --platform meta --residual Rest --author me --out FOLDER/g.csv").unwrap();
        study("group decide FOLDER/g.csv 1 undo --author you").unwrap();
        let text = study("group show FOLDER/g.csv").unwrap();
        assert!(
            text.contains("undone One")
                && text.contains("before: accepted by me")
                && text.contains("(you, 2024-06-01)"),
            "{text}"
        );
        std::fs::copy(folder.path().join("g.csv"), folder.path().join("h.csv")).unwrap();
        study("group decide FOLDER/h.csv 1 accept --author you").unwrap();
        assert!(
            study("group diff FOLDER/g.csv FOLDER/h.csv")
                .unwrap()
                .contains("2 the same, 1 added, 0 removed, 0 moved")
        );
    }

    #[test]
    fn the_demo_without_data_ends_with_a_report() {
        let folder = tempfile::tempdir().unwrap();
        let text = study(folder.path(), "demo --out FOLDER/d.html").unwrap();
        assert!(text.contains("274,100") && text.contains("37,665,000") && !text.contains("WRONG"), "{text}");
        assert!(std::fs::read_to_string(folder.path().join("d.html")).unwrap().contains("1 to unknown"));
    }
}
