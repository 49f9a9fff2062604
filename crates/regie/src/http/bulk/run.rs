//! A table of bookings being taken in: read in batches, each row checked by itself, the sound ones sent together.
//!
//! A row is found again by its `id`, else by its `external_id`; one that changes nothing is not sent. So a table can be
//! sent again after a stop, and doubles nothing. Soft state: how far a run is.

use super::{
    Job,
    table::{self, HEAD},
};
use crate::{
    http::{
        AppState,
        auth::Caller,
        booking::{entities, kind, kind::Kind, parse, scope, send, show},
        problem::Problem,
    },
    uploads::image_type,
};
use regie_model::{
    Faults,
    booking::Status,
    command::{Command, EntityRef},
    creative::ObjectHash,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Rows that are checked and sent together.
const BATCH_ROWS: usize = 500;

/// What a row asks for.
struct Wanted {
    line: u64,
    row: csv::StringRecord,
    command: Command,
    status: Option<Status>,
    is_new: bool,
}

/// A status to be set after its row; whether that is what the row counts by.
struct Switch {
    entity: EntityRef,
    status: Status,
    is_counted: bool,
}

/// What became of the check of a row.
enum Checked {
    Send(Box<Wanted>),
    /// Nothing but, perhaps, its status differs.
    Same(Option<Switch>),
    Bad(u64, csv::StringRecord, Faults),
}

/// Takes a whole table in. Ends early only when the journal does.
pub async fn run(app: AppState, caller: Caller, job: Arc<Job>, bytes: bytes::Bytes) {
    let outcome = work(&app, &caller, &job, bytes).await;
    job.finish(outcome.err().map(
        |problem| {
            if problem.detail.is_empty() { problem.title } else { problem.detail }
        },
    ));
}

async fn work(app: &AppState, caller: &Caller, job: &Arc<Job>, bytes: bytes::Bytes) -> Result<(), Problem> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(std::io::Cursor::new(bytes));
    let columns = job.columns.clone();
    loop {
        let (a, c, j, names) = (Arc::clone(app), caller.clone(), Arc::clone(job), columns.clone());
        let step = tokio::task::spawn_blocking(move || {
            let mut batch = Vec::with_capacity(BATCH_ROWS);
            for record in reader.records().take(BATCH_ROWS) {
                batch.push(check(&a, &c, &j, &names, record));
            }
            (reader, batch)
        });
        let (again, batch) = step.await.map_err(Problem::internal)?;
        reader = again;
        if batch.is_empty() {
            return Ok(());
        }
        take(app, caller, job, batch).await?;
    }
}

/// One row: what it asks for, whether anything is wrong with it, whether anything differs.
fn check(
    app: &AppState,
    caller: &Caller,
    job: &Job,
    columns: &[String],
    record: Result<csv::StringRecord, csv::Error>,
) -> Checked {
    let mut faults = Faults::new();
    let row = match record {
        Ok(row) => row,
        Err(error) => {
            let line = error.position().map_or(0, csv::Position::line);
            faults.add("", "malformed", "This line cannot be read as CSV in UTF-8.");
            return Checked::Bad(line, csv::StringRecord::new(), faults);
        }
    };
    let line = row.position().map_or(0, csv::Position::line);
    if row.len() != columns.len() {
        let told = format!("This line has {} cells, the header {}.", row.len(), columns.len());
        faults.add("", "malformed", told);
        return Checked::Bad(line, row, faults);
    }
    let cell = |name: &str| {
        let at = columns.iter().position(|c| c == name)?;
        row.get(at).map(str::trim).filter(|t| !t.is_empty())
    };
    let status = cell("status").map(|t| serde_json::from_value::<Status>(t.into()));
    faults.when(
        matches!(status, Some(Err(_))),
        "status",
        "unknown",
        "A status is draft, active, paused or archived.",
    );
    let entity = known(app, caller, job.kind, cell("id"), cell("external_id"), &mut faults);
    let shown = entity.and_then(|e| show::show(app, &app.platform.catalogue(), caller, e));
    let base = shown.as_ref().map(|json| json["spec"].clone());
    let mut spec = table::filled(base.clone(), columns, &row, &mut faults);
    complete_picture(app, &mut spec);
    let revision = cell("revision").map(str::parse::<u32>);
    faults.when(
        matches!(revision, Some(Err(_))),
        "revision",
        "malformed",
        "The revision is the number that was last read.",
    );
    let status = status
        .and_then(Result::ok)
        .filter(|s| shown.as_ref().map_or(*s != Status::Active, |json| json["status"] != json!(s)));
    if faults.is_empty() && base.as_ref().is_some_and(|old| table::bare(old) == table::bare(&spec)) {
        let switch = |(entity, status)| Switch { entity, status, is_counted: true };
        return Checked::Same(entity.zip(status).map(switch));
    }
    // Only an edit is made on a revision; a new row that names one was exported elsewhere.
    let revision = revision.and_then(Result::ok).filter(|_| entity.is_some());
    let (command, mut read) = entities::read_command(job.kind, entity, revision, spec);
    faults.0.append(&mut read.0);
    let Some(mut command) = command else { return Checked::Bad(line, row, faults) };
    entities::own(caller, &mut command);
    faults.when(scope::may_send(caller, &command).is_err(), "", "forbidden", "You may not do this.");
    // Where a cell could not be read, the others are checked on a value made up for it.
    let mut more = send::asset_faults(&app.platform, &command);
    more.0.append(&mut send::dry_faults(&app.platform, caller, &command).0);
    for fault in more.0 {
        if !faults.0.iter().any(|told| parse::covers(&told.field, &fault.field)) {
            faults.0.push(fault);
        }
    }
    if !faults.is_empty() {
        return Checked::Bad(line, row, faults);
    }
    Checked::Send(Box::new(Wanted { line, row, command, status, is_new: entity.is_none() }))
}

