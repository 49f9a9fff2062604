//! The completeness counter: what is in the record, against what was served and shown.
//!
//! The ledger's ads are gone through, each against the record, and an answer is kept for twenty times as long as that took: however often
//! somebody asks, it costs a twentieth of one processor. Refuses to take the record's word for the ledger's.

use super::{limits::Fair, open_json};
use crate::http::{App, AppState, problem::Problem};
use crate::platform::lock;
use crate::publication::register;
use axum::{extract::State, response::Response};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// An answer is kept for so many times as long as it took to make.
const KEPT_FOR: u32 = 20;

/// The answer that is kept, and until when.
#[derive(Default)]
pub struct Kept(Mutex<Option<(Instant, Value)>>);
impl Kept {
    /// The kept answer, or a new one; whoever asks meanwhile waits for it.
    fn or_make(&self, make: impl FnOnce() -> Result<Value, Problem>) -> Result<Value, Problem> {
        let mut kept = lock(&self.0);
        let start = Instant::now();
        if let Some((until, told)) = kept.as_ref()
            && start < *until
        {
            return Ok(told.clone());
        }
        let told = make()?;
        let took: Duration = start.elapsed();
        *kept = Some((start + took + took * KEPT_FOR, told.clone()));
        Ok(told)
    }
}

/// `GET /record/completeness.json`.
pub(super) async fn completeness(State(app): State<AppState>, _: Fair) -> Result<Response, Problem> {
    let reader = Arc::clone(&app);
    let work = move || reader.completeness.or_make(|| counter(&reader));
    let told = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)??;
    Ok(open_json(&told))
}
fn counter(app: &App) -> Result<Value, Problem> {
    app.publication.register().map_err(Problem::internal)?;
    let all: Vec<_> = app.platform.folds().ledger.ads().map(|(id, c)| (id, c.impressions_count)).collect();
    let db = app.publication.fresh_reading().map_err(Problem::internal)?;
    let [entries, ads, facts, days] = db.counts().map_err(Problem::internal)?;
    let logged = db.ads_with_facts().map_err(Problem::internal)?;
    let (mut counted, mut impressions) = (0u64, 0u64);
    let mut missing = Vec::new();
    for (id, count) in all.into_iter().filter(|(_, n)| *n > 0) {
        counted += 1;
        impressions += count;
        if !logged.contains(&id) {
            missing.push(id);
        }
    }
    let [sponsorless, payerless] = register::unnamed_counts(&db).map_err(Problem::internal)?;
    Ok(json!({
        "counted_at": app.platform.now(),
        "ads_shown_by_the_ledger_count": counted, "ads_shown_in_the_record_count": app.publication.found_count(),
        "ads_in_the_record_count": ads,
        "impressions_by_the_ledger_count": impressions, "entries_count": entries, "facts_versions_count": facts,
        "day_versions_count": days, "shown_but_not_in_the_record": missing,
        "without_sponsor_count": sponsorless, "without_payer_count": payerless,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_in_proportion_to_what_it_cost() {
        let kept = Kept::default();
        let slow = |told: u64| {
            kept.or_make(|| {
                std::thread::sleep(Duration::from_millis(20));
                Ok(told.into())
            })
        };
        assert_eq!(slow(1).ok(), Some(Value::from(1)));
        assert_eq!(slow(2).ok(), Some(Value::from(1)), "twenty times 20 ms are not over");
        let start = Instant::now();
        while slow(3).ok() != Some(Value::from(3)) {
            assert!(start.elapsed() < Duration::from_secs(60), "it is made anew in the end");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(start.elapsed() >= Duration::from_millis(200), "and not at once");
    }
}
