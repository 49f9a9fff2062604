//! A small form toolkit: what was typed, what is wrong with it, and fields that show both. Nothing typed is lost.
//!
//! A field's name in the form is its path in the booking, so that a fault finds its field by itself.

use super::layout::csrf;
use crate::http::{AppState, auth::Caller, problem::Problem};
use crate::i18n::rooms::say;
use crate::{t, th};
use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request},
    http::header,
};
use maud::{Markup, Render, html};
use regie_model::{Currency, Faults, Micros, UtcMs, Zone, limits::UPLOAD_BYTES_MAX};
use std::str::FromStr;

/// Fields that one form may have.
const FIELDS_MAX: usize = 4_000;

/// What was typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    pairs: Vec<(String, String)>,
    /// Uploaded files with content, by field.
    pub files: Vec<(String, Bytes)>,
}

impl Data {
    /// Made of names and values.
    pub fn of(pairs: Vec<(String, String)>) -> Data {
        Data { pairs, files: Vec::new() }
    }
    /// Names and values, as typed.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
    /// Takes fields out, and gives how many there were.
    pub fn drop_where(&mut self, unwanted: impl Fn(&str) -> bool) -> usize {
        let before = self.pairs.len();
        self.pairs.retain(|(name, _)| !unwanted(name));
        before - self.pairs.len()
    }
    /// The fields below a name, without it: `versions[0].name` as `name` for `versions[0]`.
    pub fn within(&self, prefix: &str) -> Data {
        let below = |name: &str| name.strip_prefix(prefix)?.strip_prefix('.').map(str::to_owned);
        Data::of(self.pairs.iter().filter_map(|(name, value)| Some((below(name)?, value.clone()))).collect())
    }
    /// Adds what another part of the form says; where both say something, the other does.
    pub fn add(&mut self, other: &Data) {
        for (name, value) in &other.pairs {
            self.set(name.clone(), value);
        }
    }
    /// The first value of a field; empty when absent.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str())
    }
    /// Trimmed, with plain line ends.
    pub fn text(&self, name: &str) -> String {
        self.get(name).replace("\r\n", "\n").trim().to_owned()
    }
    /// Whether a box is ticked, or a field filled.
    pub fn has(&self, name: &str) -> bool {
        !self.get(name).trim().is_empty()
    }
    /// Sets a value.
    pub fn set(&mut self, name: impl Into<String>, value: impl ToString) {
        let name = name.into();
        self.pairs.retain(|(n, _)| *n != name);
        self.pairs.push((name, value.to_string()));
    }
    /// Sets a value if there is one.
    pub fn set_some(&mut self, name: impl Into<String>, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }
    /// Ticks a box.
    pub fn tick(&mut self, name: &str, on: bool) {
        if on {
            self.set(name, "on");
        }
    }
    /// Values separated by commas or lines.
    pub fn list(&self, name: &str) -> Vec<String> {
        let pieces = self.get(name).split([',', '\n']);
        pieces.map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned).collect()
    }
    /// Lines.
    pub fn line_list(&self, name: &str) -> Vec<String> {
        self.get(name).lines().map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned).collect()
    }
    /// All uploaded files of a field.
    pub fn files_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Bytes> {
        self.files.iter().filter(move |(n, _)| n == name).map(|(_, bytes)| bytes)
    }
    /// The uploaded file of a field.
    pub fn file(&self, name: &str) -> Option<&Bytes> {
        self.files.iter().find(|(n, _)| n == name).map(|(_, b)| b)
    }

    /// A required id.
    pub fn id<T: FromStr + Default>(&self, name: &str, faults: &mut Faults) -> T {
        let parsed = self.get(name).trim().parse();
        if parsed.is_err() {
            faults.add(name, "missing", t!("booking-choose-one-from-the-list"));
        }
        parsed.unwrap_or_default()
    }
    /// A whole number; `default` when empty.
    pub fn whole<T: FromStr>(&self, name: &str, default: T, faults: &mut Faults) -> T {
        let text: String = self.get(name).chars().filter(|c| !c.is_whitespace()).collect();
        if text.is_empty() {
            return default;
        }
        text.parse().unwrap_or_else(|_| {
            faults.add(name, "malformed", t!("booking-write-a-whole-number-in"));
            default
        })
    }
    /// A decimal amount as micros; `None` when empty.
    pub fn micros_opt(&self, name: &str, faults: &mut Faults) -> Option<Micros> {
        let text = self.get(name).trim();
        if text.is_empty() {
            return None;
        }
        let parsed = parse_micros(text);
        if parsed.is_none() {
            faults.add(name, "malformed", t!("booking-write-an-amount-such-as"));
        }
        parsed.map(Micros)
    }
    /// A required amount.
    pub fn micros(&self, name: &str, faults: &mut Faults) -> i64 {
        let before = faults.0.len();
        let amount = self.micros_opt(name, faults);
        if amount.is_none() && faults.0.len() == before {
            faults.add(name, "missing", t!("words-please-fill-in-the-amount"));
        }
        amount.map_or(0, |m| m.0)
    }
    /// A local date and time; `None` when empty.
    pub fn time_opt(&self, name: &str, zone: &Zone, faults: &mut Faults) -> Option<UtcMs> {
        let text = self.get(name).trim().replace(' ', "T");
        if text.is_empty() {
            return None;
        }
        let full = if text.len() == 10 { format!("{text}T00:00") } else { text };
        let parsed = zone.parse_local(&full);
        if parsed.is_none() {
            faults.add(name, "malformed", t!("booking-write-date-and-time-as"));
        }
        parsed
    }

    /// How many rows `prefix[0]`, `prefix[1]` ... there are.
    pub fn rows(&self, prefix: &str) -> usize {
        let head = format!("{prefix}[");
        let number = |name: &str| name.strip_prefix(&head)?.split_once(']')?.0.parse::<usize>().ok();
        self.pairs.iter().filter_map(|(name, _)| number(name)).max().map_or(0, |n| n.min(FIELDS_MAX) + 1)
    }
    /// Drops rows in which none of the fields is filled, so that numbers are those of the booking.
    pub fn compact(&mut self, prefix: &str, fields: &[&str]) {
        let rows = self.rows(prefix);
        let filled: Vec<usize> = (0..rows)
            .filter(|row| fields.iter().any(|field| self.has(&format!("{prefix}[{row}].{field}"))))
            .collect();
        let head = format!("{prefix}[");
        let mut kept = Vec::with_capacity(self.pairs.len());
        for (name, value) in std::mem::take(&mut self.pairs) {
            match name.strip_prefix(&head).and_then(|rest| rest.split_once(']')) {
                None => kept.push((name, value)),
                Some((number, tail)) => {
                    let row = number.parse::<usize>().ok().and_then(|n| filled.iter().position(|f| *f == n));
                    if let Some(row) = row {
                        kept.push((format!("{prefix}[{row}]{tail}"), value));
                    }
                }
            }
        }
        self.pairs = kept;
    }
}

