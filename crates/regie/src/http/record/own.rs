//! The record's figures as a source for the study room: one entry an ad and day, exact, as the public pages show them.
//!
//! Takes only what the record publishes (law R4): an erased sponsor comes without its name here too.

use super::data;
use crate::platform::Platform;
use anyhow::Result;
use regie_model::{AdId, Currency};
use regie_study::{
    Currency as StudyCurrency, Day,
    import::{OwnEntry, OwnSource},
};

/// Every shown ad's days, and what they are. For threads that may block.
///
/// # Errors
/// SQLite's error.
pub fn own_entries(platform: &Platform) -> Result<(OwnSource, Vec<OwnEntry>)> {
    let ads: Vec<AdId> = {
        let folds = platform.folds();
        folds.ledger.ads().filter(|(id, _)| data::was_shown(&folds.ledger, *id)).map(|(id, _)| id).collect()
    };
    let mut entries = Vec::new();
    for ad in ads {
        add(platform, ad, &mut entries)?;
    }
    let now = Day::from_unix_seconds(platform.now().0 / 1_000).unwrap_or_default();
    let first = entries.iter().map(|e| e.day).min().unwrap_or(now);
    let last = entries.iter().map(|e| e.day).max().unwrap_or(now);
    let catalogue = platform.catalogue();
    let publisher = catalogue.publisher.as_ref().map_or_else(|| "Regie".to_owned(), |p| p.spec.name.clone());
    let checkpoint = format!("journal position {}", platform.position());
    // A day in an account's zone may be a day ahead of the clock here.
    let source = OwnSource {
        publisher,
        country: String::new(),
        known_on: now.max(last),
        window: (first, last.max(now)),
        checkpoint,
    };
    Ok((source, entries))
}

fn add(platform: &Platform, ad: AdId, entries: &mut Vec<OwnEntry>) -> Result<()> {
    let Some(subject) = crate::publication::subject(&platform.catalogue(), ad) else { return Ok(()) };
    let flat = data::flat_fee_days(platform, subject.ad_set)?;
    let view = platform.current_view();
    let catalogue = platform.catalogue();
    let Some(campaign) = catalogue.campaigns.get(&subject.campaign).map(|c| &c.spec) else { return Ok(()) };
    let figures = {
        let folds = platform.folds();
        data::figures(&catalogue, &folds.ledger, &subject, flat)
    };
    let currency = crate::http::console::campaigns::currency(&catalogue, campaign.advertiser);
    let name = |party| data::public_party(&view, party).name;
    let linked = campaign.political.iter().flat_map(|d| &d.linked).next();
    let election = linked.map(|p| match p.held_on {
        Some(day) => format!("{}, {day}", p.name),
        None => p.name.clone(),
    });
    for (day, impressions, net) in figures.days {
        entries.push(OwnEntry {
            account: campaign.sponsor.to_string(),
            sponsor: name(campaign.sponsor),
            payer: name(campaign.payer),
            ad: ad.to_string(),
            region: String::new(),
            election: election.clone().unwrap_or_default(),
            currency: code(currency)?,
            day: Day(day.0),
            spend_nanos: net.0,
            impressions_count: i64::try_from(impressions)?,
        });
    }
    Ok(())
}

fn code(currency: Currency) -> Result<StudyCurrency> {
    StudyCurrency::parse(&currency.to_string()).ok_or_else(|| anyhow::anyhow!("no such currency: {currency}"))
}
