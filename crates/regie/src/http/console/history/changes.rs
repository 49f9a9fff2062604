//! A change in words: what was done, to what by its name, and where its page is.
//!
//! Names come from what is booked now; of a thing that nobody may name, its number alone. Refuses to open sealed words.

use super::ui;
use crate::{
    http::{App, booking::kind::id_of, console::stops},
    t,
};
use maud::{Markup, html};
use regie_model::{
    Currency, Nanos,
    booking::Status,
    catalogue::Catalogue,
    command::{Change, EntityRef, Verdict},
};

/// The line of a change.
pub(super) fn words(app: &App, change: &Change) -> Markup {
    let catalogue = app.platform.catalogue();
    let saved =
        |kind: &str, entity: EntityRef, name: &str| line(t!("changes-saved"), kind, thing(entity, name));
    match change {
        Change::PublisherPut { .. } => line(
            t!("changes-saved"),
            t!("changes-settings"),
            html! { a href="/console/settings" { (t!("changes-publisher")) } },
        ),
        Change::SitePut { id, spec } => saved(t!("changes-site"), EntityRef::Site(*id), &spec.name),
        Change::PlacementPut { id, spec } => {
            saved(t!("changes-placement"), EntityRef::Placement(*id), &spec.name)
        }
        Change::SegmentPut { id, spec } => saved(t!("changes-segment"), EntityRef::Segment(*id), &spec.name),
        Change::AdvertiserPut { id, spec } => {
            saved(t!("changes-advertiser"), EntityRef::Advertiser(*id), &spec.name)
        }
        Change::PartyPut { id, .. } => {
            saved(t!("changes-party"), EntityRef::Party(*id), &super::act::party_name(app, *id))
        }
        Change::CampaignPut { id, spec } => {
            saved(t!("changes-campaign"), EntityRef::Campaign(*id), &spec.name)
        }
        Change::AdSetPut { id, spec } => saved(t!("changes-ad-set"), EntityRef::AdSet(*id), &spec.name),
        Change::AdPut { id, spec } => saved(t!("changes-ad"), EntityRef::Ad(*id), &spec.name),
        Change::VersionPut { id, record } => {
            saved(t!("changes-version"), EntityRef::Version(*id), &record.name)
        }
        Change::StatusSet { entity, status } => {
            html! { (line(status_words(*status), "", thing(*entity, &name_of(app, &catalogue, *entity)))) }
        }
        Change::Reviewed { ads, versions, verdict, reason } => {
            let ads = ads.iter().map(|(id, _)| EntityRef::Ad(*id));
            let all: Vec<_> = ads.chain(versions.iter().map(|(id, _)| EntityRef::Version(*id))).collect();
            reviewed(app, &catalogue, &all, *verdict, reason)
        }
        Change::StopSet { what, on, reason } => html! {
            (line(if *on { t!("changes-stopped") } else { t!("changes-lifted") }, "", html! { (stops::words(&catalogue, what)) }))
            (quoted(reason))
        },
        Change::Deposited { advertiser, amount_micros, reference } => html! {
            (money_line(&catalogue, t!("changes-paid-in"), *advertiser, amount_micros.to_nanos())) (quoted(reference))
        },
        Change::Credited { advertiser, amount_nanos, reason, .. } => html! {
            (money_line(&catalogue, t!("changes-credited"), *advertiser, Nanos(i128::from(*amount_nanos)))) (quoted(reason))
        },
        Change::UserPut { id, .. } => line(t!("changes-saved"), t!("changes-user"), html! { code { (id) } }),
        Change::TokenPut { id, record } => line(
            if record.active { t!("changes-saved") } else { t!("changes-revoked") },
            t!("changes-api-token"),
            html! { (record.name) " " code { (id) } },
        ),
        Change::ElectionPut { id, spec } => line(
            t!("changes-saved"),
            t!("changes-vote"),
            html! { a href="/console/elections" { (spec.name) } " " code { (id) } },
        ),
        Change::ReportFiled { id, spec } => line(
            t!("changes-reported"),
            "",
            html! { a href={ "/console/complaints/" (id) } { (id) } " (" (spec.ad) ")" },
        ),
        Change::ReportDecided { id, decision } => html! {
            (line(t!("changes-decided"), "", html! { a href={ "/console/complaints/" (id) } { (id) } ": " (crate::i18n::rooms::say(decision.outcome.word())) })) (quoted(&decision.reason))
        },
        Change::GroupingPut { id, spec } => line(
            if spec.withdrawn.is_some() { t!("changes-withdrawn") } else { t!("changes-saved") },
            t!("changes-grouping"),
            html! { a href="/console/groupings" { (id) } },
        ),
        Change::Adapted { campaign, .. } => {
            let entity = EntityRef::Campaign(*campaign);
            line(t!("changes-adapted"), "", thing(entity, &name_of(app, &catalogue, entity)))
        }
        Change::PersonErased { key, reason } => {
            html! { (line(t!("changes-erased"), "", html! { code { (key) } })) (quoted(reason)) }
        }
    }
}

