//! Booking step by step, from a goal to a launch: goal, money and dates; audience with its forecast; creative with
//! previews; the declaration where there is one; a last look.
//!
//! What is typed is kept as a draft on the desk with every step back or forth, faulty or not, and belongs to the person who
//! types it. Nothing is booked before the launch; until then the whole is tried on a copy of the catalogue
//! ([`whole`]). Every step works without scripts.

mod launch;
mod show;
mod steps;
mod whole;

pub use whole::Whole;

use super::{BOOKS, act, action, book_campaign, book_set, form::Data, layout, page, twin};
use crate::desk::{Content, DeskError, Draft};
use crate::http::{
    App, AppState, Route,
    auth::{Caller, caller::Who},
    frames,
    problem::Problem,
    uploads,
};
use crate::{k, t};
use axum::{
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use regie_model::{Faults, UserId, limits::UPLOAD_BYTES_MAX};
use std::sync::Arc;

/// Pictures that one request may bring.
const UPLOADS_COUNT_MAX: usize = 8;

/// The module's routes.
pub fn routes() -> Vec<Route> {
    let roomy = || DefaultBodyLimit::max(UPLOADS_COUNT_MAX * UPLOAD_BYTES_MAX);
    vec![
        page("/console/book", BOOKS, get(steps::list)),
        twin("console", "/v1/drafts", BOOKS, get(steps::api)),
        action("/console/book", BOOKS, post(begin)),
        page("/console/book/{draft}/{step}", BOOKS, get(step)),
        action("/console/book/{draft}/{step}", BOOKS, post(save).layer(roomy())),
        page("/console/book/{draft}/preview/{number}", BOOKS, get(preview)),
    ]
}

/// A step of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// What for, for whom, how much, when.
    Goal,
    /// Who shall see it, at what price.
    Audience,
    /// What they see.
    Creative,
    /// What the law asks of a political campaign.
    Declaration,
    /// The whole once more, and the launch.
    Launch,
}
impl Step {
    /// Every step.
    pub const ALL: [Step; 5] = [Step::Goal, Step::Audience, Step::Creative, Step::Declaration, Step::Launch];
    /// Its word in addresses and drafts.
    pub fn word(self) -> &'static str {
        match self {
            Step::Goal => "goal",
            Step::Audience => "audience",
            Step::Creative => "creative",
            Step::Declaration => "declaration",
            Step::Launch => "launch",
        }
    }
    /// By its word.
    pub fn from_word(word: &str) -> Option<Step> {
        Step::ALL.into_iter().find(|step| step.word() == word)
    }
    /// Its name on the page.
    pub fn title(self) -> &'static str {
        crate::i18n::text(match self {
            Step::Goal => k!("guide-goal"),
            Step::Audience => k!("guide-audience"),
            Step::Creative => k!("guide-creative"),
            Step::Declaration => k!("guide-declaration"),
            Step::Launch => k!("guide-launch"),
        })
    }
    /// The steps of a booking: a declaration only where there is something to declare.
    pub fn of(is_political: bool) -> Vec<Step> {
        Step::ALL.into_iter().filter(|step| is_political || *step != Step::Declaration).collect()
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Problem {
        match error {
            DeskError::Limit(text) => Problem::new(StatusCode::CONFLICT, "limit", text),
            other => Problem::internal(other),
        }
    }
}

/// What a draft says of a step.
fn data_of(draft: &Draft, step: Step) -> Data {
    Data::of(draft.content.steps.get(step.word()).cloned().unwrap_or_default())
}
fn is_political(draft: &Draft) -> bool {
    data_of(draft, Step::Goal).has("political")
}
/// Only people have drafts.
fn person(caller: &Caller) -> Result<UserId, Problem> {
    match caller.who {
        Who::User(user) => Ok(user),
        Who::Token(_) => Err(Problem::forbidden("Drafts belong to people.")),
    }
}
fn find(app: &App, caller: &Caller, id: &str) -> Result<Draft, Problem> {
    let number = id.parse().map_err(|_| act::missing(id))?;
    app.desk.draft(person(caller)?, number)?.ok_or_else(|| act::missing(id))
}

async fn begin(State(app): State<AppState>, caller: Caller, _data: Data) -> layout::Html {
    let mut content = Content::default();
    for (step, data) in
        [(Step::Goal, book_campaign::blank(&app, &caller)), (Step::Audience, book_set::blank())]
    {
        content.steps.insert(step.word().to_owned(), data.pairs().to_vec());
    }
    let creative = [("kind".to_owned(), "image".to_owned())];
    content.steps.insert(Step::Creative.word().to_owned(), creative.to_vec());
    let id = app.desk.begin_draft(person(&caller)?, &content, app.platform.now())?;
    Ok(layout::go(format!("/console/book/{id}/goal")))
}

