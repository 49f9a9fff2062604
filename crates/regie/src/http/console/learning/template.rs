//! The template of an ad: its slots and assets as a form, and any combination as it will be seen, sandboxed like every ad.

use super::{super::form::Form, act, layout, ui};
use crate::{
    http::{AppState, auth::Caller, console::form::Data, frames, problem::Problem},
    t,
};
use axum::{
    extract::{Path, State},
    http::{HeaderValue, header},
    response::Response,
};
use maud::{Markup, html};
use regie_model::{
    AdId, Faults,
    booking::{AdSpec, AssetSpec, Element, Layout, LearningContext, SlotSpec, TemplateSpec},
    catalogue::Review,
    command::Command,
    creative::{Asset, Size},
};

/// Slots of the form.
const SLOTS: usize = 5;
/// Room that a slot keeps for later assets, beside those it has.
const ROOM: u16 = 16;

struct Current {
    campaign: regie_model::CampaignId,
    set: regie_model::AdSetId,
    spec: AdSpec,
    revision: u32,
    review: Review,
}
fn current(app: &AppState, caller: &Caller, id: AdId) -> Result<Current, layout::PageError> {
    let catalogue = app.platform.catalogue();
    let (campaign, set) = act::see_ad(&catalogue, caller, id)?;
    let ad = catalogue.ads.get(&id).ok_or_else(|| act::missing(id))?;
    let (spec, revision, review) = (ad.kept.spec.clone(), ad.kept.revision, ad.review.clone());
    Ok(Current { campaign, set, spec, revision, review })
}

