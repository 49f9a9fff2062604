//! Errors as answers: RFC 9457 problem details with a stable code, a public message, and a private cause for the log.
//!
//! What is for people is said in the language that the request asks for (RFC 9457, section 3.1.3); the code never changes.

use crate::{
    i18n::{Lang, lang, rooms},
    platform::{SubmitError, commands::CommandError},
};
use axum::{
    http::{
        StatusCode,
        header::{CONTENT_LANGUAGE, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use regie_model::{Faults, command::Refusal, ticket::TicketError};
use serde::Serialize;

/// An error as the caller sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable machine word.
    pub code: &'static str,
    /// One line for people.
    pub title: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Faults by field.
    #[serde(skip_serializing_if = "Faults::is_empty")]
    pub faults: Faults,
    /// For a conflict: the revision that it is at now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<u32>,
}

impl Problem {
    /// A problem of a code.
    pub fn new(status: StatusCode, code: &'static str, title: impl Into<String>) -> Problem {
        Problem {
            status: status.as_u16(),
            code,
            title: title.into(),
            detail: String::new(),
            faults: Faults::new(),
            current_revision: None,
        }
    }
    /// With what to do about it.
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = detail.into();
        self
    }
    /// The request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", "The request cannot be understood.")
            .detail(detail)
    }
    /// There is no such thing.
    pub fn not_found(what: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not_found", format!("There is no {what}."))
    }
    /// Sign in first.
    pub fn unauthorized() -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Sign in, or send a token.")
    }
    /// Signed in, but not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", "You may not do this.").detail(detail)
    }
    /// Fields are wrong.
    pub fn faults(faults: Faults) -> Problem {
        let title = "The booking has faults; each is named by field.";
        Problem { faults, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", title) }
    }
    /// Something inside failed; the cause is logged, never shown.
    pub fn internal(cause: impl std::fmt::Display) -> Problem {
        tracing::error!(%cause, "an internal error");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something failed inside; the operator's log has it.",
        )
    }
    /// The body is over its limit.
    pub fn too_large(max_bytes: usize) -> Problem {
        let title = format!("The body is larger than {max_bytes} bytes.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", title)
    }
    /// The answer, with members of its own (RFC 9457, section 3.2).
    pub fn response_with(&self, members: &impl Serialize) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let said = self.said();
        let wire = Wire { kind: format!("about:regie#{}", self.code), problem: &said, members };
        let body = serde_json::to_string(&wire).unwrap_or_default();
        let headers = [(CONTENT_TYPE, "application/problem+json"), (CONTENT_LANGUAGE, lang().code())];
        (status, headers, body).into_response()
    }
    /// The same in the language of the request.
    fn said(&self) -> Problem {
        let mut said = self.clone();
        if lang() != Lang::En {
            said.title = rooms::say(&said.title);
            said.detail = rooms::say_all(&said.detail);
            for fault in &mut said.faults.0 {
                fault.message = rooms::say(&fault.message);
            }
        }
        said
    }
}

/// The form on the wire: with the address where the code is explained.
#[derive(Serialize)]
struct Wire<'a, M> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    problem: &'a Problem,
    #[serde(flatten)]
    members: &'a M,
}
/// No members but the problem's own.
#[derive(Serialize)]
struct Plain {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.response_with(&Plain {})
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Problem {
        match error {
            CommandError::Refused(Refusal::Faults(faults)) => Problem::faults(faults),
            CommandError::Refused(Refusal::NotFound(what)) => Problem::not_found(&what),
            CommandError::Refused(conflict @ Refusal::Conflict { current, .. }) => {
                let problem = Problem::new(StatusCode::CONFLICT, "conflict", conflict.to_string());
                Problem {
                    current_revision: Some(current),
                    ..problem.detail("Load it again and repeat your edit.")
                }
            }
            CommandError::Journal(error) => error.into(),
            CommandError::Internal(cause) => Problem::internal(cause),
        }
    }
}
impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Problem {
        let code = match error {
            SubmitError::Busy => "busy",
            SubmitError::Stopped => "journal_stopped",
        };
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string())
    }
}
impl From<TicketError> for Problem {
    fn from(error: TicketError) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, crate::platform::intake::reason(error), error.to_string())
    }
}

/// The answer where no route is.
pub async fn no_such_page() -> Problem {
    Problem::not_found("page or endpoint of this address")
}
/// The answer where a route has other methods.
pub async fn no_such_method() -> Problem {
    let title = "This address exists, but not for this method.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", title)
}

/// Refusals that the framework words itself (a body over its limit, a path that cannot be read), as problems too.
pub async fn problem_of_plain(response: Response) -> Response {
    let status = response.status();
    let plain = response.headers().get(CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"text/plain"));
    if !status.is_client_error() || !plain {
        return response;
    }
    let code = if status == StatusCode::PAYLOAD_TOO_LARGE { "too_large" } else { "bad_request" };
    Problem::new(status, code, status.canonical_reason().unwrap_or("The request cannot be understood."))
        .into_response()
}