async fn step(
    State(app): State<AppState>,
    caller: Caller,
    Path((id, word)): Path<(String, String)>,
) -> layout::Html {
    let step = Step::from_word(&word).ok_or_else(|| act::missing(&word))?;
    let draft = find(&app, &caller, &id)?;
    if step == Step::Declaration && !is_political(&draft) {
        return Ok(layout::go(format!("/console/book/{id}/launch")));
    }
    let whole = whole::take(&app, &caller, &draft).await?;
    Ok(show::step(&app, &caller, &draft, step, &whole, &Faults::new()))
}

/// Keeps what was typed, whatever it is worth, and goes where the pressed button says.
async fn save(
    State(app): State<AppState>,
    caller: Caller,
    Path((id, word)): Path<(String, String)>,
    mut data: Data,
) -> layout::Html {
    let step = Step::from_word(&word).ok_or_else(|| act::missing(&word))?;
    let (user, mut draft) = (person(&caller)?, find(&app, &caller, &id)?);
    let wish = data.get("go").to_owned();
    let mut refused = Faults::new();
    if step == Step::Creative {
        take_pictures(&app, &mut data, &mut refused).await;
    }
    if step != Step::Launch {
        data.drop_where(|name| matches!(name, "csrf" | "go" | "file"));
        draft.content.steps.insert(step.word().to_owned(), data.pairs().to_vec());
        app.desk.keep_draft(user, &draft, app.platform.now())?;
    }
    let way = Step::of(is_political(&draft));
    let at = way.iter().position(|s| *s == step).unwrap_or(0);
    match wish.as_str() {
        "discard" => {
            app.desk.discard_draft(user, draft.id)?;
            return Ok(layout::go("/console/book"));
        }
        "leave" => return Ok(layout::go("/console/book")),
        "back" if refused.is_empty() => {
            let before = way.get(at.saturating_sub(1)).unwrap_or(&step);
            return Ok(layout::go(format!("/console/book/{id}/{}", before.word())));
        }
        "launch" | "book" if step == Step::Launch => {
            return launch::run(&app, &caller, user, draft, wish == "launch").await;
        }
        _ => {}
    }
    let whole = whole::take(&app, &caller, &draft).await?;
    if wish == "next" {
        let own = whole.faults.get(&step).cloned().unwrap_or_default();
        refused.0.extend(own.0);
        if refused.is_empty() {
            let next = way.get(at + 1).unwrap_or(&step);
            return Ok(layout::go(format!("/console/book/{id}/{}", next.word())));
        }
    }
    Ok(show::step(&app, &caller, &draft, step, &whole, &refused))
}

/// Stores uploaded pictures at once, each as a version of its own; a picture that is there already is not added again.
async fn take_pictures(app: &AppState, data: &mut Data, faults: &mut Faults) {
    let rows = data.rows("versions");
    let gone: Vec<usize> = (0..rows).filter(|row| data.has(&format!("versions[{row}].remove"))).collect();
    data.drop_where(|name| gone.iter().any(|row| name.starts_with(&format!("versions[{row}]."))));
    data.compact("versions", whole::VERSION_FIELDS);
    let files: Vec<_> = data.files_of("file").take(UPLOADS_COUNT_MAX).cloned().collect();
    for bytes in files {
        match uploads::store(app, bytes).await {
            Ok(asset) => {
                let rows = data.rows("versions");
                let hash = asset.hash.to_string();
                if !(0..rows).any(|row| data.get(&format!("versions[{row}].creative.asset")) == hash) {
                    data.set(format!("versions[{rows}].creative.asset"), hash);
                }
            }
            Err(problem) if problem.faults.is_empty() => {
                faults.add("file", "refused", format!("{} {}", problem.title, problem.detail));
            }
            Err(problem) => {
                problem.faults.0.iter().for_each(|f| faults.add("file", "refused", f.message.clone()));
            }
        }
    }
    data.files.clear();
}

/// A version of a draft as it will be seen, sandboxed like every ad. Its link leads nowhere: nothing is counted.
async fn preview(
    State(app): State<AppState>,
    caller: Caller,
    Path((id, number)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let draft = find(&app, &caller, &id)?;
    let whole = whole::take(&app, &caller, &draft).await?;
    let number: u32 = number.parse().map_err(|_| act::missing(&number))?;
    let creative = whole.creative(number).ok_or_else(|| act::missing(number))?;
    let document = frames::document(&creative, "#", t!("guide-preview"), 0);
    let mut response = frames::framed(document, &creative, &whole.ad.third_party_origins);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Something long on a thread that may block, in the language of the request.
async fn aside<T: Send + 'static>(
    app: &AppState,
    caller: &Caller,
    work: impl FnOnce(&AppState, &Caller) -> T + Send + 'static,
) -> Result<T, Problem> {
    let (app, caller, lang) = (Arc::clone(app), caller.clone(), crate::i18n::lang());
    let done = tokio::task::spawn_blocking(move || crate::i18n::within(lang, || work(&app, &caller)));
    done.await.map_err(Problem::internal)
}
