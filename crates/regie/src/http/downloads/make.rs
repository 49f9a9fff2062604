//! Makes what was ordered: once a minute, for each order the next period that is over; lets old files go. A period is made
//! after everything acknowledged was folded, and written before the order says that it is made.

use crate::desk::{NewFile, Order};
use crate::http::{
    AppState,
    console::act,
    problem::Problem,
    reports::{self, Dimension, Wanted},
};
use anyhow::{Result, anyhow};
use regie_model::{Day, UtcMs, Zone};
use std::{sync::Arc, time::Duration};

/// Rest between two rounds.
const REST: Duration = Duration::from_secs(60);
/// How often a rest looks whether the server stops.
const LOOK: Duration = Duration::from_millis(200);
/// Days after the end of a flight in which something may still arrive: a click for a day, a conversion for seven more.
pub(super) const LATE_DAYS: i32 = 8;

/// Makes reports as long as the server runs.
pub fn spawn(app: &AppState) {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        while !app.publication.is_stopping() {
            if let Err(error) = round(&app, app.platform.now()).await {
                tracing::error!(error = format!("{error:#}"), "reports by the clock could not be made");
            }
            for _ in 0..(REST.as_millis() / LOOK.as_millis()) {
                if app.publication.is_stopping() {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    });
}

/// Makes every period that is due at this time, one for each order; how many were made. What fails is noted at its order
/// and tried again.
///
/// # Errors
/// The desk's.
pub async fn round(app: &AppState, now: UtcMs) -> Result<usize> {
    app.desk.drop_old_files(act::zone(app).day(now))?;
    let mut count = 0;
    for order in app.desk.orders(None)? {
        let (zone, ends_at) = {
            let catalogue = app.platform.catalogue();
            let flight = catalogue.campaigns.get(&order.what.campaign).map(|c| c.spec.flight);
            (act::account_zone(&catalogue, order.what.advertiser), flight.and_then(|f| f.ends_at))
        };
        let Some((first, last)) = order.what.every.due(order.made_until, zone.day(now)) else { continue };
        // Nothing comes any more: the last file has been made.
        if ends_at.is_some_and(|end| zone.day(end).0 + LATE_DAYS < first.0) {
            app.desk.end_order(order.id)?;
            continue;
        }
        match report(app, &order, &zone, (first, last)).await {
            Ok((rows_count, text)) => {
                let keep_until =
                    Day(zone.day(now).0 + i32::try_from(order.what.keep_days).unwrap_or(i32::MAX));
                let made = NewFile { first, last, made_at: now, keep_until, rows_count, text };
                let name = app.desk.keep_file(&order, &made)?;
                count += 1;
                if order.what.has_mail
                    && let Err(error) = mail(app, &order, &name).await
                {
                    tracing::warn!(error = format!("{error:#}"), "a report was made, but no mail was sent");
                }
            }
            Err(problem) => {
                app.desk.note_problem(order.id, &format!("{} {}", problem.title, problem.detail))?
            }
        }
    }
    Ok(count)
}

/// The rows of an order's period as CSV.
async fn report(
    app: &AppState,
    order: &Order,
    zone: &Zone,
    (first, last): (Day, Day),
) -> Result<(usize, String), Problem> {
    let by = order.what.by.split(',').filter_map(|word| Dimension::from_word(word.trim())).collect();
    let wanted = Wanted {
        from: zone.day_start(first).hour(),
        to: zone.day_start(Day(last.0 + 1)).hour(),
        zone: zone.clone(),
        by,
        campaign: Some(order.what.campaign.0),
        ad_set: None,
        ad: None,
        version: None,
        placement: None,
        advertiser: Some(order.what.advertiser.0),
        sees_all: false,
        limit: usize::MAX,
        after: 0,
        csv: true,
    };
    let report = reports::take(app, wanted).await?;
    Ok((report.rows_count, reports::csv(&report).map_err(Problem::internal)?))
}

/// Mails a link to whom ordered it, as long as they are somebody here. The file itself never leaves by mail.
async fn mail(app: &AppState, order: &Order, name: &str) -> Result<()> {
    let Some(user) = order.what.user else { return Ok(()) };
    let is_active = app.platform.catalogue().users.get(&user).is_some_and(|u| u.active);
    let person = app.platform.secrets.user(user)?.filter(|_| is_active);
    let person = person.ok_or_else(|| anyhow!("{user} is nobody here any more"))?;
    let body = format!("{name}\n{}/console/downloads\n", app.config.public_url);
    crate::mail::send(&app.config, &person.email, name, &body).await
}
