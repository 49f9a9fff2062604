//! `regie export`: Parquet that others read, with the figures of the report.

use crate::{
    explain::regie,
    scene::{Booking, Scene},
};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, RowAccessor},
};
use serde_json::{Value, json};
use std::{fs::File, path::Path, process::Command};

/// Events of two ad sets: ten impressions each, some seen, some clicked, one bought.
fn deliver(scene: &Scene) -> i64 {
    let mut owed = 0;
    for bid in [
        json!({ "kind": "cpm", "micros_per_mille": 2_000_000 }),
        json!({ "kind": "cpc", "micros_per_click": 300_000 }),
    ] {
        let shop = scene.book(&Booking::cpm("Some", 1).set(json!({ "bid": bid })));
        for number in 0..10 {
            let ticket = scene.ticket();
            let price = scene.open(&ticket).price_nanos;
            scene.report(&[("impression", &ticket)]).expect(200);
            if number % 2 == 0 {
                scene.report(&[("viewable", &ticket)]).expect(200);
            }
            let clicks = number % 5 == 0;
            if clicks {
                scene.click(&ticket);
            }
            owed += if bid["kind"] == "cpm" || clicks { price } else { 0 };
        }
        scene
            .owner
            .post(&format!("/v1/ad-sets/{}/status", shop.ad_set), json!({ "status": "paused" }))
            .expect(200);
    }
    owed
}
fn days(to: &Path) -> Vec<std::path::PathBuf> {
    let mut days: Vec<_> = std::fs::read_dir(to).unwrap().map(|e| e.unwrap().path()).collect();
    days.sort();
    days
}

#[test]
fn events_leave_as_parquet_and_sum_to_the_report() {
    let scene = Scene::start();
    let owed = deliver(&scene);
    let totals = scene.figures("by=campaign")["totals"][0].clone();
    assert_eq!(totals["gross_nanos"], owed);
    let to = tempfile::tempdir().unwrap();
    let output = regie(scene.harness.folder(), &["--json", "export", to.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["events"], 34, "{told}");
    let (mut count, mut sum, mut kinds) = (0, 0, std::collections::BTreeMap::<String, i64>::new());
    for day in days(to.path()) {
        assert!(day.file_name().unwrap().to_str().unwrap().starts_with("day=20"), "{day:?}");
        let reader = SerializedFileReader::new(File::open(day.join("events.parquet")).unwrap()).unwrap();
        let columns = reader.metadata().file_metadata().schema_descr().num_columns();
        assert_eq!(columns, 23);
        let names: Vec<String> = reader
            .metadata()
            .file_metadata()
            .schema_descr()
            .columns()
            .iter()
            .map(|c| c.name().to_owned())
            .collect();
        let at = |name: &str| {
            names.iter().position(|n| n == name).unwrap_or_else(|| panic!("{name} in {names:?}"))
        };
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let (kind, billing) =
                (row.get_string(at("kind")).unwrap().clone(), row.get_string(at("billing")).unwrap().clone());
            if kind == billing {
                sum += row.get_long(at("price_nanos")).unwrap();
            }
            assert_eq!(row.get_string(at("currency")).unwrap(), "EUR");
            let (_, time) = row.get_column_iter().nth(at("at")).unwrap();
            assert!(matches!(time, Field::TimestampMillis(ms) if *ms > 1_700_000_000_000), "{time:?}");
            assert_eq!(row.get_double(at("propensity")).unwrap(), 1.0);
            *kinds.entry(kind).or_default() += 1;
            count += 1;
        }
    }
    assert_eq!(count, 34);
    for (kind, figure) in
        [("impression", "impressions_count"), ("viewable", "viewable_count"), ("click", "clicks_count")]
    {
        assert_eq!(json!(kinds[kind]), totals[figure], "{kind}");
    }
    assert_eq!(sum, owed, "price by the event that is billed");
    by_python(to.path(), owed);
}

/// Reads the same files through whatever other reader is here.
fn by_python(to: &Path, owed: i64) {
    let scripts = [
        (
            "duckdb",
            "import duckdb,sys; print(duckdb.sql(f\"select sum(price_nanos)::bigint from read_parquet('{sys.argv[1]}/*/*.parquet') where kind = billing\").fetchone()[0])",
        ),
        (
            "pyarrow",
            "import pyarrow.dataset as d,pyarrow.compute as c,sys\nt=d.dataset(sys.argv[1],partitioning='hive').to_table()\nprint(c.sum(t.filter(c.equal(t['kind'],t['billing']))['price_nanos']).as_py())",
        ),
    ];
    for (module, script) in scripts {
        let found = Command::new("python3").args(["-c", &format!("import {module}")]).output();
        if !found.is_ok_and(|o| o.status.success()) {
            println!("SKIP reading the export with {module}: python3 has no module of this name");
            continue;
        }
        let output = Command::new("python3").args(["-c", script]).arg(to).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            owed.to_string(),
            "{module}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn days_are_chosen_and_mistakes_are_named() {
    let scene = Scene::start();
    scene.book(&Booking::cpm("Some", 2_000_000));
    scene.report(&[("impression", &scene.ticket())]).expect(200);
    let to = tempfile::tempdir().unwrap();
    let text = to.path().to_str().unwrap();
    let run = |args: &[&str]| {
        let output = regie(scene.harness.folder(), &[&["--json", "export", text], args].concat());
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    assert!(run(&["--until", "2020-01-01"]).1.contains("\"events\":0"));
    assert!(run(&["--from", "2020-01-01"]).1.contains("\"events\":1"));
    let (ended_well, told) = run(&["--from", "yesterday"]);
    assert!(!ended_well && told.contains("YYYY-MM-DD"), "{told}");
    let nowhere = regie(&to.path().join("nothing"), &["export", text]);
    let told = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(!nowhere.status.success() && told.contains("no data folder"), "{told}");
}
