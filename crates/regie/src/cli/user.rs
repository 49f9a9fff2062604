//! `regie user` and `regie token`: who may sign in and call, from the operator's shell.
//!
//! Links and resets work beside a running server, since they only touch `secrets.db`. What is journalled (a new user, a
//! new token, switching one off) needs the journal: the server is stopped, or the console or API is used.

use super::Cli;
use crate::{
    http::{
        accounts::people,
        auth::{links, password},
    },
    platform::{Platform, folder::Folder, secrets::Secrets, secrets::UserSecret, state_db::StateDb},
    server::{Engine, system_clock},
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use regie_model::{
    AdvertiserId, Faults, TokenId, UserId,
    booking::{Role, Scope, TokenRecord, UserRecord},
    catalogue::Catalogue,
    command::Change,
    event::{Actor, Event},
    limits::NAME_CHARS_MAX,
};
use std::{io::Read, process::ExitCode, sync::Arc};

/// Arguments of `regie user`.
#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    action: UserAction,
}

#[derive(Debug, Subcommand)]
enum UserAction {
    /// Add a user and print the link by which they set their password.
    Add {
        /// E-mail with which they sign in.
        email: String,
        /// owner, ad_operations, advertiser, read_only or auditor.
        #[arg(long)]
        role: String,
        /// For the role advertiser: whose, such as adv_1.
        #[arg(long)]
        advertiser: Option<AdvertiserId>,
        /// Name as colleagues see it.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Print a new one-time link for a user (e-mail or usr_1).
    Link {
        /// E-mail or id.
        user: String,
    },
    /// Set a user's password from standard input, and end their sessions.
    Reset {
        /// E-mail or id.
        user: String,
        /// Switch their second factor off too (a lost phone).
        #[arg(long)]
        remove_second_factor: bool,
    },
    /// List users.
    List,
    /// End a user's sessions and let them sign in no more.
    Disable {
        /// E-mail or id.
        user: String,
    },
}

/// Arguments of `regie token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    action: TokenAction,
}

#[derive(Debug, Subcommand)]
enum TokenAction {
    /// Make an API token and print its secret, once.
    Create {
        /// What it is for.
        name: String,
        /// read, book, operate, conversions, decide or metrics; may be repeated.
        #[arg(long = "scope", required = true)]
        scopes: Vec<String>,
        /// Limit it to one advertiser, such as adv_1.
        #[arg(long)]
        advertiser: Option<AdvertiserId>,
    },
    /// Make a token worthless.
    Revoke {
        /// Its id, such as tok_1.
        token: TokenId,
    },
    /// List tokens.
    List,
}

/// A word of the API as its value.
fn word<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_value(text.replace('-', "_").into()).with_context(|| format!("{text:?} is no {what}"))
}

/// Prints one thing: a line for people, or JSON.
fn say(cli: &Cli, line: &str, json: serde_json::Value) {
    if cli.json {
        println!("{json}");
    } else {
        println!("{line}");
    }
}