pub(super) async fn show(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> layout::Html {
    let id: AdId = id.parse().map_err(|_| act::missing(&id))?;
    let kept = current(&app, &caller, id)?;
    let mut data = Data::default();
    fill(&mut data, kept.spec.template.as_ref());
    data.set("revision", kept.revision);
    Ok(whole(&app, &caller, id, &kept, &data, &Faults::new()))
}

fn whole(
    app: &AppState,
    caller: &Caller,
    id: AdId,
    kept: &Current,
    data: &Data,
    faults: &Faults,
) -> Response {
    let body = html! {
        p { (t!("learning-template-about")) }
        @if let Some(template) = &kept.spec.template { (examples(id, template)) }
        @if caller.may_book() { (booking(caller, id, kept, data, faults)) }
    };
    let actions = html! {
        (ui::review(&kept.review))
        a class="btn" href={ "/console/ad-sets/" (kept.set) "/learning" } { (t!("learning-title")) }
    };
    let title = t!("learning-template-of", ad = kept.spec.name);
    let frame = layout::Frame::new(&title, "/console/campaigns")
        .crumb(format!("/console/campaigns/{}", kept.campaign), kept.campaign.to_string())
        .crumb(format!("/console/ads/{id}"), id.to_string())
        .actions(actions);
    layout::console(app, caller, &frame, &body)
}

/// A few combinations that show every slot change.
pub fn example_codes(template: &TemplateSpec) -> Vec<u32> {
    let mut codes: Vec<u32> = Vec::new();
    if let Some(first) = template.some_version() {
        codes.push(template.encode(&first));
        for slot in 0..template.slots.len() {
            let mut assets = first.clone();
            assets[slot] = (template.slots[slot].assets.len() as u16).saturating_sub(1);
            if template.may_show(&assets) {
                codes.push(template.encode(&assets));
            }
        }
        codes.sort_unstable();
        codes.dedup();
    }
    codes
}
/// A few combinations as they will be seen.
fn examples(id: AdId, template: &TemplateSpec) -> Markup {
    let codes = example_codes(template);
    let size = match &template.layout {
        Layout::Html { size, .. } => *size,
        Layout::Text | Layout::Native => Size { width: 300, height: 220 },
    };
    html! {
        section class="card" {
            h2 { (t!("learning-combinations-count", count = ui::count(template.combinations_count()))) }
            div class="scroll" { @for code in codes.iter().take(4) {
                iframe src={ "/console/ads/" (id) "/template/" (code) } width=(size.width) height=(size.height) title=(t!("learning-combination")) sandbox="" loading="lazy" {}
                " "
            } }
        }
    }
}

pub(super) async fn frame(
    State(app): State<AppState>,
    caller: Caller,
    Path((id, code)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id: AdId = id.parse().map_err(|_| act::missing(&id))?;
    let (creative, origins) = {
        let catalogue = app.platform.catalogue();
        act::see_ad(&catalogue, &caller, id)?;
        let ad = catalogue.ads.get(&id).ok_or_else(|| act::missing(id))?;
        let code = code.parse().ok();
        let creative = code.and_then(|code| ad.kept.spec.template.as_ref()?.creative(code));
        (creative.ok_or_else(|| act::missing(id))?, ad.kept.spec.third_party_origins.clone())
    };
    // A preview's link leads nowhere: nothing is counted.
    let mut response = frames::framed(frames::document(&creative, "#", "preview", 0), &creative, &origins);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn fill(data: &mut Data, template: Option<&TemplateSpec>) {
    let Some(template) = template else {
        data.set("layout", "text");
        data.set("slots[0].name", "title");
        data.set("slots[1].name", "body");
        return;
    };
    data.set("context", template.context.word());
    match &template.layout {
        Layout::Text => data.set("layout", "text"),
        Layout::Native => data.set("layout", "native"),
        Layout::Html { markup, size } => {
            data.set("layout", "html");
            data.set("markup", markup);
            data.set("size", format!("{}x{}", size.width, size.height));
        }
    }
    for (at, slot) in template.slots.iter().enumerate() {
        data.set(format!("slots[{at}].name"), &slot.name);
        let lines = slot.assets.iter().map(|asset| {
            let retired = if asset.retired { "- " } else { "" };
            let picture = asset.asset.as_ref().map_or(String::new(), |a| format!(" | {}", a.hash));
            format!("{retired}{}{picture}", asset.text.replace('\n', " "))
        });
        data.set(format!("slots[{at}].assets"), lines.collect::<Vec<_>>().join("\n"));
    }
    let never = template
        .never
        .iter()
        .map(|[a, b]| format!("{}.{} {}.{}", a.slot + 1, a.asset + 1, b.slot + 1, b.asset + 1));
    data.set("never", never.collect::<Vec<_>>().join("\n"));
}
fn booking(caller: &Caller, id: AdId, kept: &Current, data: &Data, faults: &Faults) -> Markup {
    let form = Form { data, faults, theirs: None };
    let fields = html! {
        fieldset {
            legend { (t!("learning-book-template")) }
            @if kept.spec.template.is_some() { p class="note" { (t!("learning-template-fixed")) } }
            (slots(&form))
        }
    };
    let path = format!("/console/ads/{id}/template");
    form.wrap(caller, &path, &fields, t!("learning-save"), &format!("/console/ads/{id}"))
}
/// The fields of a template: its layout, and its slots with an asset a line.
pub fn slots(form: &Form<'_>) -> Markup {
    let layouts = [
        ("text", t!("learning-layout-text")),
        ("native", t!("learning-layout-native")),
        ("html", t!("learning-layout-html")),
    ];
    html! {
            (form.field("layout", t!("learning-field-layout")).select(layouts).hint(t!("learning-field-layout-hint")))
            details open[form.data.has("markup")] {
                summary { (t!("learning-layout-html")) }
                (form.field("size", t!("learning-field-size")))
                (form.field("markup", t!("learning-field-markup")).code())
            }
            (form.field("context", t!("learning-field-context")).select(LearningContext::ALL.map(|c| (c.word(), super::context_words(c)))))
            @for slot in 0..SLOTS {
                h3 { (t!("learning-slot", number = slot + 1)) }
                (form.field(format!("slots[{slot}].name"), t!("learning-field-slot")))
                (form.field(format!("slots[{slot}].assets"), t!("learning-field-assets")).area(4).hint(t!("learning-field-assets-hint")))
            }
            (form.field("never", t!("learning-field-never")).area(3).hint(t!("learning-field-never-hint")))
            (form.faults_at("template"))
    }
}

/// The template that a form says; one booked `before` keeps the room of its slots.
pub fn read(app: &AppState, before: Option<&TemplateSpec>, data: &Data, faults: &mut Faults) -> TemplateSpec {
    let size = data.text("size");
    let size = size
        .split_once('x')
        .and_then(|(w, h)| Some(Size { width: w.trim().parse().ok()?, height: h.trim().parse().ok()? }));
    let layout = match data.get("layout") {
        "native" => Layout::Native,
        "html" => {
            faults.when(size.is_none(), "size", "malformed", "Give width and height in pixels.");
            Layout::Html { markup: data.text("markup"), size: size.unwrap_or(Size { width: 0, height: 0 }) }
        }
        _ => Layout::Text,
    };
    let mut slots = Vec::new();
    for at in 0..SLOTS {
        let name = data.text(&format!("slots[{at}].name"));
        let lines = data.line_list(&format!("slots[{at}].assets"));
        if name.is_empty() || lines.is_empty() {
            continue;
        }
        let assets: Vec<AssetSpec> = lines.iter().map(|line| asset(app, line)).collect();
        let booked = before.and_then(|template| template.slots.get(slots.len())).map(|slot| slot.capacity);
        let capacity = booked.unwrap_or((assets.len() as u16).saturating_add(ROOM));
        slots.push(SlotSpec { name, capacity, assets });
    }
    let mut never = Vec::new();
    for line in data.line_list("never") {
        match pair(&line) {
            Some(pair) => never.push(pair),
            None => faults.add("never", "malformed", "Two elements a line, such as 1.2 3.1."),
        }
    }
    let context = LearningContext::from_word(data.get("context")).unwrap_or_default();
    TemplateSpec { layout, slots, never, context }
}
/// `- words | HASH`: retired, its words, its picture.
fn asset(app: &AppState, line: &str) -> AssetSpec {
    let (retired, rest) = line.strip_prefix("- ").map_or((false, line), |rest| (true, rest));
    let (text, hash) = rest.split_once(" | ").map_or((rest, None), |(text, hash)| (text, Some(hash.trim())));
    let asset = hash.and_then(regie_model::creative::ObjectHash::parse).and_then(|hash| {
        let bytes = app.platform.objects.get(&hash)?;
        let found = crate::uploads::image_type(&bytes)?;
        let size_bytes = u32::try_from(bytes.len()).ok()?;
        Some(Asset { hash, media_type: found.media_type.into(), size_bytes, size: found.size })
    });
    AssetSpec { text: text.trim().to_owned(), asset, retired }
}
fn pair(line: &str) -> Option<[Element; 2]> {
    let element = |text: &str| {
        let (slot, asset) = text.trim().split_once('.')?;
        Some(Element {
            slot: slot.parse::<u8>().ok()?.checked_sub(1)?,
            asset: asset.parse::<u16>().ok()?.checked_sub(1)?,
        })
    };
    let (a, b) = line.trim().split_once(' ')?;
    Some([element(a)?, element(b)?])
}

pub(super) async fn save(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: AdId = id.parse().map_err(|_| act::missing(&id))?;
    let kept = current(&app, &caller, id)?;
    let mut faults = Faults::new();
    let template = read(&app, kept.spec.template.as_ref(), &data, &mut faults);
    let spec = AdSpec { template: Some(template), ..kept.spec.clone() };
    let revision = data.get("revision").parse().unwrap_or(kept.revision);
    let command = Command::PutAd { id: Some(id), revision: Some(revision), spec };
    match act::submit(&app, &caller, command, faults).await? {
        act::Sent::Faults(faults) => Ok(whole(&app, &caller, id, &kept, &data, &named(faults))),
        act::Sent::Done(_) | act::Sent::Conflict => Ok(layout::go(format!("/console/ads/{id}/template"))),
    }
}

/// Faults of a template beside the fields of its form.
pub fn named(faults: Faults) -> Faults {
    let mut named = Faults::new();
    for fault in faults.0 {
        let field = fault.field.strip_prefix("template.").unwrap_or(&fault.field).to_owned();
        let field = if field.starts_with("slots") && field.contains(".assets") {
            field.split(".assets").next().map(|slot| format!("{slot}.assets")).unwrap_or(field)
        } else {
            field
        };
        named.add(field, &fault.code, fault.message);
    }
    named
}
