//! From the catalogue, exact totals and decrypted names to an [`Entry`].
//!
//! Refuses an ad that was never shown: it has no entry (law R4 and the promise "from its first impression on").

use crate::{
    Content, DayFigures, Entry, Facts, HistoryLine, Period, Price, PublicClause, PublicFigures, PublicParty,
    PublicSlot, PublicTargeting, PublicTemplate, PublicVersion, RunState, RunStatus, SCHEMA_VERSION, Totals,
    notice,
    words::{cap_in_words, clause_in_words, price_in_words, targeting_in_words},
};
use regie_model::{
    AdId, Currency, Day, Nanos, UtcMs, Zone,
    booking::{AdSetSpec, AdvertiserSpec, Bid, CampaignSpec, Layout, Shape, Status, TemplateSpec},
    catalogue::{AdState, Catalogue},
    command::Stop,
    creative::{Creative, ObjectHash},
    targeting::Op,
};

/// Exact totals of one ad or campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Times shown.
    pub impressions_count: u64,
    /// Times clicked.
    pub clicks_count: u64,
    /// Actions after clicks.
    pub conversions_count: u64,
    /// Charged.
    pub gross: Nanos,
    /// Given back.
    pub credited: Nanos,
    /// Places offered that matched its ad set's targeting, at least; none where that was not counted.
    pub matched_count: Option<u64>,
    /// Impressions and net spend by day of the account's zone, oldest first; empty for a campaign.
    pub days: Vec<(Day, u64, Nanos)>,
}

/// What an entry is built from, besides the catalogue.
pub struct Sources<'a> {
    /// Everything booked.
    pub catalogue: &'a Catalogue,
    /// The present, for the status.
    pub now: UtcMs,
    /// A party as it may be shown, all contact facts included; the entry takes what is public.
    pub party: &'a dyn Fn(regie_model::PartyId) -> PublicParty,
    /// The document of a creative, if it is still held.
    pub creative: &'a dyn Fn(&ObjectHash) -> Option<Creative>,
    /// Totals of the ad.
    pub figures: Figures,
    /// Totals of its campaign.
    pub campaign_figures: Figures,
    /// Its history.
    pub history: Vec<HistoryLine>,
}

/// The booked things that an ad's entry states.
pub(crate) struct Booked<'a> {
    pub ad: &'a AdState,
    pub set: &'a AdSetSpec,
    pub campaign: &'a CampaignSpec,
    pub account: &'a AdvertiserSpec,
}

/// The entry of an ad; `None` when there is no such ad or it was never shown.
pub fn entry(id: AdId, sources: &Sources<'_>) -> Option<Entry> {
    if sources.figures.impressions_count == 0 {
        return None;
    }
    Some(facts(id, sources)?.entry(&sources.figures, &sources.campaign_figures, sources.now))
}

/// The facts of an ad, shown or not; `None` when there is no such ad. The sources' figures and time are not read.
pub fn facts(id: AdId, sources: &Sources<'_>) -> Option<Facts> {
    let catalogue = sources.catalogue;
    let ad = catalogue.ads.get(&id)?;
    let (campaign_id, set_id) = catalogue.parents_of(id)?;
    let set = &catalogue.ad_sets.get(&set_id)?.spec;
    let campaign = &catalogue.campaigns.get(&campaign_id)?.spec;
    let account = &catalogue.advertisers.get(&campaign.advertiser)?.spec;
    let booked = Booked { ad, set, campaign, account };
    let political = campaign.political.is_some();
    let public = |party| reduced((sources.party)(party), party, political);
    Some(Facts {
        schema_version: SCHEMA_VERSION,
        id,
        campaign: campaign_id,
        political,
        run: run(id, sources, &booked, campaign_id, set_id),
        sponsor: public(campaign.sponsor),
        payer: public(campaign.payer),
        content: content(id, sources, ad),
        period: period(&booked),
        currency: account.currency,
        targeting: targeting(
            &booked,
            catalogue.versions_of(id).len() + if template(ad).is_some() { 2 } else { 0 },
        ),
        price: price(&booked),
        history: sources.history.clone(),
        declaration: campaign.political.clone(),
        template: template(ad).cloned(),
    })
}