/// The thing that a row means, if there is one for this caller.
fn known(
    app: &AppState,
    caller: &Caller,
    of: Kind,
    id: Option<&str>,
    external: Option<&str>,
    faults: &mut Faults,
) -> Option<EntityRef> {
    let catalogue = app.platform.catalogue();
    let there = |e: &EntityRef| scope::may_see(&catalogue, caller, *e);
    if let Some(id) = id {
        let found = of.parse(id).filter(there);
        faults.when(found.is_none(), "id", "unknown", format!("There is no {id}."));
        return found;
    }
    let external = external?;
    let found = match of {
        Kind::Campaign => catalogue.external_campaigns.get(external).map(|id| EntityRef::Campaign(*id)),
        Kind::AdSet => catalogue.external_ad_sets.get(external).map(|id| EntityRef::AdSet(*id)),
        Kind::Ad => catalogue.external_ads.get(external).map(|id| EntityRef::Ad(*id)),
        Kind::Version => catalogue.versions.by_external(external).map(EntityRef::Version),
        _ => None,
    };
    found.filter(there)
}

/// A picture is known by its hash: what else a creative says of it is read from its bytes.
fn complete_picture(app: &AppState, spec: &mut Value) {
    let Some(asset) = spec.pointer_mut("/creative/asset").and_then(Value::as_object_mut) else { return };
    let hash = asset.get("hash").and_then(Value::as_str).and_then(ObjectHash::parse);
    let Some(bytes) = hash.and_then(|h| app.platform.objects.get(&h)) else { return };
    if let Some(found) = image_type(&bytes) {
        asset.insert("media_type".into(), found.media_type.into());
        asset.insert("size_bytes".into(), bytes.len().into());
        asset.insert("size".into(), json!({ "width": found.size.width, "height": found.size.height }));
    }
}

/// Sends what is sound of a batch, and counts everything.
async fn take(app: &AppState, caller: &Caller, job: &Job, batch: Vec<Checked>) -> Result<(), Problem> {
    let (mut wanted, mut statuses) = (Vec::new(), Vec::new());
    for checked in batch {
        match checked {
            Checked::Send(row) if job.dry_run => job.count(if row.is_new { "created" } else { "changed" }),
            Checked::Send(row) => wanted.push(*row),
            Checked::Same(Some(switch)) if !job.dry_run => statuses.push(switch),
            Checked::Same(Some(_)) => job.count("changed"),
            Checked::Same(None) => job.count("unchanged"),
            Checked::Bad(line, row, faults) => job.bad(line, &row, &faults),
        }
    }
    if !wanted.is_empty() {
        let commands = wanted.iter().map(|w| w.command.clone()).collect();
        match send::send(app, caller, commands).await {
            Ok(accepted) => {
                for (row, done) in wanted.iter().zip(&accepted) {
                    sent(job, row, &done.id, &mut statuses);
                }
            }
            Err(problem) if problem.status >= 500 => return Err(problem),
            // Rows that are sound alone and not together, such as two edits of one thing: one after the other.
            Err(_) => one_by_one(app, caller, job, &wanted, &mut statuses).await?,
        }
    }
    if statuses.is_empty() {
        return Ok(());
    }
    let command = |s: &Switch| Command::SetStatus { entity: s.entity, status: s.status };
    send::send(app, caller, statuses.iter().map(command).collect()).await?;
    statuses.iter().filter(|s| s.is_counted).for_each(|_| job.count("changed"));
    Ok(())
}