/// A decimal amount as micros: `1250`, `1 250.50`, `0,45`.
pub fn parse_micros(text: &str) -> Option<i64> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (whole, part) = plain.split_once(['.', ',']).unwrap_or((&plain, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 12 || part.len() > 6 || !digits(whole) || !digits(part) {
        return None;
    }
    let part: i64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(part)
}
/// Micros as a field shows them: all digits that matter.
pub fn micros_text(micros: Micros) -> String {
    let full = micros.to_nanos().display(Currency::EUR, 6);
    let (whole, part) = full.split_once('.').unwrap_or((&full, ""));
    match part.trim_end_matches('0') {
        "" => whole.to_owned(),
        part => format!("{whole}.{part:0<2}"),
    }
}

impl FromRequest<AppState> for Data {
    type Rejection = super::layout::PageError;
    async fn from_request(request: Request, app: &AppState) -> Result<Data, Self::Rejection> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        if kind.starts_with("multipart/form-data") {
            return multipart(request, app).await.map_err(super::layout::PageError);
        }
        let max = regie_model::limits::COMMAND_BODY_BYTES_MAX;
        let bytes = axum::body::to_bytes(request.into_body(), max).await;
        let bytes = bytes.map_err(|_| Problem::too_large(max))?;
        let pairs = url::form_urlencoded::parse(&bytes).take(FIELDS_MAX);
        Ok(Data { pairs: pairs.map(|(n, v)| (n.into_owned(), v.into_owned())).collect(), files: Vec::new() })
    }
}