impl Facts {
    /// The whole entry: facts with figures, and the notice of a political ad.
    pub fn entry(&self, of_ad: &Figures, of_campaign: &Figures, now: UtcMs) -> Entry {
        let mut shown =
            of_ad.days.iter().filter(|(_, impressions, _)| *impressions > 0).map(|(day, _, _)| *day);
        let first_day = shown.next();
        let last_day = shown.next_back().or(first_day);
        let mut entry = Entry {
            schema_version: SCHEMA_VERSION,
            id: self.id,
            campaign: self.campaign,
            political: self.political,
            status: self.status(now),
            sponsor: self.sponsor.clone(),
            payer: self.payer.clone(),
            content: self.content.clone(),
            period: Period { first_day, last_day, ..self.period.clone() },
            targeting: self.targeting.clone(),
            price: self.price.clone(),
            figures: figures(of_ad, self.currency),
            campaign_figures: totals(of_campaign, self.currency),
            history: self.history.clone(),
            notice: Vec::new(),
        };
        if let Some(declaration) = &self.declaration {
            entry.notice = notice::items(&entry, declaration);
        }
        entry
    }
    /// Whether it runs at a moment.
    pub fn status(&self, now: UtcMs) -> RunStatus {
        let over = self.period.ends_at.is_some_and(|end| end <= now);
        match self.run {
            _ if over => RunStatus::Ended,
            RunState::Archived => RunStatus::Ended,
            RunState::Stopped => RunStatus::Stopped,
            RunState::Paused => RunStatus::Paused,
            RunState::Active if now < self.period.starts_at => RunStatus::Scheduled,
            RunState::Active => RunStatus::Running,
        }
    }
}

/// Contact facts are public only where the law asks for them: on political ads.
fn reduced(party: PublicParty, id: regie_model::PartyId, political: bool) -> PublicParty {
    let party = PublicParty { id, ..party };
    if political {
        return party;
    }
    PublicParty { email: String::new(), postal_address: String::new(), ..party }
}

fn run(
    id: AdId,
    sources: &Sources<'_>,
    booked: &Booked<'_>,
    campaign_id: regie_model::CampaignId,
    set_id: regie_model::AdSetId,
) -> RunState {
    let catalogue = sources.catalogue;
    let statuses = [
        booked.ad.kept.status,
        catalogue.ad_sets.get(&set_id).map_or(Status::Archived, |s| s.status),
        catalogue.campaigns.get(&campaign_id).map_or(Status::Archived, |c| c.status),
    ];
    let stopped = [Stop::AllPaid, Stop::Sponsor(booked.campaign.sponsor), Stop::Ad(id)];
    let free = booked.set.bid == Bid::Free;
    if statuses.contains(&Status::Archived) {
        RunState::Archived
    } else if stopped.iter().any(|s| catalogue.is_stopped(*s) && !(free && *s == Stop::AllPaid)) {
        RunState::Stopped
    } else if statuses.iter().any(|s| *s != Status::Active) || booked.ad.approved.is_none() {
        RunState::Paused
    } else {
        RunState::Active
    }
}

