//! Booking an ad and its versions: picture, HTML, native parts, text.
//!
//! An uploaded picture is stored at once, so that a fault elsewhere in the form does not lose it.

use super::{
    BOOKS, act, action,
    form::{Data, Form},
    layout, page,
};
use crate::http::{App, AppState, Route, auth::Caller, uploads};
use crate::t;
use axum::{
    extract::{DefaultBodyLimit, Path, Query, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use regie_model::{
    AdId, AdSetId, Faults, VersionId,
    booking::{AdSpec, VersionSpec},
    command::Command,
    creative::{Asset, Creative, ObjectHash, Size},
    limits::UPLOAD_BYTES_MAX,
};
use serde::Deserialize;

/// Room for the other fields of a form with a file.
const FIELDS_BYTES: usize = 64 * 1024;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let limit = || DefaultBodyLimit::max(UPLOAD_BYTES_MAX + FIELDS_BYTES);
    vec![
        page("/console/ad-sets/{id}/ads/new", BOOKS, get(new)),
        action("/console/ad-sets/{id}/ads", BOOKS, post(create)),
        page("/console/ads/{id}/edit", BOOKS, get(edit)),
        action("/console/ads/{id}", BOOKS, post(save)),
        page("/console/ads/{id}/versions/new", BOOKS, get(new_version)),
        action("/console/ads/{id}/versions", BOOKS, post(create_version).layer(limit())),
        page("/console/versions/{id}/edit", BOOKS, get(edit_version)),
        action("/console/versions/{id}", BOOKS, post(save_version).layer(limit())),
    ]
}

async fn new(State(app): State<AppState>, caller: Caller, Path(set): Path<String>) -> layout::Html {
    let set: AdSetId = set.parse().map_err(|_| act::missing(&set))?;
    act::see_set(&app.platform.catalogue(), &caller, set)?;
    Ok(show_ad(&app, &caller, set, None, &Data::default(), &Faults::new(), None))
}
async fn edit(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> layout::Html {
    let id: AdId = id.parse().map_err(|_| act::missing(&id))?;
    let (set, data) = current_ad(&app, &caller, id)?;
    Ok(show_ad(&app, &caller, set, Some(id), &data, &Faults::new(), None))
}
fn current_ad(app: &App, caller: &Caller, id: AdId) -> Result<(AdSetId, Data), layout::PageError> {
    let catalogue = app.platform.catalogue();
    let (_, set) = act::see_ad(&catalogue, caller, id)?;
    let ad = catalogue.ads.get(&id).ok_or_else(|| act::missing(id))?;
    let mut data = Data::default();
    data.set("name", &ad.kept.spec.name);
    data.set("landing_url", &ad.kept.spec.landing_url);
    data.set("third_party_origins", ad.kept.spec.third_party_origins.join("\n"));
    data.set_some("external_id", ad.kept.spec.external_id.as_ref());
    data.set("revision", ad.kept.revision);
    Ok((set, data))
}
async fn create(
    State(app): State<AppState>,
    caller: Caller,
    Path(set): Path<String>,
    data: Data,
) -> layout::Html {
    let set: AdSetId = set.parse().map_err(|_| act::missing(&set))?;
    put_ad(&app, &caller, set, None, data).await
}
async fn save(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: AdId = id.parse().map_err(|_| act::missing(&id))?;
    let (_, set) = act::see_ad(&app.platform.catalogue(), &caller, id)?;
    put_ad(&app, &caller, set, Some(id), data).await
}
async fn put_ad(
    app: &AppState,
    caller: &Caller,
    set: AdSetId,
    id: Option<AdId>,
    mut data: Data,
) -> layout::Html {
    // Booked on a page of its own; an edit here leaves it as it is.
    let template = {
        let catalogue = app.platform.catalogue();
        id.and_then(|id| catalogue.ads.get(&id)).and_then(|ad| ad.kept.spec.template.clone())
    };
    let spec = AdSpec {
        template,
        ad_set: set,
        name: data.text("name"),
        landing_url: data.text("landing_url"),
        third_party_origins: data.line_list("third_party_origins"),
        external_id: Some(data.text("external_id")).filter(|t| !t.is_empty()),
    };
    let command = Command::PutAd { id, revision: data.get("revision").parse().ok(), spec };
    match act::submit(app, caller, command, Faults::new()).await? {
        act::Sent::Done(id) => Ok(layout::go(format!("/console/ads/{id}"))),
        act::Sent::Faults(faults) => Ok(show_ad(app, caller, set, id, &data, &faults, None)),
        act::Sent::Conflict => {
            let (_, theirs) = current_ad(app, caller, id.unwrap_or_default())?;
            data.set("revision", theirs.get("revision"));
            Ok(show_ad(app, caller, set, id, &data, &Faults::new(), Some(&theirs)))
        }
    }
}
fn show_ad(
    app: &AppState,
    caller: &Caller,
    set: AdSetId,
    id: Option<AdId>,
    data: &Data,
    faults: &Faults,
    theirs: Option<&Data>,
) -> Response {
    let form = Form { data, faults, theirs };
    let fields = html! {
        fieldset {
            legend { (t!("words-ad")) }
            (form.field("name", t!("words-name")).hint(t!("words-for-you-readers-do-not")).required())
            (form.field("landing_url", t!("words-landing-page")).url().hint(t!("booking-where-a-click-goes-and")).required())
            details open[data.has("third_party_origins")] {
                summary { (t!("booking-third-party-origins")) }
                (form.field("third_party_origins", t!("booking-origins-that-its-html-may")).area(3).hint(t!("booking-one-a-line-such-as")))
            }
            details { summary { (t!("words-for-imports")) } (form.field("external_id", t!("words-your-own-id"))) }
        }
        p class="small muted" { (t!("booking-a-changed-landing-page-or")) }
    };
    let back = match (id, app.platform.catalogue().ad_sets.get(&set)) {
        (Some(id), _) => format!("/console/ads/{id}"),
        (None, Some(kept)) => format!("/console/campaigns/{}", kept.spec.campaign),
        (None, None) => "/console/campaigns".into(),
    };
    let to = id.map_or_else(|| format!("/console/ad-sets/{set}/ads"), |id| format!("/console/ads/{id}"));
    let (title, button) = if id.is_some() {
        (t!("booking-edit-the-ad"), t!("booking-save-the-ad"))
    } else {
        (t!("words-add-an-ad"), t!("booking-add-the-ad"))
    };
    let body = form.wrap(caller, &to, &fields, button, &back);
    let status =
        if faults.is_empty() && theirs.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let frame =
        layout::Frame::new(title, "/console/campaigns").crumb("/console/campaigns", t!("words-campaigns"));
    layout::console_with(status, app, caller, &frame, &body)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct KindQuery {
    kind: String,
}

async fn new_version(
    State(app): State<AppState>,
    caller: Caller,
    Path(ad): Path<String>,
    Query(query): Query<KindQuery>,
) -> layout::Html {
    let ad: AdId = ad.parse().map_err(|_| act::missing(&ad))?;
    act::see_ad(&app.platform.catalogue(), &caller, ad)?;
    let mut data = Data::default();
    let kind = ["image", "html", "native", "text"].into_iter().find(|k| *k == query.kind).unwrap_or("image");
    data.set("kind", kind);
    data.set("weight", 1);
    Ok(show_version(&app, &caller, ad, None, &data, &Faults::new(), None))
}
async fn edit_version(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> layout::Html {
    let id: VersionId = id.parse().map_err(|_| act::missing(&id))?;
    let (ad, data) = current_version(&app, &caller, id)?;
    Ok(show_version(&app, &caller, ad, Some(id), &data, &Faults::new(), None))
}
fn current_version(app: &App, caller: &Caller, id: VersionId) -> Result<(AdId, Data), layout::PageError> {
    let kept = {
        let catalogue = app.platform.catalogue();
        let kept = catalogue.versions.get(&id).map(|v| v.kept).ok_or_else(|| act::missing(id))?;
        act::see_ad(&catalogue, caller, kept.spec.ad).map_err(|_| act::missing(id))?;
        kept
    };
    let mut data = Data::default();
    data.set("name", &kept.spec.name);
    data.set("weight", kept.spec.weight);
    data.set("revision", kept.revision);
    data.set_some("external_id", kept.spec.external_id.as_ref());
    if let Some(creative) = app.creatives.get(&app.platform.objects, &kept.spec.creative.short()) {
        fill_creative(&mut data, &creative);
    }
    Ok((kept.spec.ad, data))
}
fn fill_creative(data: &mut Data, creative: &Creative) {
    data.set("kind", creative.kind());
    match creative {
        Creative::Image { asset, alt } => {
            data.set("creative.asset", asset.hash);
            data.set("creative.alt", alt);
        }
        Creative::Html { markup, size } => {
            data.set("creative.markup", markup);
            data.set("creative.size.width", size.width);
            data.set("creative.size.height", size.height);
        }
        Creative::Native { title, body, call_to_action, asset, alt } => {
            data.set("creative.title", title);
            data.set("creative.body", body);
            data.set("creative.call_to_action", call_to_action);
            data.set_some("creative.asset", asset.as_ref().map(|a| a.hash));
            data.set("creative.alt", alt);
        }
        Creative::Text { title, body } => {
            data.set("creative.title", title);
            data.set("creative.body", body);
        }
    }
}

async fn create_version(
    State(app): State<AppState>,
    caller: Caller,
    Path(ad): Path<String>,
    data: Data,
) -> layout::Html {
    let ad: AdId = ad.parse().map_err(|_| act::missing(&ad))?;
    act::see_ad(&app.platform.catalogue(), &caller, ad)?;
    put_version(&app, &caller, ad, None, data).await
}
async fn save_version(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    data: Data,
) -> layout::Html {
    let id: VersionId = id.parse().map_err(|_| act::missing(&id))?;
    let ad = app.platform.catalogue().versions.brief(id).map(|v| v.ad).ok_or_else(|| act::missing(id))?;
    act::see_ad(&app.platform.catalogue(), &caller, ad).map_err(|_| act::missing(id))?;
    put_version(&app, &caller, ad, Some(id), data).await
}

/// Stores an uploaded picture and remembers it in the form; a picture that cannot be used is a fault.
async fn take_upload(app: &AppState, data: &mut Data, faults: &mut Faults) {
    let Some(bytes) = data.file("file").cloned() else { return };
    match uploads::store(app, bytes).await {
        Ok(asset) => data.set("creative.asset", asset.hash),
        Err(problem) if problem.faults.is_empty() => {
            faults.add("file", "refused", format!("{} {}", problem.title, problem.detail))
        }
        Err(problem) => {
            problem.faults.0.iter().for_each(|f| faults.add("file", "refused", f.message.clone()))
        }
    }
}
/// A stored picture by its hash.
fn asset(app: &App, data: &Data) -> Option<Asset> {
    let hash = ObjectHash::parse(data.get("creative.asset"))?;
    let bytes = app.platform.objects.get(&hash)?;
    let found = crate::uploads::image_type(&bytes)?;
    Some(Asset {
        hash,
        media_type: found.media_type.into(),
        size_bytes: u32::try_from(bytes.len()).ok()?,
        size: found.size,
    })
}

/// The creative that a form says.
pub(super) fn read_creative(app: &App, data: &Data, faults: &mut Faults) -> Creative {
    let text = |name: &str| data.text(name);
    match data.get("kind") {
        "html" => Creative::Html {
            markup: data.get("creative.markup").replace("\r\n", "\n"),
            size: Size {
                width: data.whole("creative.size.width", 0, faults),
                height: data.whole("creative.size.height", 0, faults),
            },
        },
        "native" => Creative::Native {
            title: text("creative.title"),
            body: text("creative.body"),
            call_to_action: text("creative.call_to_action"),
            asset: asset(app, data),
            alt: text("creative.alt"),
        },
        "text" => Creative::Text { title: text("creative.title"), body: text("creative.body") },
        _ => {
            let found = asset(app, data);
            faults.when(found.is_none(), "file", "missing", t!("booking-choose-a-picture-png-jpeg"));
            let none = || Asset {
                hash: ObjectHash::default(),
                media_type: String::new(),
                size_bytes: 0,
                size: Size { width: 0, height: 0 },
            };
            Creative::Image { asset: found.unwrap_or_else(none), alt: text("creative.alt") }
        }
    }
}

async fn put_version(
    app: &AppState,
    caller: &Caller,
    ad: AdId,
    id: Option<VersionId>,
    mut data: Data,
) -> layout::Html {
    let mut faults = Faults::new();
    take_upload(app, &mut data, &mut faults).await;
    let spec = VersionSpec {
        ad,
        name: data.text("name"),
        creative: read_creative(app, &data, &mut faults),
        weight: data.whole("weight", 1, &mut faults),
        external_id: Some(data.text("external_id")).filter(|t| !t.is_empty()),
    };
    let command = Command::PutVersion { id, revision: data.get("revision").parse().ok(), spec };
    match act::submit(app, caller, command, faults).await? {
        act::Sent::Done(_) => Ok(layout::go(format!("/console/ads/{ad}"))),
        act::Sent::Faults(faults) => Ok(show_version(app, caller, ad, id, &data, &faults, None)),
        act::Sent::Conflict => {
            let (_, theirs) = current_version(app, caller, id.unwrap_or_default())?;
            data.set("revision", theirs.get("revision"));
            Ok(show_version(app, caller, ad, id, &data, &Faults::new(), Some(&theirs)))
        }
    }
}

fn show_version(
    app: &AppState,
    caller: &Caller,
    ad: AdId,
    id: Option<VersionId>,
    data: &Data,
    faults: &Faults,
    theirs: Option<&Data>,
) -> Response {
    let form = Form { data, faults, theirs };
    let kind = data.get("kind");
    let fields = html! {
        input type="hidden" name="kind" value=(kind);
        fieldset {
            legend { (match kind { "html" => "HTML", "native" => t!("booking-native"), "text" => t!("words-text"), _ => t!("booking-picture") }) }
            (form.faults_at("creative"))
            (parts(&form, kind, "", &upload(&form)))
        }
        fieldset {
            legend { (t!("booking-among-the-ad-s-versions")) }
            div class="row" { (form.field("name", t!("words-name"))) (form.field("weight", t!("booking-weight")).number().hint(t!("booking-its-share-relative-to-the"))) }
            details { summary { (t!("words-for-imports")) } (form.field("external_id", t!("words-your-own-id"))) }
        }
    };
    let back = format!("/console/ads/{ad}");
    let to = id.map_or_else(|| format!("/console/ads/{ad}/versions"), |id| format!("/console/versions/{id}"));
    let (title, button) = if id.is_some() {
        (t!("booking-edit-the-version"), t!("booking-save-the-version"))
    } else {
        (t!("booking-add-a-version"), t!("booking-add-the-version"))
    };
    let body = form.wrap(caller, &to, &fields, button, &back);
    let status =
        if faults.is_empty() && theirs.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let name = app.platform.catalogue().ads.get(&ad).map(|a| a.kept.spec.name.clone()).unwrap_or_default();
    let frame = layout::Frame::new(title, "/console/campaigns")
        .crumb("/console/campaigns", t!("words-campaigns"))
        .crumb(back, name);
    layout::console_with(status, app, caller, &frame, &body)
}

/// The parts of a creative of a kind as fields; `prefix` stands before their names, `picture` is how its picture is chosen.
pub(super) fn parts(form: &Form<'_>, kind: &str, prefix: &str, picture: &Markup) -> Markup {
    let field = |name: &str, label: &str| form.field(format!("{prefix}creative.{name}"), label);
    html! {
        @match kind {
            "html" => {
                (field("markup", t!("booking-markup")).code().hint(t!("booking-one-whole-document-link-to")).required())
                div class="row" { (field("size.width", t!("booking-width")).number().unit("pixels").required()) (field("size.height", t!("booking-height")).number().unit("pixels").required()) }
            }
            "text" => { (field("title", t!("booking-headline")).required()) (field("body", t!("words-text")).area(3)) }
            "native" => {
                (field("title", t!("booking-headline")).required()) (field("body", t!("words-text")).area(3)) (field("call_to_action", t!("booking-words-of-the-button")))
                (picture) (field("alt", t!("booking-the-picture-in-words")).hint(t!("booking-for-those-who-do-not")))
            }
            _ => { (picture) (field("alt", t!("booking-the-picture-in-words")).hint(t!("booking-for-those-who-do-not-2")).required()) }
        }
    }
}

fn upload(form: &Form<'_>) -> Markup {
    let faults: Vec<&str> = form
        .faults
        .0
        .iter()
        .filter(|f| f.field == "file" || f.field.starts_with("creative.asset"))
        .map(|f| f.message.as_str())
        .collect();
    let kept = ObjectHash::parse(form.data.get("creative.asset"));
    html! {
        div class=(if faults.is_empty() { "field" } else { "field bad" }) {
            label for="f-file" { (t!("booking-picture")) }
            p class="hint" { (t!("booking-png-jpeg-gif-or-webp")) }
            @if let Some(hash) = kept {
                img class="adframe" src={ "/v1/assets/" (hash) } alt=(t!("booking-the-picture-as-uploaded"));
                input type="hidden" name="creative.asset" value=(hash);
                p class="hint" { (t!("booking-choose-another-file-to-replace")) }
            }
            input id="f-file" type="file" name="file" accept="image/png,image/jpeg,image/gif,image/webp";
            @if !faults.is_empty() { p class="fault" { (faults.join(" ")) } }
        }
    }
}
