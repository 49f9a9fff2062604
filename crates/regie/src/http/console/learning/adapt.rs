//! Adapting: what Regie may change by itself, what it changed and why, what it would change now, and what a person may approve next.

use super::{super::form::Form, act, combination, footnote, layout, percent, ui};
use crate::{
    http::{AppState, auth::Caller, console::form::Data, learning::proposal},
    platform::{adapting::Taken, learning::TemplateShown},
    t,
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use maud::{Markup, html};
use regie_model::{
    AdId, AdSetId, CampaignId, Faults, Micros,
    booking::{AdaptSpec, AdaptStep, BudgetLimits, CampaignSpec},
    command::Command,
};

type Set = (AdSetId, String, Option<Micros>);

fn current(
    app: &AppState,
    caller: &Caller,
    id: CampaignId,
) -> Result<(CampaignSpec, u32, Vec<Set>), layout::PageError> {
    let catalogue = app.platform.catalogue();
    act::see_campaign(&catalogue, caller, id)?;
    let kept = catalogue.campaigns.get(&id).ok_or_else(|| act::missing(id))?;
    let sets = catalogue.ad_sets_of.get(&id).into_iter().flatten().filter_map(|set| {
        let spec = &catalogue.ad_sets.get(set)?.spec;
        Some((*set, spec.name.clone(), spec.daily_budget_micros))
    });
    Ok((kept.spec.clone(), kept.revision, sets.collect()))
}

pub(super) async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> layout::Html {
    let id: CampaignId = id.parse().map_err(|_| act::missing(&id))?;
    let (spec, revision, sets) = current(&app, &caller, id)?;
    let mut data = Data::default();
    fill(&mut data, spec.adapt.as_ref());
    data.set("revision", revision);
    whole(&app, &caller, id, &spec, &sets, &data, &Faults::new()).await
}

async fn whole(
    app: &AppState,
    caller: &Caller,
    id: CampaignId,
    spec: &CampaignSpec,
    sets: &[Set],
    data: &Data,
    faults: &Faults,
) -> Result<Response, layout::PageError> {
    let platform = std::sync::Arc::clone(&app.platform);
    let (adapt, objective) = (spec.adapt.clone(), spec.objective);
    let own: Vec<AdSetId> = sets.iter().map(|set| set.0).collect();
    let asked = tokio::task::spawn_blocking(move || {
        let due =
            adapt.map(|adapt| platform.steps_due(id, &adapt, objective, platform.now())).unwrap_or_default();
        let templates =
            own.into_iter().filter_map(|set| platform.learning_of(set)).flat_map(|shown| shown.templates);
        (platform.steps_taken(id), due, templates.collect::<Vec<_>>())
    });
    let (taken, due, templates) =
        asked.await.map_err(|e| crate::http::problem::Problem::internal(e.to_string()))?;
    let body = html! {
        p { (t!("learning-adapt-about")) }
        section class="card" {
            h2 { (t!("learning-taken")) }
            @if taken.is_empty() { p class="muted" { (t!("learning-none-taken")) } }
            @else { ol class="plain" { @for one in &taken { li { (step(app, one)) } } } }
        }
        @if spec.adapt.is_some() {
            section class="card" {
                h2 { (t!("learning-due")) }
                @if due.is_empty() { p class="muted" { (t!("learning-none-due")) } }
                @for one in &due { p { (words(one)) } }
            }
        }
        @for template in &templates { (next(caller, template)) }
        @if caller.may_book() { (booking(caller, id, sets, data, faults)) }
        (footnote())
    };
    let title = t!("learning-adapting-of", name = spec.name);
    let frame = layout::Frame::new(&title, "/console/learning")
        .crumb("/console/learning", t!("learning-title"))
        .crumb(format!("/console/campaigns/{id}"), id.to_string());
    Ok(layout::console(app, caller, &frame, &body))
}

fn step(app: &AppState, taken: &Taken) -> Markup {
    html! {
        strong { (ui::when(taken.at, &act::zone(app))) } " " (words(&taken.step))
        br; span class="small muted" { (t!("learning-event", position = taken.position)) }
    }
}
/// A step in the page's language, with its figures.
fn words(step: &AdaptStep) -> String {
    match step {
        AdaptStep::BudgetMoved { from, to, amount_micros, returns, probability, .. } => t!(
            "learning-moved",
            amount = format!("{:.2}", amount_micros.0 as f64 / 1e6),
            from = from,
            to = to,
            better = format!("{:.3}", returns.0),
            worse = format!("{:.3}", returns.1),
            probability = percent(*probability)
        ),
        AdaptStep::VersionPaused { version, probability, rates, .. } => t!(
            "learning-paused",
            version = version,
            rate = percent(rates.1),
            best = percent(rates.0),
            probability = format!("{probability:.1e}")
        ),
        AdaptStep::ElementRetired { ad, element, probability, .. } => t!(
            "learning-retired",
            ad = ad,
            slot = u32::from(element.slot) + 1,
            asset = u32::from(element.asset) + 1,
            probability = format!("{probability:.1e}")
        ),
    }
}

/// "What next", for a person to approve.
fn next(caller: &Caller, template: &TemplateShown) -> Markup {
    html! {
        section class="card" {
            h2 { (t!("learning-what-next")) }
            p { (t!("learning-what-next-explained", ad = template.ad)) }
            table {
                thead { tr { th { (t!("learning-combination")) } th class="right" { (t!("learning-expected")) } th class="right" { (t!("learning-share")) } th {} } }
                tbody { @for code in &template.proposals { tr {
                    th scope="row" { a href={ "/console/ads/" (template.ad) "/template/" (code.code) } { (combination(template, &code.assets)) } }
                    td class="right" { (percent(code.rate)) }
                    td class="right" { (percent(code.share)) }
                    td { @if caller.may_book() {
                        form class="inline" method="post" action={ "/console/ads/" (template.ad) "/proposals" } {
                            (layout::csrf(caller))
                            input type="hidden" name="code" value=(code.code);
                            button { (t!("learning-approve")) }
                        }
                    } }
                } } }
            }
        }
    }
}

pub(super) async fn approve(
    State(app): State<AppState>,
    caller: Caller,
    Path(ad): Path<String>,
    data: Data,
) -> layout::Html {
    let ad: AdId = ad.parse().map_err(|_| act::missing(&ad))?;
    let mut faults = Faults::new();
    let code = data.whole("code", 0, &mut faults);
    faults.into_result().map_err(crate::http::problem::Problem::faults)?;
    let command = proposal(&app, &caller, ad, code)?;
    act::run(&app, &caller, vec![command]).await?;
    Ok(layout::go(format!("/console/ads/{ad}")))
}

fn fill(data: &mut Data, adapt: Option<&AdaptSpec>) {
    let spec = adapt.cloned().unwrap_or_default();
    let part = |ppm: u32| format!("{}", f64::from(ppm) / 1e4);
    data.tick("adapts", adapt.is_some());
    data.set("step", part(spec.step_ppm));
    data.set("sure", part(spec.sure_ppm));
    data.tick("pause_losers", spec.pause_losers);
    data.set("least_impressions_count", spec.least_impressions_count);
    data.set("chance", part(spec.chance_ppm));
    data.set("tolerance", part(spec.tolerance_ppm));
    data.set("period_minutes", spec.period_minutes);
    for limits in &spec.limits {
        let amount = |micros: Micros| format!("{:.2}", micros.0 as f64 / 1e6);
        data.set(format!("least.{}", limits.ad_set), amount(limits.least_micros));
        data.set(format!("most.{}", limits.ad_set), amount(limits.most_micros));
    }
}
fn booking(caller: &Caller, id: CampaignId, sets: &[Set], data: &Data, faults: &Faults) -> Markup {
    let form = Form { data, faults, theirs: None };
    let fields = html! {
        fieldset {
            legend { (t!("learning-book-adapting")) }
            (form.field("adapts", t!("learning-field-adapts")).check().hint(t!("learning-field-adapts-hint")))
            (form.field("period_minutes", t!("learning-field-period")).number())
            h3 { (t!("learning-field-limits")) }
            p class="small muted" { (t!("learning-field-limits-hint")) }
            @for (set, name, daily) in sets {
                @if daily.is_some() {
                    (form.field(format!("least.{set}"), &t!("learning-field-least-of", name = name)).amount())
                    (form.field(format!("most.{set}"), &t!("learning-field-most-of", name = name)).amount())
                } @else { p class="small muted" { (t!("learning-no-daily", name = name)) } }
            }
            (form.field("step", t!("learning-field-step")).amount())
            (form.field("sure", t!("learning-field-sure")).amount())
            h3 { (t!("learning-losers")) }
            (form.field("pause_losers", t!("learning-field-pause")).check())
            (form.field("least_impressions_count", t!("learning-field-exposure")).number())
            (form.field("chance", t!("learning-field-chance")).amount())
            (form.field("tolerance", t!("learning-field-tolerance")).amount())
        }
    };
    let path = format!("/console/campaigns/{id}/adapting");
    form.wrap(caller, &path, &fields, t!("learning-save"), &path)
}
fn read(data: &Data, sets: &[Set], faults: &mut Faults) -> Option<AdaptSpec> {
    if !data.has("adapts") {
        return None;
    }
    let mut limits = Vec::new();
    for (ad_set, ..) in sets {
        let (least, most) = (format!("least.{ad_set}"), format!("most.{ad_set}"));
        if data.has(&least) || data.has(&most) {
            let least_micros = Micros(data.micros(&least, faults));
            let most_micros = Micros(data.micros(&most, faults));
            limits.push(BudgetLimits { ad_set: *ad_set, least_micros, most_micros });
        }
    }
    let usual = AdaptSpec::default();
    Some(AdaptSpec {
        limits,
        step_ppm: super::ppm(data, "step", faults),
        sure_ppm: super::ppm(data, "sure", faults),
        pause_losers: data.has("pause_losers"),
        least_impressions_count: data.whole("least_impressions_count", usual.least_impressions_count, faults),
        chance_ppm: super::ppm(data, "chance", faults),
        tolerance_ppm: super::ppm(data, "tolerance", faults),
        period_minutes: data.whole("period_minutes", usual.period_minutes, faults),
    })
}
pub(super) async fn save(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: CampaignId = id.parse().map_err(|_| act::missing(&id))?;
    let (mut spec, revision, sets) = current(&app, &caller, id)?;
    let mut faults = Faults::new();
    spec.adapt = read(&data, &sets, &mut faults);
    let before = spec.clone();
    let revision = data.get("revision").parse().unwrap_or(revision);
    let command = Command::PutCampaign { id: Some(id), revision: Some(revision), spec };
    match act::submit(&app, &caller, command, faults).await? {
        act::Sent::Faults(faults) => {
            let mut named = Faults::new();
            for fault in faults.0 {
                let field = fault.field.strip_prefix("adapt.").unwrap_or(&fault.field).to_owned();
                let field = field.strip_suffix("_ppm").unwrap_or(&field).to_owned();
                named.add(field, &fault.code, fault.message);
            }
            whole(&app, &caller, id, &before, &sets, &data, &named).await
        }
        act::Sent::Done(_) | act::Sent::Conflict => {
            Ok(layout::go(format!("/console/campaigns/{id}/adapting")))
        }
    }
}
