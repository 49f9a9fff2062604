//! The market of a simulated campaign: its own ad set and those it bids against, as a catalogue. Refuses names of real parties.

use anyhow::{Context, Result};
use regie_decide::{Row, Snapshot, Tables};
use regie_model::{AdSetId, UtcMs, catalogue::Catalogue, command::Change, creative::ObjectHash};
use regie_sim::Random;
use serde_json::{Value, json};

/// The campaign's own ad set.
pub const OWN: AdSetId = AdSetId(1);
/// Requests in which pacing lets a rival take part, parts per million.
const PASS_PPM: u32 = 30_000;
/// Sections of the newspaper; with two classes of device they make ten contexts.
pub const SECTIONS: [&str; 5] = ["front", "politics", "sport", "culture", "live"];

/// A catalogue of the campaign's ad set and so many rivals', compiled for decisions.
///
/// Rivals bid log-normally around 7 units per mille, each for some of the sections, and pacing lets each into 3% of the requests; the
/// campaign bids 12 everywhere. Its prices then come out near 8 to 10 per mille: $44 million over 5.9 million versions were
/// $7.46 or some 750 impressions for each.
///
/// # Errors
/// If the changes do not fit the model's words.
pub fn build(rivals_count: u32, begins_at: UtcMs, seed: u64) -> Result<(Snapshot, Tables)> {
    let mut catalogue = Catalogue::default();
    let mut apply = |change: Value| -> Result<()> {
        let change: Change = serde_json::from_value(change.clone()).with_context(|| change.to_string())?;
        catalogue.apply(UtcMs(begins_at.0 - 1), &change);
        Ok(())
    };
    apply(
        json!({ "change": "publisher_put", "spec": { "name": "Example Press", "auction_currency": "USD", "zone": "UTC", "sample_ppm": 0, "page_keys": ["section"] } }),
    )?;
    apply(
        json!({ "change": "site_put", "id": "site_1", "spec": { "name": "Example News", "origins": ["https://news.example"] } }),
    )?;
    let format = json!({ "kind": "banner", "sizes": [{ "width": 300, "height": 250 }] });
    apply(
        json!({ "change": "placement_put", "id": "plc_1", "spec": { "site": "site_1", "name": "top", "format": format } }),
    )?;
    let identity = json!({ "key": "key_1", "ciphertext_hex": "" });
    apply(
        json!({ "change": "party_put", "id": "party_1", "spec": { "kind": "organisation", "identity": identity, "established_in": "FR", "may_sponsor_before_votes": true, "political_gaps": [] } }),
    )?;
    let mut random = Random::new(seed ^ 0x6d61_726b);
    for number in 1..=rivals_count + 1 {
        let own = number == OWN.0;
        let per_mille = if own { 12.0 } else { 7.0 * (0.45 * random.normal()).exp() };
        let sections: Vec<&str> = SECTIONS.into_iter().filter(|_| own || random.chance(0.5)).collect();
        let targeting = match own || sections.is_empty() {
            true => json!([]),
            false => json!([{ "dimension": "key:section", "op": "in", "values": sections }]),
        };
        let (adv, cam, set, ad, ver) = (
            format!("adv_{number}"),
            format!("cam_{number}"),
            format!("set_{number}"),
            format!("ad_{number}"),
            format!("ver_{number}"),
        );
        let funding = json!({ "kind": "credit", "limit_micros": 1_000_000_000_000_000i64 });
        apply(
            json!({ "change": "advertiser_put", "id": adv, "spec": { "name": "Fictional Goods", "currency": "USD", "zone": "UTC", "funding": funding } }),
        )?;
        apply(
            json!({ "change": "campaign_put", "id": cam, "spec": { "advertiser": adv, "name": "Campaign", "objective": "clicks", "flight": { "starts_at": begins_at }, "sponsor": "party_1", "payer": "party_1" } }),
        )?;
        let bid = json!({ "kind": "cpm", "micros_per_mille": (per_mille * 1e6) as i64 });
        apply(
            json!({ "change": "ad_set_put", "id": set, "spec": { "campaign": cam, "name": "Ad set", "bid": bid, "tier": { "kind": "auction" }, "pacing": "asap", "targeting": targeting } }),
        )?;
        apply(
            json!({ "change": "ad_put", "id": ad, "spec": { "ad_set": set, "name": "Ad", "landing_url": "https://shop.example/" } }),
        )?;
        let creative = ObjectHash::of(&number.to_le_bytes());
        let shape = json!({ "kind": "banner", "width": 300, "height": 250 });
        apply(
            json!({ "change": "version_put", "id": ver, "record": { "ad": ad, "creative": creative, "shape": shape, "weight": 1 } }),
        )?;
        apply(
            json!({ "change": "reviewed", "ads": [[ad, 1]], "versions": [[ver, creative]], "verdict": "approved", "reason": "" }),
        )?;
    }
    let paced = Row { pass_ppm: PASS_PPM, ..Row::default() };
    let tables = Tables::new((2..=rivals_count + 1).map(|number| (AdSetId(number), paced)));
    Ok((Snapshot::build(&catalogue, 1), tables))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regie_decide::{OpenGate, Request, decide};
    use regie_model::{PlacementId, SiteId};
    #[test]
    fn the_campaign_wins_most_and_pays_what_the_market_asks() {
        let begins_at = UtcMs(1_467_331_200_000);
        let (snapshot, tables) = build(100, begins_at, 1).unwrap();
        let (mut won, mut paid) = (0, 0i64);
        for seed in 0..400u64 {
            let mut request =
                Request::bare(UtcMs(begins_at.0 + 1_000), seed, SiteId(1), vec![PlacementId(1)]);
            request.page.key_values = vec![("section".into(), SECTIONS[seed as usize % 5].into())];
            let decision = decide(&snapshot, &tables, &request, &OpenGate, &mut |_, _| ());
            let fill = decision.fills().next().unwrap();
            if fill.ad_set == OWN {
                won += 1;
                paid += fill.price_nanos;
            }
        }
        // Nanos an impression are micros per mille.
        assert!((200..400).contains(&won), "{won}");
        assert!((4_000_000..=12_000_000).contains(&(paid / won)), "{paid}");
    }
}