async fn multipart(request: Request, app: &AppState) -> Result<Data, Problem> {
    let unreadable = |_| Problem::bad_request("The form could not be read; send it again.");
    let mut parts = Multipart::from_request(request, app)
        .await
        .map_err(|_| Problem::bad_request("The form could not be read."))?;
    let mut data = Data::default();
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        let name = part.name().unwrap_or("").to_owned();
        let is_file = part.file_name().is_some();
        let bytes = part.bytes().await.map_err(|_| Problem::too_large(UPLOAD_BYTES_MAX))?;
        if data.pairs.len() + data.files.len() >= FIELDS_MAX {
            return Err(Problem::bad_request(format!("At most {FIELDS_MAX} fields.")));
        }
        if !is_file {
            data.pairs.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        } else if !bytes.is_empty() {
            data.files.push((name, bytes));
        }
    }
    Ok(data)
}

/// A form being shown: what was typed, what is wrong, what somebody else saved meanwhile.
pub struct Form<'a> {
    /// What was typed.
    pub data: &'a Data,
    /// What is wrong.
    pub faults: &'a Faults,
    /// What is saved now, when somebody else saved in between.
    pub theirs: Option<&'a Data>,
}

/// Kinds of fields.
enum Kind {
    Line(&'static str),
    Area(u32, bool),
    Select(Vec<(String, String)>),
    Check,
}

/// One field.
pub struct Field<'a> {
    form: &'a Form<'a>,
    name: String,
    label: String,
    hint: String,
    kind: Kind,
    required: bool,
    suffix: &'static str,
    mark: String,
}

/// An id that HTML, CSS and links all take.
fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

impl<'a> Form<'a> {
    /// A line of text.
    pub fn field(&'a self, name: impl Into<String>, label: &str) -> Field<'a> {
        Field {
            form: self,
            name: name.into(),
            label: label.into(),
            hint: String::new(),
            kind: Kind::Line("text"),
            required: false,
            suffix: "",
            mark: String::new(),
        }
    }
    /// The faults of a field: its own, and those of what lies within it.
    fn faults_of<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b str> {
        self.faults.0.iter().filter(move |f| belongs(&f.field, name)).map(|f| f.message.as_str())
    }
    /// The faults of a group of fields that is no field itself.
    pub fn faults_at(&self, name: &str) -> Markup {
        let found: Vec<&str> =
            self.faults.0.iter().filter(|f| f.field == name).map(|f| f.message.as_str()).collect();
        html! { @if !found.is_empty() { p class="fault" id={ "f-" (slug(name)) } { (found.iter().map(|f| say(f)).collect::<Vec<_>>().join(" ")) } } }
    }
    /// All faults, with links to their fields; nothing without faults.
    pub fn summary(&self) -> Markup {
        html! {
            (self.mending(|strong| th!("booking-nothing-was-saved-nothing-you", strong = strong)))
            @if self.theirs.is_some() {
                div class="note warn" role="alert" {
                    p { (th!("booking-your-text-is-kept-where", strong = html! { strong { (t!("booking-somebody-saved-this-while-you")) } })) }
                }
            }
        }
    }
    /// The same for a form whose words are kept as a draft all the same.
    pub fn summary_of_draft(&self) -> Markup {
        self.mending(|strong| th!("guide-mend", strong = strong))
    }
    fn mending(&self, about: impl FnOnce(Markup) -> Markup) -> Markup {
        let count = self.faults.0.len();
        html! {
            @if count > 0 {
                div class="note bad" role="alert" tabindex="-1" {
                    p { (about(html! { strong { @if count == 1 { (t!("booking-one-thing-needs-mending")) } @else { (th!("booking-things-need-mending", faults = count)) } } })) }
                    ul { @for fault in &self.faults.0 { li { a href={ "#f-" (slug(&fault.field)) } { (human(&fault.field).split(", ").map(say).collect::<Vec<_>>().join(", ")) } ": " (say(&fault.message)) } } }
                }
            }
        }
    }
    /// The whole form around its fields.
    pub fn wrap(&self, caller: &Caller, action: &str, fields: &Markup, button: &str, back: &str) -> Markup {
        html! {
            (self.summary())
            form method="post" action=(action) enctype="multipart/form-data" data-guard="" data-kept=(t!("booking-kept-here")) data-restore=(t!("booking-restore")) novalidate {
                (csrf(caller))
                @if self.data.has("revision") { input type="hidden" name="revision" value=(self.data.get("revision")); }
                (fields)
                div class="buttons" { button class="primary" { (button) } a class="btn" href=(back) { (t!("booking-cancel")) } }
            }
        }
    }
}

/// Whether a fault's path lies in a field: `targeting[0].values[2]` in `targeting[0].values`.
fn belongs(path: &str, name: &str) -> bool {
    path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('['))
}
/// A path in words: `flight.ends_at` is "flight, ends at".
fn human(path: &str) -> String {
    let words = path.replace("_micros", "").replace('_', " ").replace('.', ", ").replace(']', "");
    let mut text = String::new();
    for (index, piece) in words.split('[').enumerate() {
        match (index, piece.split_once(',')) {
            (0, _) => text.push_str(piece),
            (_, Some((number, rest))) => text.push_str(&format!(" {},{rest}", one_more(number))),
            (_, None) => text.push_str(&format!(" {}", one_more(piece))),
        }
    }
    text
}
fn one_more(number: &str) -> String {
    number.parse::<u32>().map_or_else(|_| number.to_owned(), |n| (n + 1).to_string())
}