fn content(id: AdId, sources: &Sources<'_>, ad: &AdState) -> Content {
    let catalogue = sources.catalogue;
    let versions = catalogue.versions_of(id).iter();
    let shown = versions.filter_map(|version| {
        let state = catalogue.versions.get(version)?;
        // What was never approved was never shown.
        let past = state.approved.or_else(|| {
            matches!(state.review, regie_model::catalogue::Review::Rejected { .. })
                .then_some((state.kept.spec.creative, state.kept.spec.shape))
        });
        let (hash, shape) = past?;
        let document = (sources.creative)(&hash);
        let size = match shape {
            Shape::Banner(size) => Some(size),
            Shape::Native | Shape::Text => None,
        };
        Some(PublicVersion {
            version: *version,
            kind: document.as_ref().map_or(String::new(), |d| d.kind().to_owned()),
            creative: hash,
            width: size.map(|s| s.width),
            height: size.map(|s| s.height),
            texts: document.as_ref().map(texts).unwrap_or_default(),
        })
    });
    let approved = ad.approved.as_ref();
    Content {
        landing_url: approved.map_or(&ad.kept.spec.landing_url, |a| &a.landing_url).clone(),
        third_party_origins: approved
            .map_or(&ad.kept.spec.third_party_origins, |a| &a.third_party_origins)
            .clone(),
        versions: shown.collect(),
        template: template(ad).map(public_template),
    }
}

/// The template that is, or last was, approved.
fn template(ad: &AdState) -> Option<&TemplateSpec> {
    ad.approved.as_ref().and_then(|approved| approved.template.as_ref())
}
fn public_template(template: &TemplateSpec) -> PublicTemplate {
    let kind = match &template.layout {
        Layout::Text => "text",
        Layout::Native => "native",
        Layout::Html { .. } => "html",
    };
    let slots = template.slots.iter().map(|slot| PublicSlot {
        name: slot.name.clone(),
        assets_count: slot.assets.iter().filter(|asset| !asset.retired).count() as u64,
    });
    PublicTemplate {
        kind: kind.into(),
        combinations_count: template.combinations_count(),
        slots: slots.collect(),
        never_count: template.never.len() as u64,
    }
}

/// The words of a creative, for search and for those who do not see it.
pub(crate) fn texts(creative: &Creative) -> Vec<String> {
    let all: Vec<&String> = match creative {
        Creative::Image { alt, .. } => vec![alt],
        Creative::Html { markup, .. } => {
            let text = text_of_html(markup);
            return if text.is_empty() { Vec::new() } else { vec![text] };
        }
        Creative::Native { title, body, call_to_action, alt, .. } => vec![title, body, call_to_action, alt],
        Creative::Text { title, body } => vec![title, body],
    };
    all.into_iter().filter(|t| !t.trim().is_empty()).cloned().collect()
}

/// Characters of an HTML document's words at most.
const HTML_TEXT_CHARS_MAX: usize = 2_000;

/// The words of an HTML document, without tags, scripts and styles: good enough to search, and never rendered as HTML.
fn text_of_html(markup: &str) -> String {
    let mut text = String::new();
    let mut rest = markup;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        text.push(' ');
        let tag = &rest[at + 1..];
        let lower: String = tag.chars().take(8).flat_map(char::to_lowercase).collect();
        let silent = ["script", "style"].iter().find(|name| lower.starts_with(**name));
        let end = match silent {
            Some(name) => {
                let close = format!("</{name}");
                let found = tag.char_indices().map(|(i, _)| i).find(|i| {
                    tag[*i..].get(..close.len()).is_some_and(|part| part.eq_ignore_ascii_case(&close))
                });
                found.and_then(|i| tag[i..].find('>').map(|j| i + j))
            }
            None => tag.find('>'),
        };
        rest = end.map_or("", |end| &tag[end + 1..]);
    }
    text.push_str(rest);
    for (entity, letter) in [("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&nbsp;", " ")]
    {
        text = text.replace(entity, letter);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(HTML_TEXT_CHARS_MAX).collect()
}

fn period(booked: &Booked<'_>) -> Period {
    let flight = booked.set.flight_in(booked.campaign);
    let zone: &Zone = &booked.account.zone;
    Period {
        starts_at: flight.starts_at,
        ends_at: flight.ends_at,
        first_day: None,
        last_day: None,
        zone: zone.name().to_owned(),
    }
}