/// Runs `regie user`.
///
/// # Errors
/// What is wrong, and what to do.
pub fn run_user(cli: &Cli, args: &UserArgs) -> Result<ExitCode> {
    let folder = existing(cli)?;
    match &args.action {
        UserAction::Add { email, role, advertiser, name } => {
            let role: Role = word("role", role)?;
            let record = UserRecord { role, advertiser: *advertiser, active: true };
            add_user(cli, &folder, email.trim(), name, record)?;
        }
        UserAction::Link { user } => {
            let (secrets, person) = find(&folder, user)?;
            let secret = secrets.make_link(person.id, "reset", system_clock()())?;
            let link = links::address(&cli.configuration()?, &secret);
            say(
                cli,
                &format!("Good once, for {} hours: {link}", links::LINK_HOURS),
                serde_json::json!({ "id": person.id, "link": link }),
            );
        }
        UserAction::Reset { user, remove_second_factor } => reset(cli, &folder, user, *remove_second_factor)?,
        UserAction::List => list_users(cli, &folder)?,
        UserAction::Disable { user } => {
            let (secrets, person) = find(&folder, user)?;
            secrets.close_sessions(person.id)?;
            with_platform(cli, &folder, |platform| {
                let record = platform
                    .catalogue()
                    .users
                    .get(&person.id)
                    .cloned()
                    .context("no such user in the journal")?;
                let owners =
                    platform.catalogue().users.values().filter(|u| u.role == Role::Owner && u.active).count();
                if record.role == Role::Owner && record.active && owners == 1 {
                    bail!("{} is the last owner; add another one first", person.email);
                }
                let change =
                    Change::UserPut { id: person.id, record: UserRecord { active: false, ..record } };
                links::record(platform, Actor::Operator, vec![change])
            })?;
            say(
                cli,
                &format!("{} can sign in no more.", person.email),
                serde_json::json!({ "id": person.id, "active": false }),
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn add_user(cli: &Cli, folder: &Folder, email: &str, name: &str, record: UserRecord) -> Result<()> {
    let config = cli.configuration()?;
    let (id, link) = with_platform(cli, folder, |platform| {
        let mut faults = Faults::new();
        people::check_role(&platform.catalogue(), record.role, record.advertiser, &mut faults);
        let odd = !email.contains('@') || email.chars().any(char::is_whitespace);
        faults.when(odd, "email", "malformed", "Write an e-mail address, such as kim@example.org.");
        let taken = platform.secrets.user_by_email(email)?.is_some();
        faults.when(taken, "email", "taken", "Another user signs in with this.");
        faults.into_result()?;
        let id = links::add_user(platform, Actor::Operator, record)?;
        platform.secrets.add_user(id, email, name, platform.now())?;
        Ok((id, links::make(platform, &config, id, "setup")?))
    })?;
    let line =
        format!("Added {email} as {id}.\nTheir link, good once, for {} hours: {link}", links::LINK_HOURS);
    say(cli, &line, serde_json::json!({ "id": id, "email": email, "link": link }));
    Ok(())
}

fn reset(cli: &Cli, folder: &Folder, user: &str, remove_second_factor: bool) -> Result<()> {
    let (secrets, person) = find(folder, user)?;
    let mut text = String::new();
    std::io::stdin()
        .take(4_096)
        .read_to_string(&mut text)
        .context("reading the new password from standard input")?;
    let new = text.trim_end_matches(['\n', '\r']);
    let mut faults = Faults::new();
    password::check(new, &mut faults);
    faults.into_result()?;
    secrets.set_password(person.id, &password::hash(new)?)?;
    if remove_second_factor {
        secrets.set_totp(person.id, None, false)?;
    }
    say(
        cli,
        &format!("The password of {} is set; their sessions have ended.", person.email),
        serde_json::json!({ "id": person.id, "second_factor": person.totp_on && !remove_second_factor }),
    );
    Ok(())
}

fn list_users(cli: &Cli, folder: &Folder) -> Result<()> {
    let people = Secrets::open(&folder.secrets_db())?.users()?;
    let catalogue = read_catalogue(folder)?;
    for (id, record) in &catalogue.users {
        let person = people.iter().find(|p| p.id == *id);
        let email = person.map_or("", |p| p.email.as_str());
        let role = serde_json::to_value(record.role)?;
        let advertiser = record.advertiser.map(|a| a.to_string()).unwrap_or_default();
        let state = if record.active { "" } else { "  (disabled)" };
        let line = format!("{id}  {email}  {}  {advertiser}{state}", role.as_str().unwrap_or(""));
        let json = serde_json::json!({ "id": id, "email": email, "role": role, "advertiser": record.advertiser, "active": record.active });
        say(cli, line.trim_end(), json);
    }
    Ok(())
}

/// Runs `regie token`.
///
/// # Errors
/// What is wrong, and what to do.
pub fn run_token(cli: &Cli, args: &TokenArgs) -> Result<ExitCode> {
    let folder = existing(cli)?;
    match &args.action {
        TokenAction::Create { name, scopes, advertiser } => {
            let scopes = scopes.iter().map(|s| word::<Scope>("scope", s)).collect::<Result<Vec<_>>>()?;
            let mut faults = Faults::new();
            faults.text("name", name, NAME_CHARS_MAX);
            faults.into_result()?;
            let (id, secret) = with_platform(cli, &folder, |platform| {
                if advertiser.is_some_and(|a| !platform.catalogue().advertisers.contains_key(&a)) {
                    bail!("there is no such advertiser");
                }
                let record =
                    TokenRecord { name: name.clone(), scopes, advertiser: *advertiser, active: true };
                people::make_token(platform, Actor::Operator, record)
            })?;
            say(
                cli,
                &format!("{id}: {secret}\nIt is shown once; keep it safe."),
                serde_json::json!({ "id": id, "token": secret }),
            );
        }
        TokenAction::Revoke { token } => {
            let known = read_catalogue(&folder)?.tokens.get(token).cloned();
            let record = known.with_context(|| format!("there is no token {token}"))?;
            // The secret goes first: from then on the token is worthless, whatever the journal does.
            Secrets::open(&folder.secrets_db())?.revoke_token(*token)?;
            let change = Change::TokenPut { id: *token, record: TokenRecord { active: false, ..record } };
            with_platform(cli, &folder, |platform| links::record(platform, Actor::Operator, vec![change]))?;
            say(
                cli,
                &format!("{token} is worthless now."),
                serde_json::json!({ "id": token, "active": false }),
            );
        }
        TokenAction::List => {
            for (id, token) in &read_catalogue(&folder)?.tokens {
                let scopes = serde_json::to_value(&token.scopes)?;
                let state = if token.active { "" } else { "  (revoked)" };
                let line = format!("{id}  {}  {scopes}{state}", token.name);
                say(
                    cli,
                    &line,
                    serde_json::json!({ "id": id, "name": token.name, "scopes": scopes, "advertiser": token.advertiser, "active": token.active }),
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn existing(cli: &Cli) -> Result<Folder> {
    Folder::existing(&cli.folder)
}

/// Users and tokens as `state.db` has them; a running server may be half a second ahead.
pub(super) fn read_catalogue(folder: &Folder) -> Result<Catalogue> {
    let mut catalogue = Catalogue::new();
    StateDb::open(&folder.state_db())?.for_each_change(0, |_, body| {
        if let Ok(Event::Booked(booked)) = Event::decode(body) {
            catalogue.apply(booked.at, &booked.change);
        }
        Ok(())
    })?;
    Ok(catalogue)
}

fn find(folder: &Folder, user: &str) -> Result<(Secrets, UserSecret)> {
    let secrets = Secrets::open(&folder.secrets_db())?;
    let found = match user.parse::<UserId>() {
        Ok(id) => secrets.user(id)?,
        Err(_) => secrets.user_by_email(user)?,
    };
    let person = found.with_context(|| format!("there is no user {user}; `regie user list` shows all"))?;
    Ok((secrets, person))
}

/// Runs the engine for one thing, then stops it.
pub(super) fn with_platform<T>(
    cli: &Cli,
    folder: &Folder,
    work: impl FnOnce(&Arc<Platform>) -> Result<T>,
) -> Result<T> {
    let engine = Engine::start(folder, &cli.configuration()?, &mut |_, _| {});
    let engine = engine
        .context("if a server runs on this folder, stop it first, or use its console (Settings, Users)")?;
    let done = work(&engine.platform);
    let stopped = engine.stop();
    let done = done?;
    stopped?;
    Ok(done)
}