impl<'a> Field<'a> {
    /// What to write, in a sentence.
    pub fn hint(mut self, hint: impl Into<String>) -> Field<'a> {
        self.hint = hint.into();
        self
    }
    /// Must be filled in.
    pub fn required(mut self) -> Field<'a> {
        self.required = true;
        self
    }
    /// Several lines.
    pub fn area(mut self, rows: u32) -> Field<'a> {
        self.kind = Kind::Area(rows, false);
        self
    }
    /// Code.
    pub fn code(mut self) -> Field<'a> {
        self.kind = Kind::Area(14, true);
        self
    }
    /// An amount in a currency.
    pub fn amount(mut self) -> Field<'a> {
        self.kind = Kind::Line("decimal");
        self
    }
    /// A whole number.
    pub fn number(mut self) -> Field<'a> {
        self.kind = Kind::Line("numeric");
        self
    }
    /// An address.
    pub fn url(mut self) -> Field<'a> {
        self.kind = Kind::Line("url");
        self
    }
    /// Date and time.
    pub fn time(mut self) -> Field<'a> {
        self.kind = Kind::Line("datetime-local");
        self
    }
    /// A day.
    pub fn date(mut self) -> Field<'a> {
        self.kind = Kind::Line("date");
        self
    }
    /// One of several: (value, words).
    pub fn select<V: ToString, W: ToString>(
        mut self,
        options: impl IntoIterator<Item = (V, W)>,
    ) -> Field<'a> {
        self.kind =
            Kind::Select(options.into_iter().map(|(v, w)| (v.to_string(), say(&w.to_string()))).collect());
        self
    }
    /// A box to tick.
    pub fn check(mut self) -> Field<'a> {
        self.kind = Kind::Check;
        self
    }
    /// Apart from the fields of the same name in other forms of the page.
    pub fn marked(mut self, mark: impl std::fmt::Display) -> Field<'a> {
        self.mark = format!("-{mark}");
        self
    }
    /// Words behind the label, such as a unit.
    pub fn unit(mut self, unit: &'static str) -> Field<'a> {
        self.suffix = unit;
        self
    }

    fn control(&self, id: &str, described: &str, bad: bool) -> Markup {
        let value = self.form.data.get(&self.name);
        let invalid = bad.then_some("true");
        let described = (!described.is_empty()).then_some(described);
        html! {
            @match &self.kind {
                Kind::Line(kind) => {
                    @let (kind, mode) = match *kind { "decimal" => ("text", Some("decimal")), "numeric" => ("text", Some("numeric")), other => (other, None) };
                    input id=(id) name=(self.name) type=(kind) inputmode=[mode] value=(value) aria-describedby=[described] aria-invalid=[invalid] required[self.required] autocomplete="off";
                }
                Kind::Area(rows, code) => {
                    textarea id=(id) name=(self.name) rows=(rows) class=[code.then_some("code")] aria-describedby=[described] aria-invalid=[invalid] required[self.required] spellcheck=[code.then_some("false")] { "\n" (value) }
                }
                Kind::Select(options) => {
                    select id=(id) name=(self.name) aria-describedby=[described] aria-invalid=[invalid] required[self.required] {
                        @if !options.iter().any(|(v, _)| v == value) { option value=(value) selected { @if value.is_empty() { (t!("booking-choose")) } @else { (value) } } }
                        @for (option, words) in options { option value=(option) selected[option == value] { (words) } }
                    }
                }
                Kind::Check => {
                    input id=(id) name=(self.name) type="checkbox" value="on" checked[self.form.data.has(&self.name)] aria-describedby=[described] aria-invalid=[invalid];
                }
            }
        }
    }
}