async fn one_by_one(
    app: &AppState,
    caller: &Caller,
    job: &Job,
    wanted: &[Wanted],
    statuses: &mut Vec<Switch>,
) -> Result<(), Problem> {
    for row in wanted {
        match send::send(app, caller, vec![row.command.clone()]).await {
            Ok(accepted) => {
                let id = accepted.first().map(|a| a.id.clone()).unwrap_or_default();
                sent(job, row, &id, statuses);
            }
            Err(problem) if problem.status >= 500 => return Err(problem),
            Err(problem) => {
                let mut faults = problem.faults;
                if faults.is_empty() {
                    faults.add("", problem.code, problem.title);
                }
                job.bad(row.line, &row.row, &faults);
            }
        }
    }
    Ok(())
}

/// Counts a row that was sent; an edit that is also a switch is counted with its switch.
fn sent(job: &Job, row: &Wanted, id: &str, statuses: &mut Vec<Switch>) {
    let switch = row
        .status
        .and_then(|status| Some(Switch { entity: kind::parse_any(id)?, status, is_counted: !row.is_new }));
    if row.is_new || switch.is_none() {
        job.count(if row.is_new { "created" } else { "changed" });
    }
    statuses.extend(switch);
}

/// The names of a table's columns.
///
/// # Errors
/// 422 for a file without a header, or with a column that nothing of this kind has.
pub fn columns(bytes: &[u8], of: Kind) -> Result<Vec<String>, Problem> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let mut faults = Faults::new();
    let header = reader.headers().map_err(|_| {
        let mut faults = Faults::new();
        faults.add("file", "malformed", "It cannot be read as CSV.");
        Problem::faults(faults)
    })?;
    let names: Vec<String> =
        header.iter().map(|n| n.trim().trim_start_matches('\u{feff}').to_owned()).collect();
    faults.when(
        names.len() < 2,
        "file",
        "missing",
        "The first line names the columns, such as those of an export.",
    );
    let mut seen = std::collections::BTreeSet::new();
    for name in names.iter().filter(|n| !n.is_empty()) {
        faults.when(!seen.insert(name), name.clone(), "contradiction", "This column stands there twice.");
    }
    let asked = names.iter().filter(|n| !HEAD.contains(&n.as_str()) && !n.is_empty() && *n != "reason");
    let first: Vec<&str> = asked.map(|n| n.split('.').next().unwrap_or_default()).collect();
    for name in first {
        let known = field_names(of).contains(&name);
        faults.when(!known, name, "unknown_field", format!("There is no such column: {name}."));
    }
    faults.into_result().map_err(Problem::faults)?;
    Ok(names)
}

/// The first step of every column of a kind.
pub fn field_names(of: Kind) -> &'static [&'static str] {
    match of {
        Kind::Campaign => &[
            "external_id",
            "advertiser",
            "name",
            "objective",
            "flight",
            "lifetime_budget",
            "daily_budget",
            "sponsor",
            "payer",
            "roadblock",
            "political",
            "adapt",
        ],
        Kind::AdSet => &[
            "external_id",
            "campaign",
            "name",
            "bid",
            "tier",
            "pacing",
            "flight",
            "lifetime_budget",
            "daily_budget",
            "targeting",
            "caps",
            "experiment",
            "learning",
        ],
        Kind::Ad => &["external_id", "ad_set", "name", "landing_url", "third_party_origins", "template"],
        Kind::Version => &["external_id", "ad", "name", "weight", "creative"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_known_columns_once() {
        assert_eq!(columns(b"external_id,ad,weight\n", Kind::Version).unwrap().len(), 3);
        assert_eq!(columns("\u{feff}id,name\n".as_bytes(), Kind::Ad).unwrap()[0], "id");
        for bad in [&b""[..], b"one\n", b"id,colour\n", b"id,name,name\n"] {
            assert_eq!(columns(bad, Kind::Ad).unwrap_err().status, 422, "{}", String::from_utf8_lossy(bad));
        }
    }
}