fn line(did: &str, kind: &str, what: Markup) -> Markup {
    html! { strong { (did) } " " @if !kind.is_empty() { (kind) " " } (what) }
}
fn quoted(text: &str) -> Markup {
    html! { @if !text.is_empty() { span class="small muted" { (text) } } }
}
fn status_words(status: Status) -> &'static str {
    match status {
        Status::Draft => t!("changes-made-draft"),
        Status::Active => t!("changes-switched-on"),
        Status::Paused => t!("changes-paused"),
        Status::Archived => t!("changes-archived"),
    }
}

/// A thing by its name, with its page where it has one.
fn thing(entity: EntityRef, name: &str) -> Markup {
    let id = id_of(entity).1;
    let page = match entity {
        EntityRef::Site(_) => Some(format!("/console/sites/{id}")),
        EntityRef::Placement(_) => Some(format!("/console/placements/{id}/edit")),
        EntityRef::Advertiser(_) => Some(format!("/console/advertisers/{id}")),
        EntityRef::Party(_) => Some(format!("/console/parties/{id}/edit")),
        EntityRef::Campaign(_) => Some(format!("/console/campaigns/{id}")),
        EntityRef::AdSet(_) => Some(format!("/console/ad-sets/{id}/edit")),
        EntityRef::Ad(_) => Some(format!("/console/ads/{id}")),
        EntityRef::Version(_) => Some(format!("/console/versions/{id}/edit")),
        EntityRef::Segment(_) => None,
    };
    html! {
        @match page {
            Some(page) if !name.is_empty() => { a href=(page) { (name) } " " code class="small-inline" { (id) } },
            Some(page) => a href=(page) { code { (id) } },
            None => { (name) " " code { (id) } },
        }
    }
}

fn name_of(app: &App, catalogue: &Catalogue, entity: EntityRef) -> String {
    let found = match entity {
        EntityRef::Site(id) => catalogue.sites.get(&id).map(|k| k.spec.name.clone()),
        EntityRef::Placement(id) => catalogue.placements.get(&id).map(|k| k.spec.name.clone()),
        EntityRef::Segment(id) => catalogue.segments.get(&id).map(|k| k.spec.name.clone()),
        EntityRef::Advertiser(id) => catalogue.advertisers.get(&id).map(|k| k.spec.name.clone()),
        EntityRef::Party(id) => Some(super::act::party_name(app, id)),
        EntityRef::Campaign(id) => catalogue.campaigns.get(&id).map(|k| k.spec.name.clone()),
        EntityRef::AdSet(id) => catalogue.ad_sets.get(&id).map(|k| k.spec.name.clone()),
        EntityRef::Ad(id) => catalogue.ads.get(&id).map(|k| k.kept.spec.name.clone()),
        EntityRef::Version(id) => catalogue.versions.get(&id).map(|k| k.kept.spec.name),
    };
    found.unwrap_or_default()
}

/// Things of one review that are named; the rest is counted.
const NAMED_MAX: usize = 4;

fn reviewed(app: &App, catalogue: &Catalogue, all: &[EntityRef], verdict: Verdict, reason: &str) -> Markup {
    let did = match verdict {
        Verdict::Approved => t!("changes-approved"),
        Verdict::Rejected => t!("changes-rejected"),
    };
    html! {
        strong { (did) } " "
        @for (index, entity) in all.iter().take(NAMED_MAX).enumerate() { @if index > 0 { ", " } (thing(*entity, &name_of(app, catalogue, *entity))) }
        @if all.len() > NAMED_MAX { " " (t!("changes-and-more", count = all.len() - NAMED_MAX)) }
        (quoted(reason))
    }
}

fn money_line(
    catalogue: &Catalogue,
    did: &str,
    advertiser: regie_model::AdvertiserId,
    amount: Nanos,
) -> Markup {
    let account = catalogue.advertisers.get(&advertiser);
    let currency = account.map_or(Currency::EUR, |a| a.spec.currency);
    let name = account.map_or("", |a| a.spec.name.as_str());
    html! { strong { (did) } " " (ui::money(amount, currency)) ": " (thing(EntityRef::Advertiser(advertiser), name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_without_a_name_is_its_number() {
        let of = |name: &str| thing(EntityRef::Campaign(regie_model::CampaignId(3)), name).0;
        assert!(of("Spring <1>").contains(">Spring &lt;1&gt;</a>"), "{}", of("Spring <1>"));
        assert!(of("").contains("<code>cam_3</code></a>"), "{}", of(""));
    }
}