impl Render for Field<'_> {
    fn render(&self) -> Markup {
        let slug = |name: &str| format!("{}{}", slug(name), self.mark);
        let id = format!("f-{}", slug(&self.name));
        let faults: Vec<&str> = self.form.faults_of(&self.name).collect();
        let theirs =
            self.form.theirs.map(|t| t.get(&self.name)).filter(|t| *t != self.form.data.get(&self.name));
        let (hint_id, fault_id) = (format!("h-{}", slug(&self.name)), format!("e-{}", slug(&self.name)));
        let mut described = Vec::new();
        if !self.hint.is_empty() {
            described.push(hint_id.as_str());
        }
        if !faults.is_empty() {
            described.push(fault_id.as_str());
        }
        let control = self.control(&id, &described.join(" "), !faults.is_empty());
        let check = matches!(self.kind, Kind::Check);
        let class = format!(
            "field{}{}",
            if check { " check" } else { "" },
            if faults.is_empty() { "" } else { " bad" }
        );
        html! {
            div class=(class) {
                @if check {
                    label for=(id) { (control) span { (self.label) } }
                    @if !self.hint.is_empty() { p class="hint" id=(hint_id) { (self.hint) } }
                } @else {
                    label for=(id) {
                        (self.label)
                        @if !self.suffix.is_empty() { " " span class="opt" { (say(self.suffix)) } }
                        @if !self.required { " " span class="opt" { (t!("booking-optional")) } }
                    }
                    @if !self.hint.is_empty() { p class="hint" id=(hint_id) { (self.hint) } }
                    (control)
                }
                @if !faults.is_empty() { p class="fault" id=(fault_id) { (faults.iter().map(|f| say(f)).collect::<Vec<_>>().join(" ")) } }
                @if let Some(theirs) = theirs { p class="theirs" { (th!("booking-saved-meanwhile", part = html! { q { (theirs) } })) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, want) in [
            ("1250", Some(1_250_000_000)),
            ("1 250.50", Some(1_250_500_000)),
            ("0,45", Some(450_000)),
            ("0.0000001", None),
            ("-1", None),
            ("1.2.3", None),
            ("", None),
            ("1e3", None),
        ] {
            assert_eq!(parse_micros(text), want, "{text}");
        }
        assert_eq!(micros_text(Micros(1_250_500_000)), "1250.50");
        assert_eq!(micros_text(Micros(450)), "0.00045");
        assert_eq!(micros_text(Micros(7_000_000)), "7");
    }
    #[test]
    fn empty_rows_fall_out_and_numbers_close_up() {
        let mut data = Data::default();
        data.set("caps[0].n", "");
        data.set("caps[0].kind", "ad");
        data.set("caps[3].n", "5");
        data.set("caps[3].kind", "set");
        data.compact("caps", &["n"]);
        assert_eq!(data.rows("caps"), 1);
        assert_eq!((data.get("caps[0].n"), data.get("caps[0].kind")), ("5", "set"));
    }
    #[test]
    fn faults_find_their_field() {
        assert!(belongs("targeting[0].values[2]", "targeting[0].values"));
        assert!(!belongs("targeting[0].values[2]", "targeting[0].value"));
        assert!(belongs("name", "name"));
        assert_eq!(human("targeting[0].values[2]"), "targeting 1, values 3");
        assert_eq!(human("flight.ends_at"), "flight, ends at");
    }
    #[test]
    fn what_was_typed_comes_back_escaped() {
        let mut data = Data::default();
        data.set("name", "<script>\"'&");
        let faults = Faults(vec![regie_model::Fault {
            field: "name".into(),
            code: "x".into(),
            message: "No <b>.".into(),
        }]);
        let form = Form { data: &data, faults: &faults, theirs: None };
        let markup = form.field("name", "Name").required().render().0;
        assert!(markup.contains("&lt;script&gt;&quot;'&amp;"), "{markup}");
        assert!(markup.contains("No &lt;b&gt;."), "{markup}");
        assert!(!markup.contains("<script>"));
    }
}