fn targeting(booked: &Booked<'_>, versions_count: usize) -> PublicTargeting {
    let clauses = booked.set.targeting.clauses.iter().map(|clause| PublicClause {
        dimension: clause.dimension.to_string(),
        op: if clause.op == Op::In { "in".into() } else { "not_in".into() },
        values: clause.values.clone(),
        zone: clause.zone.as_ref().map(|z| z.name().to_owned()),
        words: clause_in_words(clause),
    });
    PublicTargeting {
        clauses: clauses.collect(),
        caps: booked.set.caps.iter().map(cap_in_words).collect(),
        learned: versions_count > 1,
        words: targeting_in_words(&booked.set.targeting),
    }
}

fn price(booked: &Booked<'_>) -> Price {
    let (model, amount_micros) = match &booked.set.bid {
        Bid::Cpm { micros_per_mille } => ("cpm", Some(*micros_per_mille)),
        Bid::Cpc { micros_per_click } => ("cpc", Some(*micros_per_click)),
        Bid::Cpa { micros_per_conversion, .. } => ("cpa", Some(*micros_per_conversion)),
        Bid::FlatFee { total_micros } => ("flat_fee", Some(total_micros.0)),
        Bid::Free => ("free", None),
    };
    let currency = booked.account.currency;
    let words = price_in_words(&booked.set.bid, &booked.set.tier, currency);
    Price { model: model.into(), amount_micros, currency, words }
}

/// All digits that matter: at least the currency's, at most nine.
pub(crate) fn exact_text(nanos: Nanos, currency: Currency) -> String {
    let full = nanos.display(currency, 9);
    let keep = full.find('.').map_or(full.len(), |dot| dot + 1 + currency.minor_digits() as usize);
    let trimmed = full.trim_end_matches('0').len().max(keep);
    full[..trimmed].trim_end_matches('.').to_owned()
}

fn totals(figures: &Figures, currency: Currency) -> Totals {
    let net = figures.gross - figures.credited;
    Totals {
        currency,
        impressions_count: figures.impressions_count,
        clicks_count: figures.clicks_count,
        conversions_count: figures.conversions_count,
        gross_nanos: figures.gross.0.to_string(),
        credited_nanos: figures.credited.0.to_string(),
        spend_nanos: net.0.to_string(),
        spend: exact_text(net, currency),
    }
}

fn figures(figures: &Figures, currency: Currency) -> PublicFigures {
    let all = totals(figures, currency);
    let days = figures.days.iter().map(|(day, impressions_count, net)| DayFigures {
        day: *day,
        impressions_count: *impressions_count,
        spend_nanos: net.0.to_string(),
        spend: exact_text(*net, currency),
    });
    PublicFigures {
        currency,
        impressions_count: all.impressions_count,
        clicks_count: all.clicks_count,
        conversions_count: all.conversions_count,
        gross_nanos: all.gross_nanos,
        credited_nanos: all.credited_nanos,
        spend_nanos: all.spend_nanos,
        spend: all.spend,
        matched_count: figures.matched_count,
        days: days.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_searched_by_its_words() {
        for (markup, want) in [
            ("<p>Vote <b>on Sunday</b></p>", "Vote on Sunday"),
            ("<STYLE>a{b:c}</style>é<script>let x = '<p>no</p>'</SCRIPT> yes &amp; no", "é yes & no"),
            ("<script>never closed", ""),
            ("a < b", "a"),
            ("", ""),
        ] {
            assert_eq!(text_of_html(markup), want, "{markup}");
        }
    }
    #[test]
    fn amounts_keep_every_digit_that_matters() {
        for (nanos, want) in
            [(12_500_000_000, "12.50"), (4_500_001, "0.004500001"), (0, "0.00"), (7_123_000_000, "7.123")]
        {
            assert_eq!(exact_text(Nanos(nanos), Currency::EUR), want);
        }
        assert_eq!(exact_text(Nanos(7_000_000_000), Currency(*b"JPY")), "7");
    }
}
